"""Guards around an application: everything that a request passes before its route."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from voxcli.protocols.dialect import IGNORED
from voxcli.server.keys import KeyCheck
from voxcli.server.middleware import BodyLimit, HostCheck, OriginCheck
from voxcli.server.operating.access import REQUEST_ID, RequestIds
from voxcli.server.private.access import PrivateAccess, PrivatePaths
from voxcli.server.rewriting import Rewriting
from voxcli.server.service import Service


def guarded(app: ASGIApp, service: Service) -> ASGIApp:
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
            expose_headers=[REQUEST_ID, IGNORED, "x-sample-rate", "x-channels", "mcp-session-id"],
        )
    app = PrivateAccess(app)
    app = OriginCheck(app, settings.cors_origins)
    app = HostCheck(app, settings)
    app = RequestIds(app, service.observers)
    return Rewriting(app, settings)
