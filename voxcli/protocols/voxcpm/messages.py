"""VoxCPM's own API, `POST /api/tts/stream` and `POST /api/tts`: its form, as clients build it and servers read it.

Source: github.com/neosun100/voxcpm-docker, release 1.4.0. Our own servers read a few more fields: `seed`, `instruct`,
`reference_audio`, `language`, `speed` and `format`, and all fields on both paths.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import (
    AnswerForm,
    ClientOptions,
    FieldError,
    FindVoice,
    Framing,
    HttpCall,
    Problem,
    ServerRequest,
    content_type_of,
    read_content_type,
)
from voxcli.protocols.fields import Format, Malformed, Text, Upload, malformed_body, parse
from voxcli.protocols.openai.errors import error_message
from voxcli.protocols.voxcpm.voices import MOST_CHARACTERS, not_empty, read_voice, voice_fields
from voxcli.synthesis.request import (
    FASTEST,
    LEAST_GUIDANCE,
    MOST_GUIDANCE,
    MOST_RETRIES,
    MOST_STEPS,
    SLOWEST,
    Sampling,
    SynthesisRequest,
)
from voxcli.text.language import CHINESE, ENGLISH, language_of

__all__ = [
    "answer_form",
    "answer_headers",
    "error_body",
    "error_message",
    "extensions_used",
    "problem_of",
    "to_call",
    "to_server_request",
]

STREAM_PATH, WHOLE_PATH = "/api/tts/stream", "/api/tts"

DEFAULT_STEPS = 5
"""Default of VoxCPM's servers."""
NO_LIMIT = 4096
"""Patches. In this protocol it means that only the text limits the length."""
_ATTEMPTS = 3
_LONGEST_RATIO = 6.0
"""Patches per token of the text beyond which speech counts as failed. No other value is supported."""

_USUAL = Sampling()


class SpeechForm(BaseModel):
    """The form that both paths take. Empty fields count as missing; unknown fields are ignored."""

    text: Text = Field(min_length=1, description="The text to speak.")
    voice_id: Text = Field("", max_length=256, description="One of GET /api/voices.")
    prompt_audio: Upload | None = Field(None, description="A recording to continue.")
    prompt_text: Text = Field("", max_length=MOST_CHARACTERS, description="The transcript of prompt_audio.")
    cfg_value: float = Field(
        _USUAL.guidance,
        ge=LEAST_GUIDANCE,
        le=MOST_GUIDANCE,
        description="Classifier-free guidance: how closely the text and voice are followed.",
    )
    inference_timesteps: int | None = Field(
        None, ge=1, le=MOST_STEPS, description=f"More are better and slower. The default is {DEFAULT_STEPS}."
    )
    min_len: int = Field(_USUAL.min_patches, ge=0)
    max_len: int = Field(NO_LIMIT, ge=1, description=f"{NO_LIMIT} sets no limit besides the one derived from the text.")
    normalize: bool = Field(False, description="Spell out numbers, dates and units.")
    denoise: bool = Field(False, description="Remove the noise from the recordings.")
    retry_badcase: bool = Field(False, description="Regenerate speech that is far too long. Disables streaming.")
    retry_badcase_max_times: int = Field(
        _ATTEMPTS, json_schema_extra={"minimum": 1, "maximum": MOST_RETRIES + 1}, description="Only with retry_badcase."
    )
    retry_badcase_ratio_threshold: float = Field(_LONGEST_RATIO, ge=_LONGEST_RATIO, le=_LONGEST_RATIO)
    seed: int | None = Field(
        None, json_schema_extra={"minimum": 0}, description="Not in VoxCPM's API, like the following fields."
    )
    reference_audio: Upload | None = Field(None, description="A recording to imitate, which needs no transcript.")
    instruct: Text = Field("", max_length=MOST_CHARACTERS, description="How to speak.")
    language: Text = Field("", max_length=64, examples=["zh", "en"])
    speed: float = Field(1.0, ge=SLOWEST, le=FASTEST)
    format: Format | None = Field(
        None, description="Default: a WAV file for every chunk of a stream, or one WAV file for a complete response."
    )


_HAVE_OPTIONS = SpeechForm.model_fields.keys() - {"retry_badcase_max_times", "retry_badcase_ratio_threshold"}


def to_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Build the call for VoxCPM's servers, with every parameter, because their defaults have changed over time.

    Some fields are understood only by our own servers; others ignore them: see `extensions_used`.

    Raises:
        RequestError: the protocol cannot express it; names the option.
    """
    _check_options(options)
    sampling = request.sampling
    if sampling.max_patches == NO_LIMIT:
        raise RequestError(f"In VoxCPM's protocol, {NO_LIMIT} patches mean no limit. Leave out --max-len.")
    fields: dict[str, Any] = {
        "text": request.text,
        "cfg_value": float(sampling.guidance),
        "inference_timesteps": sampling.steps,
        "min_len": sampling.min_patches,
        "max_len": sampling.max_patches or NO_LIMIT,
        "normalize": request.normalize,
        "denoise": request.denoise,
        "seed": sampling.seed,
        "speed": float(request.speed) if request.speed != 1.0 else None,
        "format": options.format,
    }
    if not options.stream or sampling.retries:
        fields["retry_badcase"] = sampling.retries > 0
        fields["retry_badcase_max_times"] = sampling.retries + 1 if sampling.retries else _ATTEMPTS
        fields["retry_badcase_ratio_threshold"] = _LONGEST_RATIO
    if request.language is not None:
        fields["language"] = not_empty(request.language, "name of the language", "--language")
    elif request.normalize and request.text_language in (CHINESE, ENGLISH) and language_of(request.text) is None:
        fields["language"] = request.text_language  # a number alone, of which the server does not see the text
    form = {name: _form_value(value) for name, value in fields.items() if value is not None}
    texts, files = voice_fields(request.voice)
    path = STREAM_PATH if options.stream else WHOLE_PATH
    return HttpCall(method="POST", path=path, form={**form, **texts, **options.extra}, files=files)


def _check_options(options: ClientOptions) -> None:
    if options.model is not None:
        raise RequestError("VoxCPM's protocol cannot choose a model: a server has one. Leave out --model.")
    if options.mode is not None:
        raise RequestError("VoxCPM's protocol has no streaming modes. Leave out --streaming-mode.")
    if said_twice := [name for name in options.extra if name in _HAVE_OPTIONS]:
        raise RequestError(f"--extra cannot set {said_twice[0]!r}: there is an option for it.")


def _form_value(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def extensions_used(request: SynthesisRequest, options: ClientOptions) -> list[str]:
    """Name the options in use that only our own servers understand. Others ignore them silently.

    A named voice is not among them in a stream: `GET /api/voices` lists the voices of a server.
    """
    return list(_extensions(request, options))


def _extensions(request: SynthesisRequest, options: ClientOptions) -> Iterator[str]:
    voice = request.voice
    checks = (
        (request.sampling.seed is not None, "--seed"),
        (options.stream and request.sampling.retries, "--retry-badcase (without --no-stream)"),
        (voice.reference, "--ref-audio"),
        (voice.style is not None, "--instruct"),
        (voice.name is not None and not options.stream, "--voice (with --no-stream)"),
        (request.language is not None, "--language"),
        (request.speed != 1.0, "--speed"),
        (options.format not in (None, AudioFormat.WAV), "--wire-format"),
    )
    return (option for used, option in checks if used)


def answer_form(headers: Mapping[str, str], call: HttpCall) -> AnswerForm:
    """Determine the format of a response from its headers and from the call.

    Args:
        headers: by lower-case names.
    """
    asked = (call.form or {}).get("format")
    told, rate = read_content_type(headers.get("content-type", ""))
    format = told or AudioFormat(asked or AudioFormat.WAV)
    # Servers that ignore the field send blocks anyway, so the reader also checks the bytes.
    blocks = format is AudioFormat.WAV and call.path == STREAM_PATH and asked is None
    return AnswerForm(
        format=format,
        framing=Framing.BLOCKS if blocks else Framing.PLAIN,
        sample_rate=rate,
        whole=call.path == WHOLE_PATH,
    )


def to_server_request(
    fields: Mapping[str, Any],
    find_voice: FindVoice,
    *,
    stream: bool = True,
    default_steps: int = DEFAULT_STEPS,
    max_characters: int | None = None,
) -> ServerRequest:
    """Read a request. Empty fields count as absent; unknown fields are ignored.

    Args:
        stream: whether it was sent to `/api/tts/stream`.
        default_steps: for requests without `inference_timesteps`.
        max_characters: of the text.

    Raises:
        FieldError: a field is missing or invalid. `problem_of` returns the status.
        RequestError: the request is invalid as a whole.
    """
    there = {name: value for name, value in fields.items() if value is not None and value != ""}
    given = parse(SpeechForm, there, text="text", max_characters=max_characters)
    request = SynthesisRequest(
        text=given.text,
        voice=read_voice(given, find_voice),
        sampling=_read_sampling(given, default_steps),
        language=given.language or None,
        speed=given.speed,
        normalize=given.normalize,
        denoise=given.denoise,
    )
    form = AnswerForm(
        format=given.format or AudioFormat.WAV,
        framing=Framing.BLOCKS if stream and not given.format else Framing.PLAIN,
        whole=not stream,
    )
    return ServerRequest(request=request, form=form)


def _read_sampling(given: SpeechForm, default_steps: int) -> Sampling:
    return Sampling(
        steps=given.inference_timesteps or default_steps,
        guidance=given.cfg_value,
        seed=given.seed,
        min_patches=given.min_len,
        max_patches=None if given.max_len == NO_LIMIT else given.max_len,
        retries=given.retry_badcase_max_times - 1 if given.retry_badcase else 0,
    )


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return the response headers.

    Args:
        sample_rate: Hz, of the response.
    """
    return {"content-type": content_type_of(server_request.form.format, sample_rate)}


_STATUSES = {"voice_not_found": 404, "prompt_incomplete": 400, "invalid_value": 400}


def problem_of(error: FieldError) -> Problem:
    """Return the problem of an invalid field: status 422 if it is malformed, as in FastAPI."""
    status = 422 if isinstance(error, Malformed) else _STATUSES.get(error.code, 400)
    return Problem(status=status, message=str(error), code=error.code, field=error.field)


def error_body(problem: Problem) -> dict[str, Any]:
    """Return a problem as FastAPI shapes it."""
    return malformed_body(problem) if problem.status == 422 else {"detail": problem.message}
