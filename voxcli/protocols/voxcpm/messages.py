"""VoxCPM's own API, `POST /api/tts/stream` and `POST /api/tts`: its form, as clients build it and servers read it.

Source: github.com/neosun100/voxcpm-docker, release 1.4.0. Our own servers read a few more fields: `seed`, `instruct`,
`reference_audio`, `language`, `speed`, `format`, `as_is` and `text_language`, and all fields on both paths.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import (
    AnswerForm,
    ClientOptions,
    FieldError,
    Framing,
    HttpCall,
    Problem,
    ServerRequest,
    audio_headers,
    read_audio_headers,
)
from voxcli.protocols.fields import Malformed, malformed_body
from voxcli.protocols.openai.errors import error_message
from voxcli.protocols.voxcpm.exact import FLOAT32, exact_form
from voxcli.protocols.voxcpm.fields import (
    ATTEMPTS,
    DEFAULT_STEPS,
    LONGEST_RATIO,
    NO_LIMIT,
    SpeechForm,
    to_server_request,
)
from voxcli.protocols.voxcpm.voices import not_empty, refuse_two_voices, voice_fields
from voxcli.synthesis.request import SynthesisRequest
from voxcli.text.language import CHINESE, ENGLISH, language_of

__all__ = [
    "DEFAULT_STEPS",
    "NO_LIMIT",
    "SpeechForm",
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

_HAVE_OPTIONS = SpeechForm.model_fields.keys() - {"retry_badcase_max_times", "retry_badcase_ratio_threshold"}


def to_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Build the call for VoxCPM's servers, with every parameter, because their defaults have changed over time.

    Some fields are understood only by our own servers; others ignore them: see `extensions_used`.

    Raises:
        RequestError: the protocol cannot express it; names the option.
    """
    _check_options(options)
    if options.as_is:
        return _exact_call(request, options)
    sampling = request.sampling
    if sampling.max_patches == NO_LIMIT:
        raise RequestError(
            f"In VoxCPM's protocol, {NO_LIMIT} patches mean no limit.", on_command_line="Leave out --max-len."
        )
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
        fields["retry_badcase_max_times"] = sampling.retries + 1 if sampling.retries else ATTEMPTS
        fields["retry_badcase_ratio_threshold"] = LONGEST_RATIO
    if request.language is not None:
        fields["language"] = not_empty(request.language, "name of the language", "--language")
    elif request.normalize and request.text_language in (CHINESE, ENGLISH) and language_of(request.text) is None:
        fields["language"] = request.text_language  # a number alone, of which the server does not see the text
    form = {name: _form_value(value) for name, value in fields.items() if value is not None}
    texts, files = voice_fields(request.voice)
    path = STREAM_PATH if options.stream else WHOLE_PATH
    return HttpCall(method="POST", path=path, form={**form, **texts, **options.extra}, files=files)


def _exact_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Build the call whose text is one request to the engine, for our own servers."""
    refuse_two_voices(request.voice)
    texts, files = exact_form(request)
    if options.format:
        texts["format"] = options.format
    path = STREAM_PATH if options.stream else WHOLE_PATH
    return HttpCall(method="POST", path=path, form={**texts, **options.extra}, files=files)


def _check_options(options: ClientOptions) -> None:
    if options.model is not None:
        raise RequestError(
            "VoxCPM's protocol cannot choose a model: a server has one.", on_command_line="Leave out --model."
        )
    if options.mode is not None:
        raise RequestError("VoxCPM's protocol has no streaming modes.", on_command_line="Leave out --streaming-mode.")
    if said_twice := [name for name in options.extra if name in _HAVE_OPTIONS]:
        raise RequestError(
            f"{said_twice[0]!r} cannot be an extra field.",
            on_command_line="Leave it out of --extra: there is an option for it.",
        )


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
    told = read_audio_headers(headers)
    # The audio of a stream may come in blocks, a WAV file for each: the decoder tells by the bytes.
    floats = told.floats or (told.format is None and asked == FLOAT32)
    format = told.format or (AudioFormat.PCM if floats else AudioFormat(asked or AudioFormat.WAV))
    return AnswerForm(
        format=format,
        framing=Framing.SSE if told.is_sse else Framing.PLAIN,
        sample_rate=told.sample_rate,
        channels=told.channels,
        whole=call.path == WHOLE_PATH or format is AudioFormat.FLAC,
        floats=floats,
    )


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return the response headers.

    Args:
        sample_rate: Hz, of the response.
    """
    return audio_headers(server_request.form.format, sample_rate, floats=server_request.form.floats)


_STATUSES = {"voice_not_found": 404, "prompt_incomplete": 400, "invalid_value": 400}


def problem_of(error: FieldError) -> Problem:
    """Return the problem of an invalid field: status 422 if it is malformed, as in FastAPI."""
    status = 422 if isinstance(error, Malformed) else _STATUSES.get(error.code, 400)
    return Problem(status=status, message=str(error), code=error.code, field=error.field)


def error_body(problem: Problem) -> dict[str, Any]:
    """Return a problem as FastAPI shapes it."""
    return malformed_body(problem) if problem.status == 422 else {"detail": problem.message}
