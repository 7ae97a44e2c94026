"""ASGI application: routes, middleware, error handlers and the OpenAPI document."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from voxcli.protocols.dialect import IGNORED
from voxcli.server.errors import answer, error_body_at, note, problem_of
from voxcli.server.middleware import OPEN_PATHS, REQUEST_ID, BodyLimit, HostCheck, KeyCheck, OriginCheck, RequestIds
from voxcli.server.private.access import PrivateAccess, PrivatePaths
from voxcli.server.rewriting import Rewriting
from voxcli.server.routes import gptsovits, health, openai, pages, private
from voxcli.server.routes import voxcpm as native
from voxcli.server.service import Service
from voxcli.version import __version__

_DESCRIPTION = """Text to speech, streamed while it is generated, in three APIs: VoxCPM's own, OpenAI's speech API and
GPT-SoVITS's api_v2. If keys are set, every path except `/livez` and `/health` requires one as a bearer token."""

_VALIDATION_STATUS = "422"
"""FastAPI declares it for every route with parameters, even where the route answers with another status."""


def create_app(service: Service) -> ASGIApp:
    """Build the application. The caller starts and closes the service."""
    # The pages of FastAPI load their scripts from other servers, and its redirects lead past proxies.
    app = FastAPI(
        title="voxcli",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in (native, openai, gptsovits, health, private):
        app.include_router(module.router(service))
    app.include_router(pages.router(service, lambda: app.openapi()))
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)
    schema = app.openapi

    def corrected_schema() -> dict[str, Any]:
        return app.openapi_schema or _corrected(schema(), with_keys=bool(service.settings.keys))

    app.openapi = corrected_schema  # type: ignore[method-assign]
    return _guarded(app, service)


def _guarded(app: ASGIApp, service: Service) -> ASGIApp:
    """Wrap the application in its middleware, the outermost last."""
    settings = service.settings
    app = PrivatePaths(app)
    app = BodyLimit(app, settings)
    app = KeyCheck(app, settings.keys)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID, IGNORED, "x-sample-rate", "x-channels"],
        )
    app = PrivateAccess(app)
    app = OriginCheck(app, settings.cors_origins)
    app = HostCheck(app, settings)
    app = RequestIds(app)
    return Rewriting(app, settings)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer errors outside the routes, such as paths that do not exist."""
    note(error)
    headers = error.headers if isinstance(error, HTTPException) else None
    return answer(problem_of(error), error_body_at(request.scope), dict(headers or {}))


def _corrected(schema: dict[str, Any], *, with_keys: bool) -> dict[str, Any]:
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get(_VALIDATION_STATUS)):
                del operation["responses"][_VALIDATION_STATUS]
            if with_keys and path not in OPEN_PATHS:
                operation["security"] = [{"key": []}]
    components = schema.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    if with_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return schema
