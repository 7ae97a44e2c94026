"""Provenance: what made a sound, as plain data that files carry, and the key under which equal sounds are found."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from voxcli.synthesis.identity import ModelIdentity, VoiceIdentity, digest_of_text, identity_of
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Engine, Parameter, Sampling, abilities_of
from voxcli.version import __version__

T = TypeVar("T")

_FORMAT = 1
"""Of the JSON. A newer one keeps the meaning of these fields and adds others, which are passed on unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made a sound: the program, the model, the voice, the settings, and the text."""

    model: ModelIdentity
    voice: VoiceIdentity = field(default_factory=VoiceIdentity)
    language: str | None = None
    """None where it was detected from the text."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Plain values that the sound depends on, by name: steps, guidance, seed, speed and so on."""
    speakers: Mapping[str, "Provenance"] = field(default_factory=dict)
    """How the speakers of a text with several differ, by name; each without a text of its own."""
    text_digest: str | None = None
    """None while the text is still arriving."""
    text: str | None = None
    """The text itself, if it is to be kept."""
    made: str | None = None
    """Time in UTC, as in 2026-01-31T12:00:00Z. Files do without it, so that equal speech is an equal file."""
    voxcli: str = __version__
    others: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a newer version wrote."""

    @classmethod
    def of(
        cls,
        delivery: Delivery,
        model: ModelIdentity,
        text: str | None,
        *,
        voice: VoiceIdentity | None = None,
        sampled: bool = True,
        reading: Mapping[str, Any] | None = None,
    ) -> "Provenance":
        """Return the provenance of a text that is spoken in this manner.

        Args:
            text: None while it is still arriving.
            voice: None takes that of the delivery.
            sampled: whether the model samples, in steps, from a seed.
            reading: further settings, such as {"markdown": True}.
        """
        return cls(
            model=model,
            voice=voice or VoiceIdentity.of(delivery.voice),
            language=delivery.language.casefold() if delivery.language else None,
            settings={**_settings_of(delivery, sampled=sampled), **(reading or {})},
            text_digest=None if text is None else digest_of_text(text),
        )

    @classmethod
    def of_engine(
        cls,
        engine: Engine,
        name: str,
        delivery: Delivery,
        text: str | None,
        *,
        voice: VoiceIdentity | None = None,
        reading: Mapping[str, Any] | None = None,
    ) -> "Provenance":
        """Return the provenance of a text that an engine speaks, without the settings that it has no use for.

        Args:
            name: of a model whose engine tells nothing.
            voice: None takes that of the delivery.
            reading: as for `of`.
        """
        idle = {parameter.value for parameter in delivery.unused(engine)}
        voice = voice or VoiceIdentity.of(delivery.voice)
        made = cls.of(
            delivery,
            identity_of(engine, name),
            text,
            voice=replace(voice, style=None) if Parameter.STYLE in idle else voice,
            sampled=abilities_of(engine).sampling,
            reading=reading,
        )
        return replace(made, settings={name: value for name, value in made.settings.items() if name not in idle})

    def key(self) -> str:
        """Return a digest of everything that decides the samples: two sounds with one key are equal.

        The version of voxcli is not part of it, nor the name under which a recording is kept. The kind of device and
        the precision are: the same model makes slightly different samples elsewhere.

        Raises:
            ValueError: the text is still arriving.
        """
        if self.text_digest is None:
            raise ValueError("the text is not known yet")
        return hashlib.sha256(_canonical({**self._deciding(), "text": self.text_digest}).encode()).hexdigest()

    def _deciding(self) -> dict[str, Any]:
        model = {name: value for name, value in self.model.to_dict().items() if name != "trained"}
        if self.model.weights:
            model.pop("revision", None)  # the same files have the same digest wherever they come from
            model.pop("name", None)
        return {
            "model": model,
            "voice": self.voice.deciding,
            "language": self.language,
            "settings": dict(self.settings),
            "speakers": {name: speaker._deciding() for name, speaker in self.speakers.items()},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON. What is not set is left out."""
        described = {
            "voxcli": self.voxcli,
            "source_type": self.model.source_type,
            "model": self.model.to_dict(),
            "voice": self.voice.to_dict(),
            "language": self.language,
            "settings": dict(self.settings),
            "speakers": {name: speaker.to_dict() for name, speaker in self.speakers.items()},
            "text_sha256": self.text_digest,
            "text": self.text,
            "made": self.made,
        }
        kept = {name: value for name, value in described.items() if value not in (None, {})}
        return {"format": _FORMAT, **dict(self.others), **kept}

    def to_json(self) -> str:
        """Return one line of ASCII, the same for equal provenance."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: Any) -> "Provenance":
        """Read what `to_dict` returned, or a newer version of it. Fields of an unknown name are kept.

        Raises:
            ValueError: it is something else.
        """
        if not isinstance(values, Mapping):
            raise ValueError("it does not describe what made a sound")
        settings, speakers = values.get("settings") or {}, values.get("speakers") or {}
        if not isinstance(settings, Mapping) or not isinstance(speakers, Mapping):
            raise ValueError("its parts are not objects")
        return cls(
            model=ModelIdentity.from_dict(values.get("model")),
            voice=VoiceIdentity.from_dict(values.get("voice") or {}),
            language=_text(values.get("language")),
            settings=settings,
            speakers={name: cls.from_dict(speaker) for name, speaker in speakers.items()},
            text_digest=_text(values.get("text_sha256")),
            text=_text(values.get("text")),
            made=_text(values.get("made")),
            voxcli=_text(values.get("voxcli")) or "",
            others={name: value for name, value in values.items() if name not in _FIELDS},
        )

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Read what `to_json` returned. Raises ValueError for anything else."""
        try:
            return cls.from_dict(json.loads(text))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def with_text(self, text: str, *, keep: bool = False) -> "Provenance":
        """Return the same, for a text that has arrived completely.

        keep: the text itself too.
        """
        return replace(self, text_digest=digest_of_text(text), text=text if keep else None)


class NotedText:
    """A text that is noted while it is being read."""

    def __init__(self) -> None:
        self.text: str | None = None
        """None until all of it has been read."""

    def noted(self, pieces: Iterable[T]) -> Iterator[T]:
        """Yield pieces, of which those that are strings make up the text."""
        texts, self.text = [], None
        for piece in pieces:
            if isinstance(piece, str):
                texts.append(piece)
            yield piece
        self.text = "".join(texts)


_FIELDS = (
    *("format", "voxcli", "source_type", "model", "voice", "language", "settings", "speakers"),
    *("text_sha256", "text", "made"),
)


def _settings_of(delivery: Delivery, *, sampled: bool) -> dict[str, Any]:
    """Return the settings that differ from the usual ones, and those that every user looks for."""
    sampling, usual = delivery.sampling, Sampling()
    named = {name.name: getattr(sampling, name.name) for name in fields(Sampling)} if sampled else {}
    always = ("steps", "guidance", "seed")
    settings = {
        name: value
        for name, value in named.items()
        if (name in always and value is not None) or value != getattr(usual, name)
    }
    plain = Delivery()
    for name in ("speed", "volume", "gap_seconds", "normalize", "denoise"):
        if (value := getattr(delivery, name)) != getattr(plain, name):
            settings[name] = value
    return settings


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _canonical(values: Mapping[str, Any]) -> str:
    """Return JSON that is the same for equal values: sorted, with whole floats as integers."""
    return json.dumps(_plain(values), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    return value
