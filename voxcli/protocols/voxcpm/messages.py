"""VoxCPM's own API, `POST /api/tts/stream` and `POST /api/tts`: a call to a server, and an order from a client.

Source: github.com/neosun100/voxcpm-docker, release 1.4.0. Our own servers read a few fields more: `seed`, `instruct`,
`reference_audio`, `language`, `speed` and `format`, and on either path all the fields of the other.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.content_types import content_type_of, read_content_type
from voxcli.protocols.dialect import (
    AnswerForm,
    ClientOptions,
    FieldError,
    FindVoice,
    Framing,
    HttpCall,
    Problem,
    ServerRequest,
)
from voxcli.protocols.fields import Malformed, malformed_body, read_flag, read_number, read_text, read_whole
from voxcli.protocols.openai.errors import error_message
from voxcli.protocols.voxcpm.voices import not_empty, read_voice, voice_fields
from voxcli.synthesis.request import Sampling, SynthesisRequest

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
"""Of the servers of VoxCPM, for clients that name none."""
NO_LIMIT = 4096
"""Patches: what the protocol says where nothing but the text limits the length."""
_ATTEMPTS = 3
_LONGEST_RATIO = 6.0
"""Patches for each token of the text; beyond, speech is taken for a failure. It is the only one known here."""

_HAVE_OPTIONS = frozenset(
    (
        *("text", "cfg_value", "inference_timesteps", "min_len", "max_len", "normalize", "denoise", "retry_badcase"),
        *("prompt_audio", "prompt_text", "reference_audio", "voice_id", "instruct", "seed", "language", "speed"),
        "format",
    )
)


def to_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Put a request into the words of VoxCPM's servers, every parameter in full: their defaults have changed.

    Some of the words only our own servers understand, and others ignore them: see `extensions_used`.

    Raises:
        RequestError: the protocol cannot say it; with the name of the option.
    """
    _check_options(options)
    sampling = request.sampling
    if sampling.max_patches == NO_LIMIT:
        raise RequestError(f"In VoxCPM's protocol {NO_LIMIT} patches mean no limit. Leave out --max-len.")
    form = {
        "text": request.text,
        "cfg_value": repr(float(sampling.guidance)),
        "inference_timesteps": str(sampling.steps),
        "min_len": str(sampling.min_patches),
        "max_len": str(sampling.max_patches or NO_LIMIT),
        "normalize": _flag(request.normalize),
        "denoise": _flag(request.denoise),
    }
    if not options.stream or sampling.retries:
        form["retry_badcase"] = _flag(sampling.retries > 0)
        form["retry_badcase_max_times"] = str(sampling.retries + 1 if sampling.retries else _ATTEMPTS)
        form["retry_badcase_ratio_threshold"] = repr(_LONGEST_RATIO)
    if sampling.seed is not None:
        form["seed"] = str(sampling.seed)
    if request.language is not None:
        form["language"] = not_empty(request.language, "name of the language", "--language")
    if request.speed != 1.0:
        form["speed"] = repr(float(request.speed))
    if options.format is not None:
        form["format"] = options.format.value
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


def _flag(value: bool) -> str:
    return "true" if value else "false"


def extensions_used(request: SynthesisRequest, options: ClientOptions) -> list[str]:
    """Name the options in use that only our own servers understand. Others pass over them without a word.

    A voice is not among them where it can be named: which ones a server has is told by `GET /api/voices`.
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
    """Tell in which form the sound comes, by the headers of an answer and by what was asked for.

    Args:
        headers: by lower-case names.
    """
    asked = (call.form or {}).get("format")
    told, rate = read_content_type(headers.get("content-type", ""))
    format = told or AudioFormat(asked or AudioFormat.WAV)
    # Whoever does not know the field sends blocks all the same, so the bytes have the last word.
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
    """Read what a client wants. A field that is empty is not there; one that is not known is passed over.

    Args:
        stream: whether it was sent to `/api/tts/stream`.
        default_steps: for clients that name none.
        max_characters: of the text.

    Raises:
        FieldError: a field is missing or wrong. `problem_of` knows the status.
        RequestError: it makes no sense.
    """
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    if "text" not in given:
        raise Malformed("The text is missing: put it into 'text'.", "text", "missing")
    request = SynthesisRequest(
        text=read_text(given, "text", most=max_characters),
        voice=read_voice(given, find_voice),
        sampling=_read_sampling(given, default_steps),
        language=read_text(given, "language", most=64) or None,
        speed=read_number(given, "speed", 1.0),
        normalize=read_flag(given, "normalize", False),
        denoise=read_flag(given, "denoise", False),
    )
    return ServerRequest(request=request, form=_read_form(given, stream=stream))


def _read_sampling(given: Mapping[str, Any], default_steps: int) -> Sampling:
    longest = read_whole(given, "max_len", NO_LIMIT)
    attempts = read_whole(given, "retry_badcase_max_times", _ATTEMPTS)
    if read_number(given, "retry_badcase_ratio_threshold", _LONGEST_RATIO) != _LONGEST_RATIO:
        raise FieldError(
            f"'retry_badcase_ratio_threshold' can only be {_LONGEST_RATIO:g} here. Leave it out.",
            "retry_badcase_ratio_threshold",
        )
    return Sampling(
        steps=read_whole(given, "inference_timesteps", default_steps),
        guidance=read_number(given, "cfg_value", Sampling().guidance),
        seed=read_whole(given, "seed", 0) if "seed" in given else None,
        min_patches=read_whole(given, "min_len", Sampling().min_patches),
        max_patches=None if longest == NO_LIMIT else longest,
        retries=attempts - 1 if read_flag(given, "retry_badcase", False) else 0,
    )


def _read_form(given: Mapping[str, Any], *, stream: bool) -> AnswerForm:
    asked = read_text(given, "format", most=64)
    if asked not in ("", *AudioFormat):
        raise Malformed(f"'format' should be one of {', '.join(AudioFormat)}.", "format", "enum")
    return AnswerForm(
        format=AudioFormat(asked or AudioFormat.WAV),
        framing=Framing.BLOCKS if stream and not asked else Framing.PLAIN,
        whole=not stream,
    )


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return what goes before the sound.

    Args:
        sample_rate: Hz, at which it leaves.
    """
    return {"content-type": content_type_of(server_request.form.format, sample_rate)}


_STATUSES = {"voice_not_found": 404, "prompt_incomplete": 400, "invalid_value": 400}


def problem_of(error: FieldError) -> Problem:
    """Return a wrong field with the status that goes with it: 422 where it is malformed, as FastAPI has it."""
    status = 422 if isinstance(error, Malformed) else _STATUSES.get(error.code, 400)
    return Problem(status=status, message=str(error), code=error.code, field=error.field)


def error_body(problem: Problem) -> dict[str, Any]:
    """Return a problem as FastAPI shapes it."""
    return malformed_body(problem) if problem.status == 422 else {"detail": problem.message}
