"""Identity of models and voices: by their content, without the paths and addresses under which they are found."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, runtime_checkable

from voxcli.synthesis.request import Clip, Engine, Voice

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{_IPTC}trainedAlgorithmicMedia"
"""Made by a model that was trained on recordings. That holds for the imitation of a voice too: no part of the recording
is in the sound, so it is no composite."""
ALGORITHMIC = f"{_IPTC}algorithmicMedia"
"""Made by rules alone, as by the formant synthesis of eSpeak NG."""

SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """A model, as exactly as its samples depend on it."""

    name: str
    """Never a path or an address."""
    revision: str | None = None
    """Commit on its hub, or the version of a program."""
    weights: str | None = None
    """Digest of the files, wherever they are; None where they cannot be read."""
    lora: str | None = None
    """Digest of the LoRA that is applied."""
    precision: str | None = None
    """Such as "float32" or "float32 int8"."""
    device: str | None = None
    """Kind of device, such as "cpu" or "cuda"; `SERVER` for a server that says nothing else."""
    trained: bool = True
    """Whether it learned from recordings."""

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what `to_dict` returned. Raises ValueError for anything else."""
        known = _known(values, cls)
        if "name" not in known:
            raise ValueError("it names no model")
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, for JSON."""
        return _set_fields(self)

    @property
    def source_type(self) -> str:
        """The digital source type of IPTC: https://cv.iptc.org/newscodes/digitalsourcetype/."""
        return TRAINED if self.trained else ALGORITHMIC


@runtime_checkable
class HasIdentity(Protocol):
    """An engine that tells which model it runs. What a server runs may be known only after its first answer."""

    @property
    def identity(self) -> ModelIdentity: ...


def identity_of(engine: Engine, name: str) -> ModelIdentity:
    """Return what an engine tells of its model.

    name: of a model whose engine tells nothing.
    """
    return engine.identity if isinstance(engine, HasIdentity) else ModelIdentity(name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceIdentity:
    """A voice, with digests of its recordings and transcripts."""

    name: str | None = None
    style: str | None = None
    """A description: "an old man, unhurried"."""
    reference: str | None = None
    prompt: str | None = None
    transcript: str | None = None
    consent: str | None = None
    """Who consented to the recording, as it was noted when the voice was saved."""

    @classmethod
    def of(cls, voice: Voice, name: str | None = None, consent: str | None = None) -> Self:
        """Return the identity of a voice.

        name: under which the user keeps it, if it is one of the user's own.
        """
        prompt = voice.prompt
        return cls(
            name=name or voice.name,
            style=voice.style,
            reference=_digest_of_clip(voice.reference),
            prompt=_digest_of_clip(prompt.clip) if prompt else None,
            transcript=digest_of_text(prompt.transcript) if prompt else None,
            consent=consent,
        )

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read what `to_dict` returned. Raises ValueError for anything else."""
        return cls(**_known(values, cls))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, for JSON."""
        return _set_fields(self)

    @property
    def deciding(self) -> dict[str, Any]:
        """The fields that the sound depends on: a recording is the same voice under any name."""
        recorded = self.reference or self.prompt
        left_out = {"consent", *(["name"] if recorded else [])}
        return {name: value for name, value in _set_fields(self).items() if name not in left_out}


def digest_of_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _digest_of_clip(clip: Clip | None) -> str | None:
    return hashlib.sha256(clip.data).hexdigest() if clip else None


def _set_fields(values: ModelIdentity | VoiceIdentity) -> dict[str, Any]:
    """Return the fields that differ from their default, by name."""
    return {name.name: value for name in fields(values) if (value := getattr(values, name.name)) != name.default}


def _known(values: Any, kind: type) -> dict[str, Any]:
    """Return the values that are fields of a class. Raises ValueError if one has another type."""
    if not isinstance(values, Mapping):
        raise ValueError("it is not an object")
    wanted = {name.name: bool if name.type in (bool, "bool") else str for name in fields(kind)}
    known = {name: value for name, value in values.items() if name in wanted and value is not None}
    for name, value in known.items():
        if not isinstance(value, wanted[name]):
            raise ValueError(f"{name} is not a {wanted[name].__name__}")
    return known
