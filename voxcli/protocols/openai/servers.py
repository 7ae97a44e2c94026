"""Servers with OpenAI's speech API: what their lists say, and what a request to each of them names.

Sources: openai-openapi 2.3.0; the published packages vllm-omni 0.30.0 and sglang-omni 0.1.9; the documentation of
openai-edge-tts, Kokoro-FastAPI, speaches, LocalAI and LiteLLM.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from voxcli.audio.format import AudioFormat

MODEL, STYLED_MODEL = "tts-1", "gpt-4o-mini-tts"
"""OpenAI follows instructions only with the second. Both are named where a server does not list its models, and where
it lists these."""
OPENAI_MODELS = (MODEL, STYLED_MODEL, "tts-1-hd")
VOICE = "alloy"
"""The name that OpenAI's API and most imitations of it know."""

_SPEAKS = re.compile(
    r"(?:^|[^a-z])(?:[a-z]*tts|speech|voices?|speak|say|piper|kokoro|voxcpm|bark|orpheus|chatterbox|cosyvoice|parler|"
    r"dia|csm|melo|fish|higgs|zonos|vits|spark|indextts|kitten|supertonic|vibevoice|sesame|moss|omnivoice|espeak|"
    r"canopylabs|styletts|openvoice|maya|neuphonic|polly|elevenlabs|eleven|cartesia|sonic|aura|playai|hexgrad)[0-9]*"
    r"(?:$|[^a-z])|tts|voxcpm|kokoro"
)
_DOES_NOT = re.compile(
    r"whisper|transcri|speech-?to-?text|(?:^|[^a-z])(?:asr|stt)(?:$|[^a-z])|embed|rerank|moderation|dall-e|realtime|"
    r"sora|(?:^|[^a-z])(?:image|live|vad|diariz\w*)(?:$|[^a-z])"
)
_SPEECH_KINDS = ("text-to-speech", "text_to_speech", "tts", "audio_speech", "speech", "text-to-audio", "audio-speech")
_SPEECH_MODALITIES = ("audio", "speech")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The models of a server, as it lists them."""

    owner: str = ""
    """What the models say they are owned by, in lower case, such as "vllm"."""
    models: tuple[str, ...] = ()
    """All names, those that may speak first; empty if there is no list."""
    speaking: int = 0
    """How many of the models may speak, judged by what the list says of them and by their names."""
    voices: tuple[str, ...] = ()
    """Names of voices that are listed with the models."""

    @property
    def is_vllm(self) -> bool:
        return self.owner.startswith("vllm")

    @property
    def is_sglang(self) -> bool:
        return self.owner.startswith("sglang")

    @property
    def takes_clips(self) -> bool:
        """Whether a recording can be sent with a request, as `ref_audio` and `ref_text`."""
        return self.is_vllm or self.is_sglang

    @property
    def names_openais(self) -> bool:
        """Whether its names are OpenAI's: those of its models, or there are none to tell."""
        is_openais = self.owner in ("openai", "openai-internal", "system")  # or of a gateway to it
        return is_openais or not self.models or any(name in OPENAI_MODELS for name in self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a request names where the user leaves the choice."""

    model: str | None = MODEL
    voice: str | None = VOICE
    format: AudioFormat = AudioFormat.WAV
    """WAV is as fast as PCM, and states its sample rate, which many servers get wrong for PCM."""
    switches: Mapping[str, Any] = field(default_factory=dict)
    """Fields that make the server stream."""
    takes_clips: bool = False


def read_models(document: Any, now: float | None = None) -> Catalog | None:
    """Read a list of models, which servers wrap in different ways; None if it is not one.

    Args:
        now: seconds since 1970, to leave out models that have been shut down.
    """
    if isinstance(document, Mapping):
        document = next((document[key] for key in ("data", "models") if isinstance(document.get(key), list)), None)
    if not isinstance(document, list):
        return None
    entries = [{"id": entry} if isinstance(entry, str) else entry for entry in document]
    named = [(name, entry) for entry in entries if isinstance(entry, Mapping) and (name := _name_of(entry))]
    if document and not named:
        return None
    moment = time.time() if now is None else now
    named = [(name, entry) for name, entry in named if not _is_shut_down(entry, moment)]
    speaking = _speaking(named)
    names = [name for name, _ in speaking]
    owners = [str(entry.get("owned_by") or "").lower() for _, entry in speaking or named]
    return Catalog(
        owner=next(filter(None, owners), ""),
        models=tuple(dict.fromkeys([*names, *(name for name, _ in named)])),
        speaking=len(set(names)),
        voices=tuple(_voices_of(speaking[0][1])) if speaking else (),
    )


def _name_of(entry: Mapping[str, Any]) -> str | None:
    return next((entry[key] for key in ("id", "model", "name") if isinstance(entry.get(key), str) and entry[key]), None)


def _is_shut_down(entry: Mapping[str, Any], now: float) -> bool:
    """Whether the date of its end has passed, which OpenAI's list has for some models."""
    end = entry.get("shutdown_date")
    if isinstance(end, str):
        return end[:10] < time.strftime("%Y-%m-%d", time.gmtime(now))
    return isinstance(end, int | float) and 0 < end < now


def _speaking(named: list[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the models that may speak: by what the list says, else by their names, else the only one there is."""
    for is_speaking in (_says_it_speaks, _sounds_like_speech):
        if found := [(name, entry) for name, entry in named if is_speaking(name, entry)]:
            return found
    return named if len(named) == 1 and not _DOES_NOT.search(named[0][0].lower()) else []


def _says_it_speaks(name: str, entry: Mapping[str, Any]) -> bool:
    kinds = [str(entry.get(key) or "").lower() for key in ("task", "type", "mode", "category", "kind")]
    capabilities = [entry.get(key) for key in ("capabilities", "tasks", "output_modalities", "modalities")]
    listed = [str(item).lower() for found in capabilities if isinstance(found, list | Mapping) for item in found]
    return any(kind in _SPEECH_KINDS for kind in kinds) or any(
        item in (*_SPEECH_KINDS, *_SPEECH_MODALITIES) for item in listed
    )


def _sounds_like_speech(name: str, entry: Mapping[str, Any]) -> bool:
    return bool(_SPEAKS.search(name.lower())) and not _DOES_NOT.search(name.lower())


def _voices_of(entry: Mapping[str, Any]) -> Iterator[str]:
    listed = entry.get("voices")
    for voice in listed if isinstance(listed, list) else ():
        name = voice if isinstance(voice, str) else _name_of(voice) if isinstance(voice, Mapping) else None
        if name:
            yield name


def choose_model(catalog: Catalog, *, styled: bool) -> str | None:
    """Return the model to name; None if the server lists models, and none of them is known to speak.

    Args:
        styled: whether the request has a description, which only some of OpenAI's models follow.
    """
    if not catalog.models:
        return STYLED_MODEL if styled else MODEL
    speaking = catalog.models[: catalog.speaking]
    if not speaking:
        return None
    preferred = (STYLED_MODEL, MODEL) if styled else (MODEL, STYLED_MODEL)
    dated = [name for name in speaking if name.startswith(preferred[0])]
    return next((name for name in (*preferred, *dated) if name in speaking), speaking[0])


def voices_to_try(catalog: Catalog) -> list[str | None]:
    """Return the voices to name, one after another until one is accepted; None names none."""
    if catalog.voices:
        return [next((name for name in (VOICE, "default") if name in catalog.voices), catalog.voices[0])]
    if catalog.names_openais:
        return [VOICE, None, "default"]
    return [None, "default"] if catalog.takes_clips else [None, VOICE, "default"]


def stream_switches(
    catalog: Catalog, format: AudioFormat | None, *, speed: float
) -> tuple[AudioFormat, dict[str, Any]]:
    """Return the format to ask for, and the fields that make a server stream, which not all do by themselves.

    Args:
        format: the user's choice.
        speed: vLLM-Omni and SGLang-Omni stream at the usual one only.
    """
    usual = format or AudioFormat.WAV
    if speed != 1.0:
        return usual, {}
    if catalog.is_vllm and usual in (AudioFormat.WAV, AudioFormat.PCM):
        return usual, {"stream": True, "stream_format": "audio"}
    if catalog.is_sglang and format in (None, AudioFormat.PCM):
        return AudioFormat.PCM, {"stream": True, "stream_format": "audio"}
    return usual, {}


def draws_voices(catalog: Catalog, model: str | None) -> bool:
    """Whether each request without a voice gets another one: VoxCPM does so where nothing holds its voice."""
    return catalog.takes_clips and "voxcpm" in (model or "").lower()
