"""OpenAI's speech API, `POST /v1/audio/speech`: a call to a server, and an order from a client.

Source: CreateSpeechRequest in github.com/openai/openai-openapi, 2.3.0. Steps by the name of the model as in
github.com/neosun100/voxcpm-docker.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.content_types import content_type_of, read_content_type
from voxcli.protocols.dialect import AnswerForm, ClientOptions, FieldError, FindVoice, Framing, HttpCall, ServerRequest
from voxcli.protocols.openai.errors import error_body, error_message
from voxcli.protocols.openai_fields import read_choice, read_flag, read_number, read_text, read_whole, shown
from voxcli.synthesis.request import FASTEST, MOST_STEPS, SLOWEST, Sampling, SynthesisRequest, Voice

__all__ = ["answer_form", "answer_headers", "error_body", "error_message", "steps_of", "to_call", "to_server_request"]

DEFAULT_FORMAT = AudioFormat.WAV
"""What a client asks for: it arrives as soon as PCM does, and tells its rate, about which many servers are wrong."""
SERVED_FORMAT = AudioFormat.MP3
"""What a client gets that asks for none."""
PCM_RATE = 24000
"""Hz. PCM tells nobody, so everybody takes it for this."""
LOWEST_RATE, HIGHEST_RATE = 8000, 48000
MOST_CHARACTERS = 4096
"""Of the text, and of the instructions."""

DEFAULT_VOICE = "alloy"
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
"""Everybody's clients name these. Where the library has none so called, the model chooses."""

DEFAULT_MODEL, STYLED_MODEL = "tts-1", "gpt-4o-mini-tts"
"""OpenAI's own follow instructions only with the second."""
_STEPS = {"tts-1": 5, "tts-1-hd": 10, "gpt-4o-mini-tts": 7}
MODELS = (*_STEPS,)
_DATE = re.compile(r"-(\d{4}|\d{4}-\d\d-\d\d)$")

EVENTS = "text/event-stream"
_SSE, _AUDIO = "sse", "audio"
_NO_STYLE = ("", "None")
"""Home Assistant sends the second when it has nothing to say."""


def steps_of(model: str) -> int | None:
    """Return the steps that the name of one of OpenAI's models, dated or not, stands for; None for other names."""
    return _STEPS.get(_DATE.sub("", model))


def to_call(request: SynthesisRequest, options: ClientOptions) -> HttpCall:
    """Put a request into OpenAI's words. The path lies below a base URL that ends in `/v1`.

    A voice whose name begins with "voice_" is one made for its owner, and named as an object. What comes as
    `options.extra` is taken for JSON where it is some, such as 5 or true, else for text.

    Raises:
        RequestError: the protocol cannot say it; with the name of the option.
    """
    voice = DEFAULT_VOICE if request.voice.name is None else request.voice.name
    style = request.voice.style
    if unsaid := list(_unsaid(request, options)):
        what, flags = (", ".join(words) for words in zip(*unsaid, strict=True))
        raise RequestError(f"OpenAI's protocol has no word for {what}. Leave out {flags}.")
    fields: dict[str, Any] = {
        "model": options.model or (DEFAULT_MODEL if style is None else STYLED_MODEL),
        "input": request.text,
        "voice": {"id": voice} if voice.startswith("voice_") else voice,
        "instructions": style,
        "response_format": (options.format or DEFAULT_FORMAT).value,
        "speed": request.speed if request.speed != 1.0 else None,
    }
    if said_twice := [name for name in options.extra if name in fields]:
        raise RequestError(f"--extra cannot set {said_twice[0]!r}: there is an option for it.")
    given = {name: value for name, value in fields.items() if value is not None}
    extra = {name: _json_or_text(value) for name, value in options.extra.items()}
    return HttpCall(method="POST", path="/audio/speech", json=given | extra)


def _unsaid(request: SynthesisRequest, options: ClientOptions) -> Iterator[tuple[str, str]]:
    """Yield what of a request has no word here, and its options."""
    voice, sampling, usual = request.voice, request.sampling, Sampling()
    checks = (
        (voice.reference, "a clip to imitate", "--ref-audio"),
        (voice.prompt, "a clip to carry on from", "--prompt-audio and --prompt-text"),
        (voice.style is not None and voice.style.strip() in _NO_STYLE, "an empty description", "--instruct"),
        (request.language is not None, "the language", "--language"),
        (request.normalize, "spelling out", "--normalize"),
        (request.denoise, "taking out noise", "--denoise"),
        (sampling.seed is not None, "a seed", "--seed"),
        (sampling.steps != usual.steps, "steps", "--steps (or choose by --model)"),
        (sampling.guidance != usual.guidance, "guidance", "--cfg"),
        (sampling.min_patches != usual.min_patches, "a least length", "--min-len"),
        (sampling.max_patches != usual.max_patches, "a greatest length", "--max-len"),
        (sampling.retries != usual.retries, "retries", "--retry-badcase"),
        (options.mode is not None, "a streaming mode", "--streaming-mode"),
        (not options.stream, "an answer all at once", "--no-stream"),
    )
    return ((what, option) for is_there, what, option in checks if is_there)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def answer_form(headers: Mapping[str, str], call: HttpCall) -> AnswerForm:
    """Tell in which form the sound comes, by the headers of an answer and by what was asked for.

    Args:
        headers: by lower-case names.
    """
    asked = call.json or {}
    content_type = headers.get("content-type", "")
    told, rate = read_content_type(content_type)
    wanted = AudioFormat(asked.get("response_format", SERVED_FORMAT))
    return AnswerForm(
        format=AudioFormat.PCM if told is AudioFormat.PCM else wanted,
        framing=Framing.SSE if content_type.lower().startswith(EVENTS) else Framing.PLAIN,
        sample_rate=rate or _asked_rate(asked) or PCM_RATE,
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
    """Read what a client wants. Fields that are not known are passed over, as their clients expect.

    Beside OpenAI's fields there are `seed`, `language`, `normalize`, `steps`, and `sample_rate` (Hz, of any format).

    Args:
        max_characters: of the text.
        steps_by_model: whether the name of the model chooses the number of steps, if nothing else does.

    Raises:
        FieldError: a field is missing or wrong.
    """
    model = read_text(fields, "model", most=256)
    text = read_text(fields, "input", most=max_characters)
    if text is None:
        raise FieldError("The text is missing: put it into 'input'.", "input", "missing_required_parameter")
    steps = read_whole(fields, "steps", 1, MOST_STEPS) or (steps_of(model or DEFAULT_MODEL) if steps_by_model else None)
    sampling = Sampling(seed=read_whole(fields, "seed", 0, 2**63 - 1))
    speed = read_number(fields, "speed", SLOWEST, FASTEST)
    form = _read_form(fields)
    voice = _read_voice(fields, find_voice)
    language = read_text(fields, "language", most=64)
    normalize = read_flag(fields, "normalize")
    try:
        request = SynthesisRequest(
            text=text,
            voice=voice,
            sampling=replace(sampling, steps=steps) if steps else sampling,
            language=language,
            speed=1.0 if speed is None else speed,
            normalize=bool(normalize),
        )
    except RequestError as error:  # everything else has been looked at
        raise FieldError(str(error), "input") from error
    return ServerRequest(request=request, form=form, model=model)


def _read_form(fields: Mapping[str, Any]) -> AnswerForm:
    format = AudioFormat(read_choice(fields, "response_format", [*AudioFormat]) or SERVED_FORMAT)
    rate = read_whole(fields, "sample_rate", LOWEST_RATE, HIGHEST_RATE)
    return AnswerForm(
        format=format,
        framing=Framing.SSE if read_choice(fields, "stream_format", [_SSE, _AUDIO]) == _SSE else Framing.PLAIN,
        sample_rate=PCM_RATE if rate is None and format is AudioFormat.PCM else rate,
    )


def _read_voice(fields: Mapping[str, Any], find_voice: FindVoice) -> Voice:
    given = fields.get("voice")
    if isinstance(given, Mapping):
        name = read_text(given, "id", label="voice.id", most=256)
    else:
        name = DEFAULT_VOICE if given is None else read_text(fields, "voice", most=256)
    if name is None:
        raise FieldError("The voice has no 'id'.", "voice.id", "missing_required_parameter")
    voice = find_voice(name)
    if voice is None:
        if name.lower() not in VOICES:
            raise FieldError(
                f"There is no voice {shown(name)}. GET /v1/audio/voices lists those there are.",
                "voice",
                "voice_not_found",
            )
        voice = Voice()
    style = read_text(fields, "instructions", most=MOST_CHARACTERS)
    return voice if style is None or style.strip() in _NO_STYLE else replace(voice, style=style)


def answer_headers(server_request: ServerRequest, sample_rate: int) -> dict[str, str]:
    """Return what goes before the sound.

    Args:
        sample_rate: Hz, at which it leaves.
    """
    if server_request.form.framing is Framing.SSE:
        return {"content-type": EVENTS, "cache-control": "no-cache"}
    return {"content-type": content_type_of(server_request.form.format, sample_rate)}
