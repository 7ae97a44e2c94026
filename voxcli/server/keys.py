"""API keys: where clients send them, and who is refused without one."""

import hashlib
import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import REQUESTS, error_body_at, refuse
from voxcli.server.private.sockets import is_private

OPEN_PATHS = frozenset({"/livez", "/health"})
"""Paths without authentication, for health checks."""
_PAGES = frozenset({"/docs", "/redoc"})
_PAGE_FILES = "/web/"
"""Of the package, and the same on every server: a page has to be there before it can ask for the key."""

CLIENT = "client"
"""Key of the request state that identifies the client for fair queueing."""
TRUSTED = "trusted"
"""Key of the request state: whether the client has sent a key, or none is needed. It is false on open paths alone."""
_OWN = "private"
"""The client of all private connections."""

_KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""Beginning of a subprotocol that carries the key: OpenAI's way for pages in a browser."""


class KeyCheck:
    """Requires one of the keys as a bearer token, if there are any.

    Pages in a browser cannot set headers of a WebSocket: they send the key as a subprotocol or in the query.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in REQUESTS:
            await self._app(scope, receive, send)
            return
        given = _bearer(Headers(scope=scope).get("authorization", "")) or _key_of_socket(scope)
        known = self._find(given)
        needs_key = bool(self._digests) and not _is_open(scope) and not is_private(scope)
        if needs_key and known is None:
            message = "This server requires an API key: send it as 'Authorization: Bearer KEY'."
            problem = Problem(status=401, message="Invalid API key." if given else message, code="invalid_api_key")
            await refuse(problem, error_body_at(scope), scope, receive, send)
            return
        address = _OWN if is_private(scope) else (scope.get("client") or ("",))[0]
        trusted = known is not None or not self._digests or is_private(scope)
        scope.setdefault("state", {}).update({CLIENT: known or address, TRUSTED: trusted})
        await self._app(scope, receive, send)

    def _find(self, key: str) -> str | None:
        """Return an identifier of the key, comparing with every key in constant time."""
        digest = _digest(key)
        same = [hmac.compare_digest(digest, known) for known in self._digests]
        return digest.hex() if any(same) else None


def wants_page(headers: Headers) -> bool:
    """Tell whether a browser asks for something to show: programs ask for anything, or for JSON."""
    return "text/html" in headers.get("accept", "")


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    if path in OPEN_PATHS:
        return True
    if scope.get("method") != "GET":
        return False
    is_start = path == "/" and wants_page(Headers(scope=scope))
    return is_start or path in _PAGES or path.startswith(_PAGE_FILES)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _bearer(header: str) -> str:
    """Return the key. Some clients send an empty bearer token where the user has entered none."""
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _key_of_socket(scope: Scope) -> str:
    """Return the key that a client of a WebSocket sends elsewhere, in the places where the other protocols have it."""
    if scope["type"] != "websocket":
        return ""
    for name in scope.get("subprotocols", []):
        if name.startswith(_KEY_SUBPROTOCOL):
            return str(name.removeprefix(_KEY_SUBPROTOCOL))
    query = QueryParams(scope.get("query_string", b""))
    return Headers(scope=scope).get("xi-api-key") or query.get("api_key") or ""
