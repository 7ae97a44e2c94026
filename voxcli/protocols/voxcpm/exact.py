"""Form of a request that an engine of ours gets as it is: every field of it, exactly.

Imports nothing that takes time to load: with a warm engine, the request leaves before anything else is loaded.
"""

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from voxcli.errors import RequestError

if TYPE_CHECKING:
    from voxcli.synthesis.request import Clip, SynthesisRequest

BY_HASH = "sha256:"
"""Beginning of a text that stands for a recording that was sent before."""
FLOAT32 = "f32"
"""Name of the format whose samples are those of the engine."""


def exact_form(request: "SynthesisRequest") -> "tuple[dict[str, str], dict[str, Clip]]":
    """Return the fields and the files of a request with `as_is`, answered with the samples as 32-bit floats.

    What is None is left out, and what is empty is sent empty. In the names of clips, which are for messages, bytes that
    are not UTF-8 become question marks.

    Raises:
        RequestError: a text is not valid Unicode.
    """
    voice, sampling = request.voice, request.sampling
    fields: dict[str, str | None] = {
        "text": request.text,
        "as_is": "true",
        "format": FLOAT32,
        "cfg_value": repr(float(sampling.guidance)),
        "inference_timesteps": str(sampling.steps),
        "min_len": str(sampling.min_patches),
        "max_len": None if sampling.max_patches is None else str(sampling.max_patches),
        "normalize": _flag(request.normalize),
        "denoise": _flag(request.denoise),
        "seed": None if sampling.seed is None else str(sampling.seed),
        "speed": repr(float(request.speed)),
        "retry_badcase": _flag(sampling.retries > 0),
        "retry_badcase_max_times": str(sampling.retries + 1) if sampling.retries else None,
        "language": request.language,
        "text_language": request.text_language,
        "voice_id": voice.name,
        "instruct": voice.style,
        "prompt_text": voice.prompt.transcript if voice.prompt else None,
    }
    files = {"reference_audio": voice.reference, "prompt_audio": voice.prompt.clip if voice.prompt else None}
    sent = {name: value for name, value in fields.items() if value is not None}
    _check_unicode(sent)
    return sent, {name: replace(clip, name=_printable(clip.name)) for name, clip in files.items() if clip}


def reference_to(clip: "Clip") -> str:
    """Return how a clip is named that a server may hold: by its content, and its name for messages."""
    return f"{BY_HASH}{hashlib.sha256(clip.data).hexdigest()} {clip.name}"


def _printable(name: str) -> str:
    return name.encode(errors="replace").decode()


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _check_unicode(fields: dict[str, str]) -> None:
    for name, value in fields.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RequestError(f"{name!r} is not valid Unicode: it holds half of a character.") from None
