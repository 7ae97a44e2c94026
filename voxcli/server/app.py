"""The whole of the server as one ASGI application."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import voxcli
from voxcli.server.errors import answer, note, problem_of
from voxcli.server.middleware import OPEN_PATHS, REQUEST_ID, BodyLimit, HostCheck, KeyCheck, OriginCheck, RequestIds
from voxcli.server.routes import gptsovits, health, openai
from voxcli.server.routes import voxcpm as native
from voxcli.server.service import Service
from voxcli.server.shapes import error_body_at

_DESCRIPTION = """Text to speech that streams from the first sound, in three dialects: VoxCPM's own API, OpenAI's speech
API and GPT-SoVITS's api_v2. Where keys are set, every path but `/livez` and `/health` wants one of them as a bearer."""

_UNTRUE = "422"
"""FastAPI declares it for every route with parameters, whatever the route answers in their place."""


def create_app(service: Service) -> ASGIApp:
    """Build the application. Whoever runs it starts and closes the service."""
    app = FastAPI(title="voxcli", version=voxcli.__version__, description=_DESCRIPTION)
    for module in (native, openai, gptsovits, health):
        app.include_router(module.router(service))
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)
    schema = app.openapi

    def true_schema() -> dict[str, Any]:
        return app.openapi_schema or _made_true(schema(), with_keys=bool(service.settings.keys))

    app.openapi = true_schema  # type: ignore[method-assign]
    return _guarded(app, service)


def _guarded(app: ASGIApp, service: Service) -> ASGIApp:
    """Put the checks in front, the outermost last."""
    settings = service.settings
    app = BodyLimit(app, settings)
    app = KeyCheck(app, settings.keys)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID],
        )
    app = OriginCheck(app, settings.cors_origins)
    app = HostCheck(app, settings)
    return RequestIds(app)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer for whatever no dialect has answered for, such as paths that do not exist."""
    note(error)
    headers = error.headers if isinstance(error, HTTPException) else None
    return answer(problem_of(error), error_body_at(request.scope), dict(headers or {}))


def _made_true(schema: dict[str, Any], *, with_keys: bool) -> dict[str, Any]:
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get(_UNTRUE)):
                del operation["responses"][_UNTRUE]
            if with_keys and path not in OPEN_PATHS:
                operation["security"] = [{"key": []}]
    components = schema.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    if with_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return schema
