"""ASGI application: routes, middleware, error handlers and the OpenAPI document."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from voxcli.server.errors import answer_outside_routes
from voxcli.server.guards import guarded
from voxcli.server.keys import OPEN_PATHS
from voxcli.server.routes import gptsovits, gptsovits_chat, health, openai, pages, private
from voxcli.server.routes import voxcpm as native
from voxcli.server.routes.dialect_route import answer_malformed
from voxcli.server.routes.elevenlabs.route import elevenlabs_routes
from voxcli.server.routes.realtime.route import realtime_route
from voxcli.server.routes.speech_stream.route import speech_stream_route
from voxcli.server.service import Service
from voxcli.version import __version__

_DESCRIPTION = """Text to speech, streamed while it is generated, in three APIs: VoxCPM's own, OpenAI's speech API and
GPT-SoVITS's api_v2. If keys are set, every path except
`/livez`, `/health` and these pages requires one as a bearer token."""

_VALIDATION_STATUS = "422"
"""FastAPI declares it for every route with parameters, even where the route answers with another status."""


def create_app(service: Service, mcp: ASGIApp | None = None) -> ASGIApp:
    """Build the application. The caller starts and closes the service.

    mcp: the tools for agents at `/mcp`.
    """
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
    for module in (native, openai, gptsovits, gptsovits_chat, health):
        app.include_router(module.router(service))
    app.router.routes.extend(private.routes(service))
    app.router.routes.extend([speech_stream_route(service), realtime_route(service), *elevenlabs_routes(service)])
    if mcp:
        app.router.routes.append(Route("/mcp", mcp))
    app.include_router(pages.router(service, lambda: app.openapi()))
    for kind in (HTTPException, Exception):
        app.add_exception_handler(kind, answer_outside_routes)
    app.add_exception_handler(RequestValidationError, answer_malformed)
    schema = app.openapi

    def corrected_schema() -> dict[str, Any]:
        return app.openapi_schema or _corrected(schema(), with_keys=bool(service.settings.keys))

    app.openapi = corrected_schema  # type: ignore[method-assign]
    return guarded(app, service)


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
