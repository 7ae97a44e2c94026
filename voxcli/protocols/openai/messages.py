"""OpenAI's speech API, `POST /v1/audio/speech`: its body, as clients build it and servers read it.

Source: CreateSpeechRequest in github.com/openai/openai-openapi, 2.3.0. Steps by the name of the model as in
github.com/neosun100/voxcpm-docker.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import (
    AnswerForm,
    ClientOptions,
    FieldError,
    FindVoice,
    Framing,
    HttpCall,
    ServerRequest,
    audio_headers,
    read_audio_headers,
)
from voxcli.protocols.fields import Format, Malformed, Text, parse, seed_of, sent_parameters, shown, unknown_fields
from voxcli.protocols.openai import servers
from voxcli.protocols.openai.errors import error_body, error_message
from voxcli.protocols.openai.servers import Choice
from voxcli.synthesis.request import FASTEST, MOST_STEPS, SLOWEST, Parameter, Sampling, SynthesisRequest, Voice

__all__ = ["answer_form", "answer_headers", "error_body", "error_message", "steps_of", "to_call", "to_server_request"]

SERVED_FORMAT = AudioFormat.MP3
"""Sent to clients that request no format."""
PCM_RATE = 24000
"""Hz. PCM has no header; clients assume this rate."""
LOWEST_RATE, HIGHEST_RATE = 8000, 48000
MOST_CHARACTERS = 4096
"""In the text, and in the instructions."""

DEFAULT_VOICE = servers.VOICE
"""Requested by our client, since OpenAI's server needs one."""
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

EVENTS = "text/event-stream"
_SSE = "sse"
_NO_STYLE = ("", "None")
"""Home Assistant sends the second for no instructions."""


class VoiceId(BaseModel):
    """A voice as an object, as OpenAI's clients name voices of their own."""

    id: Text = Field(max_length=256)


def _voice_id(voice: object) -> object:
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
    voice: Annotated[VoiceId | None, BeforeValidator(_voice_id), WithJsonSchema(_VOICE_SCHEMA)] = None
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


def steps_of(model: str) -> int | None:
    """Return the steps for the name of an OpenAI model, dated or not; None for other names."""
    return _STEPS.get(_DATE.sub("", model))


def to_call(request: SynthesisRequest, options: ClientOptions, choice: Choice | None = None) -> HttpCall:
    """Build the call. Its path is relative to a base URL that ends in `/v1`.

    A voice whose name begins with "voice_" is a custom one, sent as an object. Values in `options.extra` are sent as
    JSON if they are valid JSON, such as 5 or true, else as text.

    Args:
        choice: what to name where the user names nothing; None for what OpenAI's own server knows.

    Raises:
        RequestError: the protocol cannot express it; names the option.
    """
    if choice is None:
        choice = Choice(model=servers.choose_model(servers.Catalog(), styled=request.voice.style is not None))
    voice = choice.voice if request.voice.name is None else request.voice.name
    if unsaid := list(_unsaid(request, options, choice)):
        what, flags = (", ".join(words) for words in zip(*unsaid, strict=True))
        raise RequestError(f"OpenAI's protocol cannot express {what}.", on_command_line=f"Leave out {flags}.")
    clips = _clip_fields(request.voice)
    fields: dict[str, Any] = {
        "model": options.model or choice.model,
        "input": request.text,
        "voice": None if clips else {"id": voice} if voice and voice.startswith("voice_") else voice,
        "instructions": request.voice.style,
        "response_format": (options.format or choice.format).value,
        "speed": request.speed if request.speed != 1.0 else None,
        **clips,
    }
    if request.sampling.seed is not None:
        fields["seed"] = request.sampling.seed
    if said_twice := [name for name in options.extra if name in fields]:
        raise RequestError(
            f"{said_twice[0]!r} cannot be an extra field.",
            on_command_line="Leave it out of --extra: there is an option for it.",
        )
    given = {name: value for name, value in fields.items() if value is not None}
    extra = {name: _json_or_text(value) for name, value in options.extra.items()}
    return HttpCall(method="POST", path="/audio/speech", json={**given, **choice.switches, **extra})


def _clip_fields(voice: Voice) -> dict[str, str]:
    """Return the fields with a recording, as vLLM-Omni and SGLang-Omni read them."""
    clip = voice.prompt.clip if voice.prompt else voice.reference
    if clip is None:
        return {}
    fields = {"ref_audio": f"data:audio/wav;base64,{b64encode(clip.data).decode()}"}
    return {**fields, "ref_text": voice.prompt.transcript} if voice.prompt else fields


def _unsaid(request: SynthesisRequest, options: ClientOptions, choice: Choice) -> Iterator[tuple[str, str]]:
    """Yield what the protocol cannot express, with its options."""
    voice, sampling, usual, extended = request.voice, request.sampling, Sampling(), choice.takes_clips
    checks = (
        (voice.reference and not extended, "a clip to imitate", "--ref-audio"),
        (voice.prompt and not extended, "an audio prompt", "--prompt-audio and --prompt-text"),
        (voice.reference and voice.prompt and extended, "two recordings", "--ref-audio"),
        (voice.style is not None and voice.style.strip() in _NO_STYLE, "an empty description", "--instruct"),
        (request.language is not None, "the language", "--language"),
        (request.normalize, "text normalization", "--normalize"),
        (request.denoise, "denoising", "--denoise"),
        (sampling.seed is not None and not extended, "a seed", "--seed"),
        (sampling.steps != usual.steps, "steps", "--steps (or choose by --model)"),
        (sampling.guidance != usual.guidance, "guidance", "--cfg"),
        (sampling.min_patches != usual.min_patches, "a minimum length", "--min-len"),
        (sampling.max_patches != usual.max_patches, "a maximum length", "--max-len"),
        (sampling.retries != usual.retries, "retries", "--retry-badcase"),
        (options.mode is not None, "a streaming mode", "--streaming-mode"),
        (not options.stream and not extended, "a complete response", "--no-stream"),
    )
    return ((what, option) for is_there, what, option in checks if is_there)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def answer_form(headers: Mapping[str, str], call: HttpCall) -> AnswerForm:
    """Determine the format of a response from its headers and from the call.

    Args:
        headers: by lower-case names.
    """
    asked, told = call.json or {}, read_audio_headers(headers)
    wanted = AudioFormat(asked.get("response_format", SERVED_FORMAT))
    rate = told.sample_rate or _asked_rate(asked)
    is_raw = told.format is AudioFormat.PCM or (told.format is None and told.sample_rate is not None)
    return AnswerForm(
        format=AudioFormat.PCM if is_raw else wanted,
        framing=Framing.SSE if told.is_sse else Framing.PLAIN,
        sample_rate=rate or PCM_RATE,
        channels=told.channels,
        rate_is_guessed=rate is None,
    )


def _asked_rate(asked: Mapping[str, Any]) -> int | None:
    rate = asked.get("sample_rate")
    return rate if isinstance(rate, int) and LOWEST_RATE <= rate <= HIGHEST_RATE else None


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
    format = given.response_format or SERVED_FORMAT
    form = AnswerForm(
        format=format,
        framing=Framing.SSE if given.stream_format == _SSE else Framing.PLAIN,
        sample_rate=PCM_RATE if given.sample_rate is None and format is AudioFormat.PCM else given.sample_rate,
        # FLAC has its length at its start; libsndfile refuses it without.
        whole=format is AudioFormat.FLAC and "stream_format" not in given.model_fields_set,
    )
    return ServerRequest(
        request=request,
        form=form,
        model=given.model,
        parameters=sent_parameters({**fields, "instructions": _style_of(given)}, _PARAMETERS),
        ignored=(*(("steps",) if (steps or 0) > MOST_STEPS else ()), *unknown_fields(CreateSpeech, fields)),
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
    name = given.voice.id if given.voice else UNNAMED_VOICE
    voice = find_voice(name) if given.voice else Voice()
    if voice is None:
        if name.lower() not in (UNNAMED_VOICE, *VOICES):
            raise FieldError(
                f"There is no voice {shown(name)}. GET /v1/audio/voices lists the voices.",
                "voice",
                "voice_not_found",
            )
        voice = Voice()
    style = _style_of(given)
    return replace(voice, style=style) if style else voice


def _style_of(given: CreateSpeech) -> str | None:
    """Return the instructions, unless they say that there are none."""
    style = given.instructions
    return None if style is None or style.strip() in _NO_STYLE else style


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return the response headers.

    Args:
        sample_rate: Hz, of the response.
    """
    if server_request.form.framing is Framing.SSE:
        return {**audio_headers(server_request.form.format, sample_rate, EVENTS), "cache-control": "no-cache"}
    return audio_headers(server_request.form.format, sample_rate)
