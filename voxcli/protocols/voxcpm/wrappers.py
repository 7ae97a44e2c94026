"""Small servers around a VoxCPM model with a protocol of their own: one JSON object with the text, audio in return.

Their OpenAPI description tells the path and the names of the fields, as FastAPI writes it. Sources: the packages
turkish-tts 1.0.0 (`/v1/tts/stream`), voxcpm2-api 0.3.0 (`/v1/speech`) and nano-vllm-voxcpm 1.0.1 (`/generate`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from voxcli.errors import RequestError
from voxcli.protocols.dialect import ClientOptions, HttpCall
from voxcli.synthesis.request import Sampling, SynthesisRequest

_PATH = re.compile(r"(?i)(?:^|[/_-])(?:tts|speech|synthesi[sz]e|speak|generate|say)(?:$|[/_-])")
_TEXT_FIELDS = ("text", "target_text", "input")
_VOICE_FIELDS = ("voice", "voice_id", "speaker")
VOICE_PATHS = ("/v1/voices", "/voices", "/api/voices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The path that speaks, and the fields of its body."""

    path: str
    text: str
    """Name of the field with the text."""
    fields: tuple[str, ...] = ()
    """Names of all fields."""


def find_route(document: Any) -> Route | None:
    """Find the route in an OpenAPI description; None if there is none that needs nothing but a text."""
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(paths, Mapping):
        return None
    found = [route for path, item in paths.items() if (route := _read_route(document, str(path), item))]
    return min(found, key=lambda route: ("stream" not in route.path, len(route.path)), default=None)


def _read_route(document: Mapping[str, Any], path: str, item: Any) -> Route | None:
    schema = _resolved(document, _at(item, "post", "requestBody", "content", "application/json", "schema"))
    properties, required = schema.get("properties"), schema.get("required") or ()
    if not _PATH.search(path) or "{" in path or not isinstance(properties, Mapping):
        return None
    text = next((name for name in _TEXT_FIELDS if name in properties), None)
    if text is None or set(required) - {text}:
        return None
    return Route(path=path, text=text, fields=tuple(map(str, properties)))


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _resolved(document: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    reference = _at(schema, "$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        schema = _at(document, *reference.removeprefix("#/").split("/"))
    return schema if isinstance(schema, Mapping) else {}


def to_call(request: SynthesisRequest, options: ClientOptions, route: Route) -> HttpCall:
    """Build the call, with the fields that differ from what is usual.

    Raises:
        RequestError: the server has no field for something; names the option.
    """
    fields: dict[str, Any] = {route.text: request.text}
    missing: list[str] = []
    for names, value, option in _wanted(request, options):
        if name := next((name for name in names if name in route.fields), None):
            fields[name] = value
        else:
            missing.append(option)
    if missing:
        raise RequestError(
            "This server has a protocol of its own, which cannot express everything of the request.",
            on_command_line=f"Leave out {', '.join(missing)}.",
        )
    return HttpCall(method="POST", path=route.path, json={**fields, **options.extra})


def _wanted(request: SynthesisRequest, options: ClientOptions) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield the names that a field may have, its value, and the option, of all that differs from what is usual."""
    voice, sampling, usual = request.voice, request.sampling, Sampling()
    checks: tuple[tuple[Any, tuple[str, ...], Any, str], ...] = (
        (voice.name is not None, _VOICE_FIELDS, voice.name, "--voice"),
        (voice.style is not None, ("instructions", "control_instruction"), voice.style, "--instruct"),
        (voice.reference, (), None, "--ref-audio"),
        (voice.prompt, (), None, "--prompt-audio and --prompt-text"),
        (request.language is not None, ("language",), request.language, "--language"),
        (request.speed != 1.0, ("speed",), request.speed, "--speed"),
        (request.normalize, ("normalize",), True, "--normalize"),
        (request.denoise, ("denoise",), True, "--denoise"),
        (sampling.seed is not None, ("seed",), sampling.seed, "--seed"),
        (sampling.steps != usual.steps, ("inference_timesteps", "steps"), sampling.steps, "--steps"),
        (sampling.guidance != usual.guidance, ("cfg_value",), sampling.guidance, "--cfg"),
        (sampling.min_patches != usual.min_patches, ("min_len",), sampling.min_patches, "--min-len"),
        (sampling.max_patches is not None, ("max_len", "max_generate_length"), sampling.max_patches, "--max-len"),
        (sampling.retries, (), None, "--retry-badcase"),
        (options.model is not None, ("model",), options.model, "--model"),
        (options.mode is not None, (), None, "--streaming-mode"),
        (options.format is not None, ("response_format", "format"), options.format, "--wire-format"),
    )
    return ((names, value, option) for is_there, names, value, option in checks if is_there)
