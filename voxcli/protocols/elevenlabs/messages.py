"""Messages of ElevenLabs' `stream-input` and `multi-stream-input`, and the settings in the address."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import FieldError, FindVoice, Problem
from voxcli.protocols.fields import Text, parse_fields, read_object, seed_of, shown
from voxcli.protocols.openai.fields import UNNAMED_VOICE, VOICES
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import FASTEST, SLOWEST, Sampling, Voice

PATH = "/v1/text-to-speech/{voice_id}/stream-input"
MULTI_PATH = "/v1/text-to-speech/{voice_id}/multi-stream-input"

_MULAW, _ALAW = "ulaw", "alaw"
_CODECS = {
    "mp3": (AudioFormat.MP3, (22050, 24000, 44100)),
    "pcm": (AudioFormat.PCM, (8000, 16000, 22050, 24000, 32000, 44100, 48000)),
    "wav": (AudioFormat.WAV, (8000, 16000, 22050, 24000, 32000, 44100, 48000)),
    "opus": (AudioFormat.OPUS, (48000,)),
    _MULAW: (None, (8000,)),
    _ALAW: (None, (8000,)),
}
"""What may come before the sample rate in `output_format`, with the rates that there are."""
_USUAL_FORMAT = "mp3_44100_128"
_CAREFUL_MODELS = ("multilingual", "_v3")
"""In the names of the models that are good rather than quick, such as "eleven_multilingual_v2"."""
_FEW_STEPS = 5
"""For the others, as for OpenAI's quick model."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """Format of the audio."""

    codec: AudioFormat | None
    """None for the 8 bits of telephones, which have no container."""
    sample_rate: int
    """Hz."""
    mulaw: bool = False
    """Which of the two codes of telephones it is."""


class VoiceSettings(BaseModel):
    """The manner of speaking. Only the speed makes a difference here."""

    model_config = ConfigDict(extra="ignore")

    speed: float | None = Field(None, ge=SLOWEST, le=FASTEST)


class ClientMessage(BaseModel):
    """A message of a client. Several at once are in one: text, and what to do after it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    text: Text | None = None
    """With a blank alone, it only sets the voice. If it is empty, the text ends; in a context it keeps that open."""
    context_id: Text | None = Field(None, max_length=256)
    flush: bool | None = False
    close_context: bool | None = False
    close_socket: bool | None = False
    voice_settings: VoiceSettings | None = None
    pronunciation_dictionary_locators: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """What the address of a socket sets."""

    voice: Voice
    language: str | None
    output: OutputFormat
    normalize: bool
    sampling: Sampling

    def delivery(self, speed: float | None) -> Delivery:
        """Return the manner in which a text is spoken."""
        return Delivery(
            voice=self.voice,
            language=self.language,
            speed=speed or 1.0,
            normalize=self.normalize,
            sampling=self.sampling,
        )


class _Query(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model_id: Text | None = Field(None, max_length=256)
    output_format: Text | None = None
    language_code: Text | None = Field(None, max_length=64)
    enable_ssml_parsing: bool | None = False
    apply_text_normalization: Text | None = None
    seed: int | None = Field(None, le=2**63 - 1)


def read_settings(
    voice_id: str, query: Mapping[str, str], find_voice: FindVoice, *, steps_by_model: bool = False
) -> SocketSettings:
    """Read the settings in an address.

    steps_by_model: whether the model's name sets the number of steps.

    Raises:
        FieldError: one is invalid, or would be followed by speech in another voice than was asked for.
    """
    given = parse_fields(_Query, {name: value for name, value in query.items() if value})
    if given.enable_ssml_parsing:
        raise FieldError(
            "SSML is not read here: send plain text, without 'enable_ssml_parsing'.", "enable_ssml_parsing"
        )
    voice = find_voice(voice_id)
    if voice is None and voice_id.lower() not in (UNNAMED_VOICE, *VOICES):
        message = f"There is no voice {shown(voice_id)}. GET /v1/audio/voices lists the voices."
        raise FieldError(message, "voice_id", "voice_not_found")
    careful = any(word in (given.model_id or "") for word in _CAREFUL_MODELS)
    steps = Sampling().steps if careful or not steps_by_model else _FEW_STEPS
    return SocketSettings(
        voice=voice or Voice(),
        language=given.language_code,
        output=read_output_format(given.output_format or _USUAL_FORMAT),
        normalize=given.apply_text_normalization == "on",
        sampling=Sampling(steps=steps, seed=seed_of(given.seed)),
    )


def read_output_format(name: str) -> OutputFormat:
    """Read a name such as "mp3_44100_128", of which the bit rate makes no difference. Raises FieldError."""
    codec, _, rest = name.lower().partition("_")
    rate = rest.partition("_")[0]
    if codec in _CODECS:
        format, rates = _CODECS[codec]
        if rate.isdecimal() and int(rate) in rates:
            return OutputFormat(format, int(rate), codec == _MULAW)
    known = "; ".join(f"{codec}_ {', '.join(map(str, rates))}" for codec, (_, rates) in _CODECS.items())
    raise FieldError(f"There is no output_format {shown(name)}. Codecs and their rates: {known}.", "output_format")


def read_message(data: str | bytes) -> ClientMessage:
    """Read a client's message. Raises FieldError if it is none."""
    message = parse_fields(ClientMessage, read_object(data))
    if message.pronunciation_dictionary_locators:
        name = "pronunciation_dictionary_locators"
        raise FieldError("There are no pronunciation dictionaries here.", name)
    return message


@dataclass(frozen=True, slots=True)
class TimedCharacter:
    """A character, and when it is heard, from the beginning of the audio of its message."""

    character: str
    start_ms: int
    duration_ms: int


def audio_message(context_id: str | None, audio: bytes, characters: Sequence[TimedCharacter]) -> dict[str, Any]:
    """Return a message with audio, and with the characters that are heard in it. Their times are interpolated."""
    alignment = None
    if characters:
        alignment = {
            "chars": [one.character for one in characters],
            "charStartTimesMs": [one.start_ms for one in characters],
            "charDurationsMs": [one.duration_ms for one in characters],
        }
    message: dict[str, Any] = {"audio": b64encode(audio).decode(), "isFinal": None}
    return _of_context(context_id, message | {"alignment": alignment, "normalizedAlignment": alignment})


def final_message(context_id: str | None) -> dict[str, Any]:
    """Return the message that a text has been spoken to its end."""
    nothing = {"audio": None, "alignment": None, "normalizedAlignment": None}
    return _of_context(context_id, {**nothing, "isFinal": True})


def error_message(context_id: str | None, problem: Problem, close_code: int) -> dict[str, Any]:
    """Return the message about a problem. LiveKit's client shows "error" to its user, the others "message"."""
    kind = problem.code or ("invalid_request" if problem.status < 500 else "internal_error")
    message = {"message": problem.message, "error": problem.message, "kind": kind, "code": close_code}
    return _of_context(context_id, message)


def _of_context(context_id: str | None, message: dict[str, Any]) -> dict[str, Any]:
    return message if context_id is None else {**message, "contextId": context_id}
