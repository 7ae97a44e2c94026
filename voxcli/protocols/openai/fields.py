"""Body of `POST /v1/audio/speech` in OpenAI's API, as a server reads it.

Source: CreateSpeechRequest in github.com/openai/openai-openapi, 2.3.0. Steps by the name of the model as in
github.com/neosun100/voxcpm-docker.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, FieldError, FindVoice, Framing, ServerRequest
from voxcli.protocols.fields import Format, Malformed, Text, parse, seed_of, sent_parameters, shown, unknown_fields
from voxcli.protocols.openai import servers
from voxcli.synthesis.request import FASTEST, MOST_STEPS, SLOWEST, Parameter, Sampling, SynthesisRequest, Voice

SERVED_FORMAT = AudioFormat.MP3
"""Sent to clients that request no format."""
PCM_RATE = 24000
"""Hz. PCM has no header; clients assume this rate."""
LOWEST_RATE, HIGHEST_RATE = 8000, 48000
MOST_CHARACTERS = 4096
"""In the text, and in the instructions."""

UNNAMED_VOICE = "default"
"""What a server takes as the name of no voice in particular."""
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
"""Names that clients of OpenAI use. If the library has no such voice, the model chooses one."""

DEFAULT_MODEL = servers.MODEL
_STEPS = {"tts-1": 5, "tts-1-hd": 10, "gpt-4o-mini-tts": 7}
MODELS = (*_STEPS,)
_DATE = re.compile(r"-(\d{4}|\d{4}-\d\d-\d\d)$")

_SSE = "sse"
NO_STYLE = ("", "None")
"""Home Assistant sends the second for no instructions."""


class VoiceId(BaseModel):
    """A voice as an object, as OpenAI's clients name voices of their own."""

    id: Text = Field(max_length=256)


def voice_id(voice: object) -> object:
    """Return the name of a voice as the object of that voice."""
    return {"id": voice} if isinstance(voice, str) else voice


_VOICE_NAME = {"type": "string", "description": "One of GET /v1/audio/voices."}
_VOICE_SCHEMA = {
    "anyOf": [_VOICE_NAME, {"type": "object", "properties": {"id": _VOICE_NAME}, "required": ["id"]}, {"type": "null"}],
    "default": UNNAMED_VOICE,
}


class CreateSpeech(BaseModel):
    """The body of a request for speech. Null means a field's default; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="allow")

    input: Text = Field(json_schema_extra={"minLength": 1}, description="The text to speak.")
    model: Text | None = Field(None, max_length=256)
    voice: Annotated[VoiceId | None, BeforeValidator(voice_id), WithJsonSchema(_VOICE_SCHEMA)] = None
    instructions: Text | None = Field(None, max_length=MOST_CHARACTERS, description="How to speak.")
    response_format: Format | None = SERVED_FORMAT
    speed: float | None = Field(1.0, ge=SLOWEST, le=FASTEST)
    stream_format: Literal["sse", "audio"] | None = "audio"
    seed: int | None = Field(
        None,
        le=2**63 - 1,
        description="Below 0 a new one is drawn. Not in OpenAI's API, like the following fields.",
    )
    language: Text | None = Field(None, max_length=64, examples=["zh", "en"])
    normalize: bool | None = Field(None, description="Spell out numbers, dates and units.")
    steps: int | None = Field(
        None, ge=1, description=f"Overrides the steps that the model name implies. {MOST_STEPS} at most."
    )
    sample_rate: int | None = Field(None, ge=LOWEST_RATE, le=HIGHEST_RATE, description="Hz.")
    word_timestamps: bool | None = Field(
        None, description='With `stream_format` "sse": events of type `speech.sentence` besides those with audio.'
    )
    subtitles: Literal["srt", "vtt", "lrc", "json"] | None = Field(
        None, description="Answer with one JSON object: `audio` in base64, its `format`, and its `subtitles`."
    )


def steps_of(model: str) -> int | None:
    """Return the steps for the name of an OpenAI model, dated or not; None for other names."""
    return _STEPS.get(_DATE.sub("", model))


def to_server_request(
    fields: Mapping[str, Any],
    find_voice: FindVoice,
    *,
    max_characters: int = MOST_CHARACTERS,
    steps_by_model: bool = False,
) -> ServerRequest:
    """Read a request. Unknown fields are ignored, as clients expect.

    Besides OpenAI's fields there are `seed`, `language`, `normalize`, `steps`, and `sample_rate` (Hz, of any format).

    Args:
        max_characters: of the text.
        steps_by_model: whether the model's name sets the number of steps where `steps` does not.

    Raises:
        FieldError: a field is missing or invalid.
    """
    given = _parse(fields, max_characters)
    steps = given.steps or (steps_of(given.model or DEFAULT_MODEL) if steps_by_model else None)
    sampling = Sampling(seed=seed_of(given.seed))
    voice = _read_voice(given, find_voice)
    try:
        request = SynthesisRequest(
            text=given.input,
            voice=voice,
            sampling=replace(sampling, steps=min(steps, MOST_STEPS)) if steps else sampling,
            language=given.language,
            speed=given.speed or 1.0,
            normalize=bool(given.normalize),
        )
    except RequestError as error:  # everything else has been checked
        raise FieldError(str(error), "input") from error
    form = _form_of(given)
    limited = [
        *(["steps"] if (steps or 0) > MOST_STEPS else []),
        *(["word_timestamps"] if given.word_timestamps and not form.sentences else []),
    ]
    return ServerRequest(
        request=request,
        form=form,
        model=given.model,
        parameters=sent_parameters({**fields, "instructions": _style_of(given)}, _PARAMETERS),
        ignored=(*limited, *unknown_fields(CreateSpeech, fields)),
    )


def _form_of(given: CreateSpeech) -> AnswerForm:
    format = given.response_format or SERVED_FORMAT
    events = given.stream_format == _SSE
    if given.subtitles and events:
        raise FieldError(
            "Subtitles come with a complete answer. With stream_format 'sse', ask for word_timestamps instead.",
            "subtitles",
        )
    # FLAC has its length at its start; libsndfile refuses it without.
    whole = format is AudioFormat.FLAC and "stream_format" not in given.model_fields_set
    return AnswerForm(
        format=format,
        framing=Framing.SSE if events else Framing.OBJECT if given.subtitles else Framing.PLAIN,
        sample_rate=PCM_RATE if given.sample_rate is None and format is AudioFormat.PCM else given.sample_rate,
        whole=whole or bool(given.subtitles),
        sentences=events and bool(given.word_timestamps),
        subtitles=SubtitleFormat(given.subtitles) if given.subtitles else None,
    )


_PARAMETERS = {"instructions": Parameter.STYLE, "seed": Parameter.SEED, "steps": Parameter.STEPS}

_CODES = {"missing": "missing_required_parameter", "string_too_long": "string_above_max_length"}


def _parse(fields: Mapping[str, Any], max_characters: int) -> CreateSpeech:
    """Read the body; errors carry OpenAI's codes."""
    there = {name: _integral(value) for name, value in fields.items() if value is not None}
    try:
        return parse(CreateSpeech, there, text="input", max_characters=max_characters)
    except Malformed as error:
        code = _CODES.get(error.code, "invalid_type" if error.code.endswith("_type") else "invalid_value")
        raise FieldError(str(error), error.field, code) from None


def _integral(value: object) -> object:
    """Return 8000.0 as 8000: in JSON both are the same number, and the model is strict."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_voice(given: CreateSpeech, find_voice: FindVoice) -> Voice:
    voice = named_voice(given.voice.id, find_voice) if given.voice else Voice()
    style = _style_of(given)
    return replace(voice, style=style) if style else voice


def named_voice(name: str, find_voice: FindVoice, field: str = "voice") -> Voice:
    """Find a voice, of which those of OpenAI are always there. Raises FieldError."""
    voice = find_voice(name)
    if voice is None:
        if name.lower() not in (UNNAMED_VOICE, *VOICES):
            raise FieldError(
                f"There is no voice {shown(name)}. GET /v1/audio/voices lists the voices.",
                field,
                "voice_not_found",
            )
        voice = Voice()
    return voice


def _style_of(given: CreateSpeech) -> str | None:
    """Return the instructions, unless they say that there are none."""
    style = given.instructions
    return None if style is None or style.strip() in NO_STYLE else style
