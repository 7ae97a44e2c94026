"""Access to private connections: their key, their paths, and no browser."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import DESCRIBE_ERROR, REQUESTS, error_body_at, refuse
from voxcli.server.private.errors import describe_error
from voxcli.server.private.sockets import NEEDED_KEY, PRIVATE, is_private

PATHS = "/private"
_BROWSERS_SEND = ("origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "referer")
_UNKNOWN_PATH = Problem(status=404, message="Not Found", code="not_found")
_BROWSER = Problem(status=403, message="Browsers cannot use this connection.", code="origin_not_allowed")
_NO_KEY = Problem(status=401, message="This connection requires its key.", code="invalid_api_key")


class PrivateAccess:
    """Tells private connections from others, and refuses browsers and wrong keys on them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in REQUESTS and (problem := self._admitted(scope)):
            await refuse(problem, error_body_at(scope), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admitted(self, scope: Scope) -> Problem | None:
        """Note whether a request is private. Return why it is refused."""
        headers = Headers(scope=scope)
        needed: str = scope.get("state", {}).get(NEEDED_KEY, "")
        if needed:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), needed.encode()):
                return _NO_KEY
            scope["state"][PRIVATE] = True
        if is_private(scope):
            scope["state"][DESCRIBE_ERROR] = describe_error
            return _BROWSER if any(name in headers for name in _BROWSERS_SEND) else None
        return None


class PrivatePaths:
    """Hides the private paths from public connections, which are answered as for any path that does not exist."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in REQUESTS and scope["path"].startswith(PATHS) and not is_private(scope):
            await refuse(_UNKNOWN_PATH, error_body_at(scope), scope, receive, send)
        else:
            await self._app(scope, receive, send)
