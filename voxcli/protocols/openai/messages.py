"""OpenAI's speech API, `POST /v1/audio/speech`: calls that clients make, and the form and headers of the answers.

Source: CreateSpeechRequest in github.com/openai/openai-openapi, 2.3.0. How servers read the body is in fields.py.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import (
    AnswerForm,
    ClientOptions,
    Framing,
    HttpCall,
    ServerRequest,
    audio_headers,
    read_audio_headers,
)
from voxcli.protocols.openai import servers
from voxcli.protocols.openai.errors import error_body, error_message
from voxcli.protocols.openai.fields import (
    HIGHEST_RATE,
    LOWEST_RATE,
    NO_STYLE,
    PCM_RATE,
    SERVED_FORMAT,
    steps_of,
    to_server_request,
)
from voxcli.protocols.openai.servers import Choice
from voxcli.synthesis.request import Sampling, SynthesisRequest, Voice

__all__ = ["answer_form", "answer_headers", "error_body", "error_message", "steps_of", "to_call", "to_server_request"]

EVENTS = "text/event-stream"
OBJECT = "application/json"


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
        (voice.style is not None and voice.style.strip() in NO_STYLE, "an empty description", "--instruct"),
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


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return the response headers.

    Args:
        sample_rate: Hz, of the response.
    """
    if server_request.form.framing is Framing.SSE:
        return {**audio_headers(server_request.form.format, sample_rate, EVENTS), "cache-control": "no-cache"}
    if server_request.form.framing is Framing.OBJECT:
        return audio_headers(server_request.form.format, sample_rate, OBJECT)
    return audio_headers(server_request.form.format, sample_rate)
