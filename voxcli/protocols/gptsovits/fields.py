"""Fields of GPT-SoVITS's `/tts`, read by a server and validated in the order of api_v2.py and with its messages.

Fields that affect only GPT-SoVITS's own models, such as `top_k`, are validated and then ignored. The text is cut into
lines, which are spoken one by one with `fragment_interval` between them. No file is ever opened: a path names a voice
of the server, by its last part.

A failure is reported as one second of silence with status 200. Source: github.com/RVC-Boss/GPT-SoVITS, `TTS.run`: 16000
zero samples, at 16 kHz where nothing was sent before.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.format import AudioFormat
from voxcli.errors import RemoteCut, RemoteError
from voxcli.protocols.dialect import AnswerForm, FieldError, FindVoice, Problem, ServerRequest
from voxcli.protocols.fields import Text, asking, malformed_body, parse, seed_of, sent_parameters, unknown_fields
from voxcli.protocols.gptsovits.text_cuts import CODES, METHODS, cut, from_code
from voxcli.synthesis.request import FASTEST, MOST_STEPS, SLOWEST, Parameter, Sampling, Speech, SynthesisRequest, Voice

VERSION = "v2Pro"
"""Model version that this server reports. Clients then expect `raw` at 32 kHz."""
RAW_RATE = 32000
"""Hz."""
MEDIA_TYPES = {"wav": AudioFormat.WAV, "raw": AudioFormat.PCM, "ogg": AudioFormat.OPUS, "aac": AudioFormat.AAC}

DEFAULT_STEPS = 32
"""Means the model's own number of steps."""
_MOST_CHARACTERS = 4096
"""In any field except the text."""
_WHOLE, _FLAG = TypeAdapter(int), TypeAdapter(bool)


def _read_mode(value: Any) -> int:
    """Read a number, or true or false."""
    for reader in (_WHOLE, _FLAG):
        with suppress(ValidationError):
            return int(reader.validate_python(value))
    raise PydanticCustomError("bool_parsing", "neither a number nor a flag")


_Word: TypeAlias = Annotated[Text, Field(max_length=_MOST_CHARACTERS)]
_Mode: TypeAlias = Annotated[
    int,
    PlainValidator(_read_mode),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 3}], "default": False}),
]


def _choice(default: str, choices: Iterable[str], description: str | None = None) -> Any:
    return Field(default, json_schema_extra={"enum": [*choices]}, description=description)


_NO_EFFECT = "Validated, but without effect on these models."


def _unused(default: Any) -> Any:
    return Field(default, description=_NO_EFFECT)


class TtsRequest(BaseModel):
    """The body or the query of `/tts`. Unknown fields are ignored."""

    model_config = ConfigDict(
        title="TTS_Request",
        extra="allow",
        json_schema_extra={"required": ["text", "text_lang", "ref_audio_path", "prompt_lang"]},
    )

    text: Text = Field("", json_schema_extra={"minLength": 1}, description="The text to speak.")
    text_lang: _Word = _choice("", CODES)
    ref_audio_path: _Word = Field(
        "",
        json_schema_extra={"minLength": 1},
        description="One of GET /speakers, or a path that ends in such a name. No file is opened.",
    )
    aux_ref_audio_paths: list[Any] = _unused([])
    prompt_text: _Word = _unused("")
    prompt_lang: _Word = _choice("", CODES, _NO_EFFECT)
    top_k: int = _unused(15)
    top_p: float = _unused(1.0)
    temperature: float = _unused(1.0)
    text_split_method: _Word = _choice("cut5", METHODS)
    batch_size: int = _unused(1)
    batch_threshold: float = _unused(0.75)
    split_bucket: bool = _unused(True)
    speed_factor: float = Field(1.0, ge=SLOWEST, le=FASTEST)
    fragment_interval: float = Field(
        0.3, ge=0.0, le=10.0, description="Seconds of silence between the pieces that the text is cut into."
    )
    seed: int = Field(-1, le=2**63 - 1, description="-1 draws a new one each time.")
    media_type: _Word = _choice("wav", MEDIA_TYPES, "raw is 16 bits, little endian, mono, at 32 kHz.")
    streaming_mode: _Mode = Field(
        False, description="0 sends everything at once. All others send audio as soon as there is some."
    )
    parallel_infer: bool = _unused(True)
    repetition_penalty: float = _unused(1.35)
    sample_steps: int = Field(
        DEFAULT_STEPS, ge=1, description=f"{DEFAULT_STEPS} leaves the number to the model. {MOST_STEPS} at most."
    )
    super_sampling: bool = _unused(False)
    overlap_length: int = _unused(2)
    min_chunk_length: int = _unused(16)


DEFAULTS: dict[str, Any] = {name: field.get_default() for name, field in TtsRequest.model_fields.items()}
"""Every field with its default."""

DEFAULT_VOICE = "default"
"""The model's own voice, unless the library has one of this name."""

REQUIRED, UNSUPPORTED = "required", "unsupported"
"""Codes of errors found during validation."""
VOICE_NOT_FOUND = "voice_not_found"

_SHOWN = 200
"""Characters of a path that are repeated to the client."""


def to_server_request(
    fields: Mapping[str, Any], find_voice: FindVoice, *, max_characters: int | None = None
) -> ServerRequest:
    """Read a request from JSON, or from a query whose languages have been lowercased.

    Args:
        max_characters: of the text.

    Raises:
        FieldError: a field is missing or invalid.
        RequestError: the request is invalid as a whole.
    """
    given = parse(TtsRequest, fields, text="text", max_characters=max_characters)
    _check(given)
    pieces = _read_pieces(given)
    return ServerRequest(
        request=SynthesisRequest(
            text="\n".join(pieces),
            voice=_read_voice(given, find_voice),
            sampling=_read_sampling(given),
            language=from_code(given.text_lang.lower()),
            speed=given.speed_factor,
        ),
        form=AnswerForm(
            format=MEDIA_TYPES[given.media_type],
            sample_rate=RAW_RATE if given.media_type == "raw" else None,
            whole=given.streaming_mode == 0,
            header_apart=given.streaming_mode != 0 and MEDIA_TYPES[given.media_type] is AudioFormat.WAV,
        ),
        gap_seconds=given.fragment_interval if len(pieces) > 1 else None,
        parameters=sent_parameters(fields, _PARAMETERS),
        ignored=(
            *asking(fields, _UNUSED),
            *(("sample_steps",) if given.sample_steps > MOST_STEPS else ()),
            *unknown_fields(TtsRequest, fields),
        ),
    )


_PARAMETERS = {"sample_steps": Parameter.STEPS, "seed": Parameter.SEED}
_UNUSED = [
    name
    for name, field in TtsRequest.model_fields.items()
    if field.description == _NO_EFFECT and name != "prompt_lang"  # which is required
]


def _check(given: TtsRequest) -> None:
    """Validate as api_v2.py does, in its order; the first error is reported."""
    for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
        value = getattr(given, name)
        if not value:
            raise FieldError(f"{name} is required", name, REQUIRED)
        if name.endswith("_lang") and value.lower() not in CODES:
            raise FieldError(f"{name}: {value} is not supported in version {VERSION}", name, UNSUPPORTED)
    if given.media_type not in MEDIA_TYPES:
        raise FieldError(f"media_type: {given.media_type} is not supported", "media_type", UNSUPPORTED)
    if given.text_split_method not in METHODS:
        raise FieldError(
            f"text_split_method:{given.text_split_method} is not supported", "text_split_method", UNSUPPORTED
        )
    if given.streaming_mode not in (0, 1, 2, 3):
        raise FieldError(
            "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)", "streaming_mode", UNSUPPORTED
        )


def _read_pieces(given: TtsRequest) -> list[str]:
    """Return the pieces to speak one after another; with cut0, the text unchanged."""
    pieces = cut(given.text, given.text_split_method, english=given.text_lang.lower() == "en")
    if not pieces:
        raise FieldError("Please enter valid text.", "text")
    return [given.text] if given.text_split_method == "cut0" else pieces


def _read_voice(given: TtsRequest, find_voice: FindVoice) -> Voice:
    """Find the voice that a path stands for. The transcript is the library's: some clients send the name instead."""
    voice = find_voice_at(given.ref_audio_path, find_voice)
    if voice is None:
        raise FieldError(f"{given.ref_audio_path[:_SHOWN]} not exists", "ref_audio_path", VOICE_NOT_FOUND)
    return voice


def find_voice_at(path: str, find_voice: FindVoice) -> Voice | None:
    """Find the voice that a path stands for, by the whole path or its last part."""
    stem = stem_of(path)
    voice = find_voice(path) or (find_voice(stem) if stem else None)
    return voice or (Voice() if stem == DEFAULT_VOICE else None)


def stem_of(path: str) -> str:
    """Return the last part of a path of any system, without its suffix: "alice" for "./voices/alice.wav"."""
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.split(r"[/\\]", path)[-1])


def _read_sampling(given: TtsRequest) -> Sampling:
    steps = given.sample_steps
    return Sampling(
        steps=Sampling().steps if steps == DEFAULT_STEPS else min(steps, MOST_STEPS), seed=seed_of(given.seed)
    )


_RATE = 16000
"""Hz. None of its models uses this rate."""
_COUNT = 16000
"""Samples, at any rate."""

_FAILED = (
    "The server failed while generating, or found no text to speak: all it sent is a second of silence, "
    "as GPT-SoVITS does then. See its log."
)
_FAILED_LATE = "{} Before that, it sent a stretch of silence, as GPT-SoVITS does when it fails. See its log."


def is_failure(samples: Samples, sample_rate: int) -> bool:
    """Tell whether a complete response stands for a failure."""
    return sample_rate == _RATE and len(samples) == _COUNT and not samples.any()


def without_failure(chunks: Speech) -> Speech:
    """Pass chunks on, but raise an error for silence that stands for a failure.

    Chunks are held back only as long as they may be the silence of a failure.

    Raises:
        RemoteError: the complete response stands for a failure.
        RemoteCut: raised by `chunks`; with an explanation if the silence before it indicates a failure.
    """
    held: list[AudioChunk] = []
    count = zeros = 0
    begun = False
    with closing(chunks):
        try:
            for chunk in chunks:
                count += len(chunk.samples)
                zeros = _zeros_at_end(chunk.samples, zeros)
                held.append(chunk)
                begun = begun or chunk.sample_rate != _RATE or zeros < count or count > _COUNT
                if begun:
                    yield from held
                    held.clear()
        except RemoteCut as error:
            if zeros >= _COUNT:
                raise RemoteCut(_FAILED_LATE.format(error)) if begun else RemoteError(_FAILED) from error
            raise
    if held and count == _COUNT:
        raise RemoteError(_FAILED)
    yield from held


def _zeros_at_end(samples: Samples, before: int) -> int:
    """Return the number of trailing zero samples, given that of the chunks before."""
    nonzero = np.flatnonzero(samples)
    return len(samples) - 1 - int(nonzero[-1]) if len(nonzero) else before + len(samples)


def error_body(problem: Problem) -> dict[str, Any]:
    """Return a problem as api_v2.py shapes it."""
    if problem.status == 422:
        return malformed_body(problem)
    if problem.code in (REQUIRED, UNSUPPORTED) or problem.status in (401, 403, 404, 405):
        return {"message": problem.message}
    return {"message": "tts failed", "Exception": problem.message}
