"""Settings of a speech stream, `session.config`: the names of vLLM-Omni and SGLang-Omni, and a few of our own."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import FieldError, FindVoice
from voxcli.protocols.fields import Format, Text, asking, parse_fields, seed_of, sent_parameters, shown, unknown_fields
from voxcli.protocols.openai.fields import (
    DEFAULT_MODEL,
    HIGHEST_RATE,
    LOWEST_RATE,
    MOST_CHARACTERS,
    NO_STYLE,
    UNNAMED_VOICE,
    VOICES,
    VoiceId,
    steps_of,
)
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import FASTEST, MOST_STEPS, SLOWEST, Clip, Parameter, Prompt, Sampling, Voice

_WITHOUT_EFFECT = (
    *("task_type", "max_new_tokens", "initial_codec_chunk_frames", "temperature", "top_p", "top_k"),
    *("repetition_penalty", "stage_params"),
)
"""Of the other servers' settings: they are about their models' own sampling."""
_IN_ANOTHER_VOICE = ("speaker_embedding",)
_PARAMETERS = {"instructions": Parameter.STYLE, "seed": Parameter.SEED, "steps": Parameter.STEPS}


class ReferenceClip(BaseModel):
    """A recording, as SGLang-Omni names it."""

    audio_path: Text = Field(description="In base64, or as a data URI.")
    text: Text | None = None


class SessionConfig(BaseModel):
    """The settings. Null means a field's default; they hold for all utterances that follow."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: Text | None = Field(None, max_length=256)
    voice: Annotated[
        VoiceId | None, BeforeValidator(lambda voice: {"id": voice} if isinstance(voice, str) else voice)
    ] = Field(None, validation_alias=AliasChoices("voice", "speaker"))
    language: Text | None = Field(None, max_length=64)
    instructions: Text | None = Field(None, max_length=MOST_CHARACTERS)
    response_format: Format | None = None
    speed: float | None = Field(1.0, ge=SLOWEST, le=FASTEST)
    ref_audio: Text | None = None
    ref_text: Text | None = Field(None, max_length=MOST_CHARACTERS)
    references: list[ReferenceClip] | None = Field(None, max_length=1)
    stream_audio: bool | None = False
    word_timestamps: bool | None = False
    seed: int | None = Field(None, le=2**63 - 1)
    split_granularity: Literal["none", "sentence", "clause"] | None = None
    sample_rate: int | None = Field(None, ge=LOWEST_RATE, le=HIGHEST_RATE)
    normalize: bool | None = None
    steps: int | None = Field(None, ge=1)
    markdown: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """The settings of a session, as a server has read them."""

    delivery: Delivery = Delivery()  # noqa: RUF009 - immutable
    format: AudioFormat = AudioFormat.WAV
    streams: bool = False
    """Whether audio is sent while a sentence is being spoken, and not once it is complete."""
    timestamps: bool = False
    splits: bool = True
    """Whether sentences are spoken one by one; if not, the text up to a flush is one."""
    sample_rate: int | None = None
    """Hz; None for the model's own."""
    markdown: bool = False
    model: str | None = None
    described: bool = False
    """Whether the client describes the voice."""
    granularity: str = "sentence"
    closes: bool = False
    """Whether `input.done` ends the session, as in SGLang-Omni."""
    ignored: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] | None = None


def read_config(fields: Mapping[str, Any], find_voice: FindVoice, *, steps_by_model: bool = False) -> StreamSettings:
    """Read the settings, flat or in an object `session`.

    steps_by_model: whether the model's name sets the number of steps where `steps` does not.

    Raises:
        FieldError: one is invalid, or would be followed by speech in another voice than was asked for.
    """
    wrapped = isinstance(fields.get("session"), dict)
    sent = {name: value for name, value in (fields["session"] if wrapped else fields).items() if name != "type"}
    there = {name: value for name, value in sent.items() if value is not None}
    for name in asking(there, _IN_ANOTHER_VOICE):
        raise FieldError(f"{name!r} cannot be used here: send a recording as 'ref_audio'.", name)
    given = parse_fields(SessionConfig, there)
    usual = AudioFormat.PCM if wrapped or given.stream_audio else AudioFormat.WAV
    style = given.instructions if given.instructions and given.instructions.strip() not in NO_STYLE else None
    voice = _read_voice(given, find_voice)
    steps = given.steps or (steps_of(given.model or DEFAULT_MODEL) if steps_by_model else None) or Sampling().steps
    return StreamSettings(
        delivery=Delivery(
            voice=replace(voice, style=style) if style else voice,
            sampling=Sampling(seed=seed_of(given.seed), steps=min(steps, MOST_STEPS)),
            language=given.language,
            speed=given.speed or 1.0,
            normalize=bool(given.normalize),
        ),
        format=given.response_format or usual,
        streams=bool(given.stream_audio),
        timestamps=bool(given.word_timestamps),
        splits=given.split_granularity != "none",
        sample_rate=given.sample_rate,
        markdown=bool(given.markdown),
        model=given.model,
        described=style is not None,
        granularity=given.split_granularity or "sentence",
        closes=wrapped,
        ignored=(*asking(there, _WITHOUT_EFFECT), *_unknown(there)),
        parameters=sent_parameters({**there, "instructions": style}, _PARAMETERS),
    )


def _unknown(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return unknown_fields(SessionConfig, (name for name in fields if name not in (*_WITHOUT_EFFECT, "speaker")))


def _read_voice(given: SessionConfig, find_voice: FindVoice) -> Voice:
    reference = given.references[0] if given.references else None
    data, words = (reference.audio_path, reference.text) if reference else (given.ref_audio, given.ref_text)
    if data:
        clip = _read_clip(data, "references" if reference else "ref_audio")
        return Voice(prompt=Prompt(clip, words)) if words and words.strip() else Voice(reference=clip)
    name = given.voice.id if given.voice else UNNAMED_VOICE
    voice = find_voice(name) if given.voice else Voice()
    if voice is None and name.lower() not in (UNNAMED_VOICE, *VOICES):
        message = f"There is no voice {shown(name)}. GET /v1/audio/voices lists the voices."
        raise FieldError(message, "voice", "voice_not_found")
    return voice or Voice()


def _read_clip(text: str, field: str) -> Clip:
    """Decode a recording. Addresses are not followed: strangers could have the server fetch anything."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return Clip(b64decode(text, validate=True), "the recording")
    except (binascii.Error, ValueError):
        message = f"{field!r} is not base64. Send the recording itself: nothing is fetched from elsewhere."
        raise FieldError(message, field, "invalid_clip") from None
