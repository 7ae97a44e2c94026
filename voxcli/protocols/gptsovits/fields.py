"""The fields of GPT-SoVITS's `/tts`, as a server reads them: in the order and the words of api_v2.py.

Fields that shape the speech of its own models only, such as `top_k`, are checked and then of no effect. What the text
is cut into stands on lines of its own, which are spoken one by one with `fragment_interval` between them. Nothing is
ever opened: a path names a voice of the server, by its last part.
"""

import re
from collections.abc import Mapping
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import AnswerForm, FieldError, FindVoice, ServerRequest
from voxcli.protocols.fields import Malformed, read_flag, read_number, read_text, read_whole
from voxcli.protocols.gptsovits.text_cuts import CODES, METHODS, cut, from_code
from voxcli.synthesis.request import Sampling, SynthesisRequest, Voice

VERSION = "v2Pro"
"""Of the models that we stand in for. Clients take it for a promise that `raw` comes at 32 kHz."""
RAW_RATE = 32000
"""Hz."""
MEDIA_TYPES = {"wav": AudioFormat.WAV, "raw": AudioFormat.PCM, "ogg": AudioFormat.OPUS, "aac": AudioFormat.AAC}

DEFAULTS: dict[str, Any] = {
    "text": "",
    "text_lang": "",
    "ref_audio_path": "",
    "aux_ref_audio_paths": [],
    "prompt_text": "",
    "prompt_lang": "",
    "top_k": 15,
    "top_p": 1.0,
    "temperature": 1.0,
    "text_split_method": "cut5",
    "batch_size": 1,
    "batch_threshold": 0.75,
    "split_bucket": True,
    "speed_factor": 1.0,
    "fragment_interval": 0.3,
    "seed": -1,
    "media_type": "wav",
    "streaming_mode": False,
    "parallel_infer": True,
    "repetition_penalty": 1.35,
    "sample_steps": 32,
    "super_sampling": False,
    "overlap_length": 2,
    "min_chunk_length": 16,
}
"""Every field, and what a server takes it for where a client leaves it out."""

DEFAULT_VOICE = "default"
"""The model chooses, unless the library has a voice so called."""

REQUIRED, UNSUPPORTED = "required", "unsupported"
"""Codes of what is found before anything is tried."""
VOICE_NOT_FOUND = "voice_not_found"

_LONGEST_INTERVAL = 10.0
"""Seconds."""
_MOST_CHARACTERS = 4096
"""Of any field but the text."""
_SHOWN = 200
"""Characters of a path that go back to the client."""


def to_server_request(
    fields: Mapping[str, Any], find_voice: FindVoice, *, max_characters: int | None = None
) -> ServerRequest:
    """Read what a client wants, from JSON, or from a query whose languages have been put into lower case.

    Args:
        max_characters: of the text.

    Raises:
        FieldError: a field is missing or wrong.
        RequestError: it makes no sense.
    """
    given = _read_fields(fields, max_characters)
    _check(given)
    pieces = _read_pieces(given)
    return ServerRequest(
        request=SynthesisRequest(
            text="\n".join(pieces),
            voice=_read_voice(given, find_voice),
            sampling=_read_sampling(given),
            language=from_code(given["text_lang"].lower()),
            speed=given["speed_factor"],
        ),
        form=AnswerForm(
            format=MEDIA_TYPES[given["media_type"]],
            sample_rate=RAW_RATE if given["media_type"] == "raw" else None,
            whole=given["streaming_mode"] == 0,
        ),
        gap_seconds=given["fragment_interval"] if len(pieces) > 1 else None,
    )


def _read_fields(fields: Mapping[str, Any], max_characters: int | None) -> dict[str, Any]:
    """Return all fields with the types they should have."""
    given: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        if name == "streaming_mode":
            given[name] = _read_mode(fields)
        elif isinstance(default, bool):
            given[name] = read_flag(fields, name, default)
        elif isinstance(default, int):
            given[name] = read_whole(fields, name, default)
        elif isinstance(default, float):
            given[name] = read_number(fields, name, default)
        elif isinstance(default, str):
            given[name] = read_text(fields, name, default, most=max_characters if name == "text" else _MOST_CHARACTERS)
        else:
            given[name] = _read_list(fields, name)
    return given


def _read_mode(fields: Mapping[str, Any]) -> int:
    """Return a number, also for what says true or false."""
    try:
        return read_whole(fields, "streaming_mode", 0)
    except Malformed:
        return int(read_flag(fields, "streaming_mode", False))


def _read_list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise Malformed(f"{name!r} should be a list.", name, "list_type")
    return value


def _check(given: Mapping[str, Any]) -> None:
    """Look for what api_v2.py looks for before it tries anything; the first hit counts."""
    for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
        value = given[name]
        if not value:
            raise FieldError(f"{name} is required", name, REQUIRED)
        if name.endswith("_lang") and value.lower() not in CODES:
            raise FieldError(f"{name}: {value} is not supported in version {VERSION}", name, UNSUPPORTED)
    if given["media_type"] not in MEDIA_TYPES:
        raise FieldError(f"media_type: {given['media_type']} is not supported", "media_type", UNSUPPORTED)
    if given["text_split_method"] not in METHODS:
        raise FieldError(
            f"text_split_method:{given['text_split_method']} is not supported", "text_split_method", UNSUPPORTED
        )
    if given["streaming_mode"] not in (0, 1, 2, 3):
        raise FieldError(
            "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)", "streaming_mode", UNSUPPORTED
        )
    if given["aux_ref_audio_paths"]:
        raise FieldError("aux_ref_audio_paths is not supported: a voice has one recording", "aux_ref_audio_paths")
    interval = given["fragment_interval"]
    if not 0 <= interval <= _LONGEST_INTERVAL:
        raise FieldError(f"fragment_interval must lie between 0 and {_LONGEST_INTERVAL:g} seconds", "fragment_interval")


def _read_pieces(given: Mapping[str, Any]) -> list[str]:
    """Return what is to be spoken one after another; with cut0 that is the text as it stands."""
    pieces = cut(given["text"], given["text_split_method"], english=given["text_lang"].lower() == "en")
    if not pieces:
        raise FieldError("Please enter valid text.", "text")
    return [given["text"]] if given["text_split_method"] == "cut0" else pieces


def _read_voice(given: Mapping[str, Any], find_voice: FindVoice) -> Voice:
    """Find the voice that a path stands for. Its words are the library's: some clients send its name for them."""
    voice = find_voice_at(given["ref_audio_path"], find_voice)
    if voice is None:
        raise FieldError(f"{given['ref_audio_path'][:_SHOWN]} not exists", "ref_audio_path", VOICE_NOT_FOUND)
    return voice


def find_voice_at(path: str, find_voice: FindVoice) -> Voice | None:
    """Find the voice that a path stands for, by all of it or by its last part."""
    stem = stem_of(path)
    voice = find_voice(path) or (find_voice(stem) if stem else None)
    return voice or (Voice() if stem == DEFAULT_VOICE else None)


def stem_of(path: str) -> str:
    """Return the last part of a path of any system, without its suffix: "alice" for "./voices/alice.wav"."""
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.split(r"[/\\]", path)[-1])


def _read_sampling(given: Mapping[str, Any]) -> Sampling:
    steps, seed = given["sample_steps"], given["seed"]
    return Sampling(
        steps=Sampling().steps if steps == DEFAULTS["sample_steps"] else steps,
        seed=None if seed == -1 else seed,
    )
