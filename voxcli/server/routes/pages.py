"""Pages: the one to try the server on at `/`, the documentation at `/docs`, and the OpenAPI document.

What a browser loads is in this package, in `server/web`: no page needs another server, or may reach one.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import PurePath
from typing import Any, TypeAlias

from fastapi import APIRouter, HTTPException
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response

from voxcli.protocols.gptsovits.chat import PATH as CHAT
from voxcli.server.keys import wants_page
from voxcli.server.rewriting import PREFIX
from voxcli.server.service import Service
from voxcli.version import __version__

Schema: TypeAlias = dict[str, Any]

_METHODS = ("get", "post", "delete")
_MAIN_ROUTES = {
    "/v1/audio/speech": "speech, in OpenAI's API",
    "/api/tts/stream": "speech, in VoxCPM's API",
    "/tts": "speech, in GPT-SoVITS's API",
    "/v1/audio/voices": "the voices",
    "/v1/models": "the model",
    "/health": "whether the server runs and its model is loaded",
    "/readyz": "whether a request would be served",
    "/docs": "every route and its fields",
}

_FILES = "web"
_PAGE = "index.html"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_POLICY = (
    *("default-src 'none'", "script-src 'self'", "worker-src 'self'", "style-src 'self'", "img-src 'self' data:"),
    *(
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ),
)
"""Content-Security-Policy: nothing from elsewhere, and no script or style inside a page."""
_HEADERS = {
    "content-security-policy": "; ".join(_POLICY),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # a browser asks whether its copy is the current one
}


def router(service: Service, schema: Callable[[], Schema]) -> APIRouter:
    """Build the routes. They are not in the OpenAPI document.

    schema: returns the document.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def overview(request: Request) -> Response:
        if wants_page(request.headers):
            return _answer(request, _PAGE, base=_base(request))
        listed = {
            "name": "voxcli",
            "version": __version__,
            "model": service.models.name,
            "routes": _routes_of(service),
        }
        return JSONResponse(listed, headers={"vary": "accept"})

    @routes.get("/web/{name}")
    async def file(request: Request, name: str) -> Response:
        return _answer(request, "" if name == _PAGE else name)  # which is at `/`

    @routes.get("/docs")
    @routes.get("/redoc")
    async def docs(request: Request) -> Response:
        body = "".join(_documentation(schema(), _base(request)))
        return Response(_page("voxcli: API", body, _base(request)), media_type="text/html", headers=_HEADERS)

    @routes.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        prefix = getattr(request.state, PREFIX, "")
        return JSONResponse({**schema(), "servers": [{"url": prefix}]} if prefix else schema())

    return routes


@cache
def web_files() -> dict[str, bytes]:
    """Return the files of the page, by their names."""
    folder = files("voxcli.server").joinpath(_FILES)
    return {file.name: file.read_bytes() for file in folder.iterdir() if PurePath(file.name).suffix in _TYPES}


def _answer(request: Request, name: str, *, base: str = "") -> Response:
    """Send a file of the page, unless the browser has it.

    Args:
        base: what links in it are relative to.
    """
    if (data := web_files().get(name)) is None:
        raise HTTPException(404, f"There is no file {name[:64]!r} here.")
    if base:
        data = data.replace(b"{base}", base.encode())
    tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    headers = {**_HEADERS, "etag": tag, "vary": "accept"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[PurePath(name).suffix], headers=headers)


def _base(request: Request) -> str:
    """Return what precedes paths in links: the prefix, or nothing, so that they work below an unknown one too."""
    prefix: str = getattr(request.state, PREFIX, "")
    if prefix:
        return f"{prefix}/"
    sent: bytes = request.scope.get("raw_path") or b""
    return "../" if sent.endswith(b"/") and request.scope["path"] != "/" else "./"


def _page(title: str, body: str, base: str) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    icon = f"<link rel=icon href={base}web/icon.svg>"
    links = (
        f'{icon}<link rel=stylesheet href="{base}web/docs.css"><script type=module src="{base}web/docs.js"></script>'
    )
    return f"<!doctype html><html lang=en>{head}{links}<body>{body}"


def _routes_of(service: Service) -> dict[str, str]:
    return {**_MAIN_ROUTES, **({CHAT: "chat with a language model"} if service.language_model else {})}


def _documentation(schema: Schema, base: str) -> Iterator[str]:
    yield f'<p><a href="{base}">voxcli</a> {__version__}<h1>API</h1>'
    yield f"<p>{_prose(schema['info'].get('description', ''))}"
    yield f'<p>For programs: <a href="{base}openapi.json">openapi.json</a>.'
    yield "<p><label>API key, if the server requires one: <input id=key type=password autocomplete=off></label>"
    heading = ""
    for path, operations in schema["paths"].items():
        for method in _METHODS:
            if operation := operations.get(method):
                tag = (operation.get("tags") or ["Others"])[0]
                if tag != heading:
                    heading = tag
                    yield f"<h2>{escape(tag)}</h2>"
                yield from _operation(schema, path, method.upper(), operation, base)


def _operation(schema: Schema, path: str, method: str, operation: Schema, base: str) -> Iterator[str]:
    summary = escape(operation.get("summary", ""))
    yield f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {summary}</summary>"
    yield f"<p>{_prose(operation.get('description', ''))}"
    kind, body = _body(schema, operation)
    fields = {**{one["name"]: one["schema"] for one in operation.get("parameters", [])}, **body.get("properties", {})}
    required = [one["name"] for one in operation.get("parameters", []) if one.get("required")]
    if fields:
        rows = (
            _field(schema, name, field, name in [*required, *body.get("required", [])])
            for name, field in fields.items()
        )
        yield f"<table>{''.join(rows)}</table>"
    codes = ", ".join(f"{code} {escape(one['description'])}" for code, one in operation["responses"].items())
    yield f"<p>Answers: {codes}"
    if "{" not in path:
        yield f'<form data-method={method} data-path="{base}{escape(path[1:])}">{_inputs(kind, body)}'
        yield "<button>Send</button> <output></output></form>"
    yield "</details>"


def _field(schema: Schema, name: str, field: Schema, required: bool) -> str:
    field = _resolved(schema, field)
    notes = ["required"] if required else []
    if "default" in field:
        notes.append(f"default {field['default']!r}")
    bounds = ("minimum", "maximum", "minLength", "maxLength")
    notes += [f"{bound} {field[bound]}" for bound in bounds if bound in field]
    text = ". ".join(part for part in (escape(", ".join(notes)), _prose(field.get("description", ""))) if part)
    return f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(schema, field))}<td>{text}"


def _kind(schema: Schema, field: Schema) -> str:
    field = _resolved(schema, field)
    if "enum" in field:
        return " or ".join(map(repr, field["enum"]))
    if "const" in field:
        return repr(field["const"])
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_kind(schema, option) for option in options))
    return "file" if field.get("format") == "binary" else str(field.get("type", "any"))


def _inputs(kind: str, body: Schema) -> str:
    """Return the inputs of the form with which a request can be tried out."""
    if not body:
        return ""
    required = body.get("required", [])
    if kind == "application/json":
        example = ", ".join(f'"{name}": "{_example(name)}"' for name in required)
        return f"<textarea name=body>{{{escape(example)}}}</textarea>"
    shown = [*required, *(name for name, field in body["properties"].items() if field.get("format") == "binary")]
    return "".join(
        f"<label>{escape(name)} <input name={escape(name)} type={_input(body['properties'][name])}></label> "
        for name in dict.fromkeys(shown)
    )


def _input(field: Schema) -> str:
    return "file" if field.get("format") == "binary" else "text"


def _example(name: str) -> str:
    return {"input": "Hello.", "text": "Hello.", "voice": "alloy", "text_lang": "en", "prompt_lang": "en"}.get(name, "")


def _body(schema: Schema, operation: Schema) -> tuple[str, Schema]:
    """Return the content type and the schema of the body, empty if there is none."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        return kind, _resolved(schema, content.get("schema", {}))
    return "", {}


def _resolved(schema: Schema, field: Schema) -> Schema:
    reference = field.get("$ref", "")
    for part in reference.removeprefix("#/").split("/") if reference else ():
        schema = schema[part]
    return schema if reference else field


def _prose(text: str) -> str:
    """Return text as HTML, with its code and paragraphs."""
    parts = escape(text).split("`")
    coded = "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
    return coded.replace("\n\n", "<p>")
