"""GPT-SoVITS's API, `/tts` of its api_v2.py: calls that clients make and servers read.

Source: github.com/RVC-Boss/GPT-SoVITS, api_v2.py of 2026. Some requests make it stop early, hang
or omit words; those are refused here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from voxcli.protocols.fields import Malformed
from voxcli.protocols.gptsovits.fields import (
    DEFAULTS,
    MEDIA_TYPES,
    RAW_RATE,
    error_body,
    is_failure,
    to_server_request,
    without_failure,
)
from voxcli.protocols.gptsovits.text_cuts import is_spoken, to_code
from voxcli.protocols.openai.errors import error_message as message_of
from voxcli.synthesis.request import Sampling, SynthesisRequest

__all__ = [
    "answer_form",
    "answer_headers",
    "error_body",
    "error_message",
    "fallback",
    "is_failure",
    "problem_of",
    "to_call",
    "to_server_request",
    "v1_call",
    "without_failure",
]

PATH, V1_PATH = "/tts", "/"
_FASTEST_MODE = 3
_SMALLEST_CHUNKS = (2, 3)
"""Modes that send parts of a sentence. Servers from before November 2025 do not know them."""

_HAVE_OPTIONS = frozenset(("text", "text_lang", "speed_factor", "seed", "media_type", "streaming_mode"))
_LEAST = {"batch_size": 1, "overlap_length": 1, "min_chunk_length": 1, "top_k": 1, "fragment_interval": 0}
_GREATEST_SEED = 2**32 - 1
_V1_NAMES = {
    "ref_audio_path": "refer_wav_path",
    "prompt_text": "prompt_text",
    "prompt_lang": "prompt_language",
    "text": "text",
    "text_lang": "text_language",
    "top_k": "top_k",
    "top_p": "top_p",
    "temperature": "temperature",
    "speed_factor": "speed",
    "sample_steps": "sample_steps",
    "super_sampling": "if_sr",
}


def to_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Build the call for api_v2.py, with every field, because its defaults have changed over time.

    The server does not split the text: the caller has. The default number of steps is the server's own. Everything
    without an option comes as `options.extra`: `ref_audio_path` is a file on the server that speaks `prompt_text` in
    `prompt_lang`; without it the name of the voice takes its place.

    Raises:
        RequestError: the protocol cannot express it; names the option.
    """
    fields = _fields(request, options)
    if not fields["ref_audio_path"]:
        raise RequestError(
            "GPT-SoVITS speaks in the voice of a recording on the server, which the request has to name.",
            on_command_line="Name the file there with --ref-audio PATH.",
        )
    return HttpCall(method="POST", path=PATH, json=fields)


def fallback(call: HttpCall, status: int, body: bytes) -> HttpCall | None:
    """Return a call that older servers accept, if this one was refused for its streaming mode."""
    given = call.json or {}
    if status != 422 or given.get("streaming_mode") not in _SMALLEST_CHUNKS or b"streaming_mode" not in body:
        return None
    return replace(call, json={**given, "streaming_mode": True})


def v1_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Build the call for api.py, the first version, whose operator chooses the response format.

    Without a recording it speaks in the voice that its operator has configured.

    Raises:
        RequestError: the protocol cannot express it; names the option.
    """
    checks = (
        (request.sampling.seed is not None, "a seed", "--seed"),
        (options.mode is not None, "streaming modes", "--streaming-mode"),
        (options.format is not None, "a choice of formats", "--wire-format"),
        ("cut_punc" in options.extra, "splitting at chosen punctuation", "--extra cut_punc"),
    )
    for is_there, what, option in checks:
        if is_there:
            raise RequestError(
                f"The first version of GPT-SoVITS's API has no {what}.", on_command_line=f"Leave out {option}."
            )
    fields = _fields(request, replace(options, stream=False))
    if unknown := [name for name in options.extra if name not in _V1_NAMES]:
        raise RequestError(
            f"The first version of GPT-SoVITS's API has no {unknown[0]!r}.", on_command_line="Leave it out of --extra."
        )
    if not fields["ref_audio_path"]:
        fields = {name: value for name, value in fields.items() if name not in ("prompt_text", "prompt_lang")}
    return HttpCall(
        method="POST",
        path=V1_PATH,
        json={theirs: fields[ours] for ours, theirs in _V1_NAMES.items() if fields.get(ours, "") != ""},
    )


def _fields(request: SynthesisRequest, options: ClientOptions) -> dict[str, Any]:
    """Return all fields of `/tts`."""
    if unsaid := next(_unsaid(request, options), None):
        raise RequestError(
            f"GPT-SoVITS's protocol cannot express {unsaid[0]}.", on_command_line=f"Leave out {unsaid[1]}."
        )
    _check_recordings(request, options)
    if not is_spoken(request.text):
        raise RequestError("The text has no words: GPT-SoVITS fails on such a text.")
    language = to_code(request.language)
    mode = _mode(options)
    steps, seed = request.sampling.steps, request.sampling.seed
    fields = {
        **DEFAULTS,
        "text": request.text,
        "text_lang": language,
        "ref_audio_path": request.voice.name or "",
        "prompt_lang": language,
        "text_split_method": "cut0",
        "split_bucket": False,
        "speed_factor": request.speed,
        "seed": -1 if seed is None else seed,
        "media_type": _media_type(options.format),
        "streaming_mode": mode,
        "parallel_infer": mode not in _SMALLEST_CHUNKS,
        "sample_steps": DEFAULTS["sample_steps"] if steps == Sampling().steps else steps,
        **{name: _typed(name, value) for name, value in options.extra.items()},
    }
    _check_extra(fields, options.extra)
    return fields


def _unsaid(request: SynthesisRequest, options: ClientOptions) -> Iterator[tuple[str, str]]:
    """Yield what the protocol cannot express, with its option."""
    sampling, usual = request.sampling, Sampling()
    checks = (
        (request.voice.style is not None, "a description", "--instruct"),
        (request.normalize, "text normalization", "--normalize"),
        (request.denoise, "denoising", "--denoise"),
        (sampling.guidance != usual.guidance, "guidance", "--cfg"),
        (sampling.min_patches != usual.min_patches, "a minimum length", "--min-len"),
        (sampling.max_patches != usual.max_patches, "a maximum length", "--max-len"),
        (sampling.retries != usual.retries, "retries", "--retry-badcase"),
        ((sampling.seed or 0) > _GREATEST_SEED, f"a seed above {_GREATEST_SEED}", "--seed"),
        (sampling.steps == DEFAULTS["sample_steps"], f"{sampling.steps} steps: they are its default", "--steps"),
        (options.model is not None, "a model: its server has loaded one", "--model"),
    )
    return ((what, option) for is_there, what, option in checks if is_there)


def _check_recordings(request: SynthesisRequest, options: ClientOptions) -> None:
    if request.voice.name is not None and "ref_audio_path" in options.extra:
        raise RequestError(
            "Give the name of a voice or a recording on the server, not both.",
            on_command_line="Leave out --voice or --ref-audio.",
        )
    if request.voice.reference or request.voice.prompt:
        raise RequestError(
            "GPT-SoVITS's protocol cannot send a recording: the server reads it from its own disk.",
            on_command_line="Name the file there with --ref-audio PATH.",
        )


def _mode(options: ClientOptions) -> int:
    if options.mode is None:
        return _FASTEST_MODE if options.stream else 0
    if options.mode not in range(4):
        raise RequestError(
            f"GPT-SoVITS has no streaming mode {options.mode}.", on_command_line="Choose --streaming-mode 0, 1, 2 or 3."
        )
    if options.mode and not options.stream:
        raise RequestError(
            "A streaming mode from 1 to 3 streams.", on_command_line="Leave out --streaming-mode or --no-stream."
        )
    return options.mode


def _media_type(format: AudioFormat | None) -> str:
    for media_type, known in MEDIA_TYPES.items():
        if known is (format or AudioFormat.WAV):
            return media_type
    listing = ", ".join(known.value for known in MEDIA_TYPES.values())
    raise RequestError(
        f"GPT-SoVITS does not send {format}; it sends {listing}.", on_command_line="Choose another --wire-format."
    )


def _typed(name: str, value: str) -> Any:
    """Parse a typed value as the type of its field."""
    if isinstance(DEFAULTS.get(name, ""), str):
        return value.lower() if name == "prompt_lang" else value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise RequestError(
            f"{name} should look like {json.dumps(DEFAULTS[name])}, not {value!r}.",
            on_command_line=f"Correct --extra {name}=VALUE.",
        ) from None


def _check_extra(fields: Mapping[str, Any], extra: Mapping[str, str]) -> None:
    """Refuse fields that have an option, and values that make the server hang or drop words."""
    if said_twice := [name for name in extra if name in _HAVE_OPTIONS]:
        raise RequestError(
            f"{said_twice[0]!r} cannot be an extra field.",
            on_command_line="Leave it out of --extra: there is an option for it.",
        )
    for name, least in _LEAST.items():
        if not isinstance(fields[name], int | float) or fields[name] < least:
            raise RequestError(
                f"{name} must be a number from {least} on: otherwise GPT-SoVITS may hang.",
                on_command_line=f"Correct --extra {name}=VALUE.",
            )
    if fields["batch_size"] > 1 and fields["streaming_mode"] in _SMALLEST_CHUNKS:
        raise RequestError(
            "In the streaming modes 2 and 3 GPT-SoVITS leaves words out of all but the first sentence of a batch.",
            on_command_line="Leave out --extra batch_size, or choose --streaming-mode 1.",
        )


def answer_form(headers: Mapping[str, str], call: HttpCall) -> AnswerForm:
    """Determine the format of a response from its headers and from the call.

    Args:
        headers: by lower-case names.
    """
    asked = call.json or {}
    told = read_audio_headers(headers)
    format = told.format or MEDIA_TYPES[asked.get("media_type", DEFAULTS["media_type"])]
    return AnswerForm(
        format=format,
        framing=Framing.SSE if told.is_sse else Framing.PLAIN,
        sample_rate=told.sample_rate or (RAW_RATE if format is AudioFormat.PCM else None),
        channels=told.channels,
        rate_is_guessed=told.sample_rate is None,
        whole=not asked.get("streaming_mode"),
    )


def error_message(status: int, body: bytes) -> str:
    """Return one sentence from an error response of any shape."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    reason = said.get("Exception") if isinstance(said, dict) else None
    return message_of(status, json.dumps(reason).encode() if isinstance(reason, str) and reason.strip() else body)


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return the response headers, with the content types of api_v2.py.

    Args:
        sample_rate: Hz, of the response.
    """
    format = server_request.form.format
    content_type = next(f"audio/{name}" for name, known in MEDIA_TYPES.items() if known is format)
    return audio_headers(format, sample_rate, content_type)


def problem_of(error: FieldError) -> Problem:
    """Return the problem of an invalid field: status 422 if it is malformed, as in FastAPI."""
    status = 422 if isinstance(error, Malformed) else 400
    return Problem(status=status, message=str(error), code=error.code, field=error.field)
