"""Middleware: checks of Host, Origin and body size before a request reaches a route.

After Rewriting, a request passes them in this order: RequestIds, HostCheck, OriginCheck, PrivateAccess, KeyCheck,
BodyLimit. The last two let private connections pass.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import REQUESTS, error_body_at, refuse
from voxcli.server.private.sockets import is_private
from voxcli.server.settings import ServerSettings

_log = logging.getLogger(__name__)

_MOST_LOGGED = 20
"""Names of hosts, and of origins: clients can send any number of them."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = "*"


def _log_refused(logged: set[str], kind: str, name: str, option: str) -> None:
    """Tell the operator, who can allow it, of a name that was refused: once, and only of the first ones.

    Args:
        logged: the names so far.
    """
    if name not in logged and len(logged) < _MOST_LOGGED:
        logged.add(name)
        _log.warning("refused the %s %r; allow it with %s", kind, name, option)


class HostCheck:
    """Refuses requests for other host names: protection against DNS rebinding by pages in a browser.

    Numeric addresses pass, because DNS cannot redirect them.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        own = socket.gethostname().lower()
        names = (*_LOOPBACK, settings.host, own, f"{own}.local", *settings.allowed_hosts)
        self._names = frozenset(name.lower() for name in names)
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] in REQUESTS else None
        if host is None or self._knows(host):  # only HTTP/1.0 clients omit it, and browsers are none
            await self._app(scope, receive, send)
            return
        _log_refused(self._logged, "host name", host, "--allow-host")
        message = "Unknown host name. The operator of this server can allow it."
        problem = Problem(status=421, message=message, code="unknown_host")
        await refuse(problem, error_body_at(scope), scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return _ANY in self._names or name in self._names or _is_address(name)


class OriginCheck:
    """Refuses pages in a browser, except those of this server and of the allowed origins.

    Without it any page could make the model generate speech, even though it could not read the response.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/") for origin in origins)
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in REQUESTS or self._is_allowed(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        if origin := Headers(scope=scope).get("origin"):
            _log_refused(self._logged, "origin", origin, "--cors")
        message = "Pages of this origin are not allowed. The operator of this server can allow it."
        problem = Problem(status=403, message=message, code="origin_not_allowed")
        await refuse(problem, error_body_at(scope), scope, receive, send)

    def _is_allowed(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if _ANY in self._origins or origin in self._origins:
            return True
        if origin is not None:
            # Behind a proxy that names another host, the browser itself says that the page is of this server.
            is_own = headers.get("sec-fetch-site") == "same-origin"
            return is_own or urlsplit(origin).netloc == headers.get("host")
        # Fetch metadata (w3.org/TR/fetch-metadata): embedded resources have no origin. Following a link is allowed.
        return headers.get("sec-fetch-site") != "cross-site" or headers.get("sec-fetch-dest") == "document"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_CLIPS = 2
"""A reference and a prompt."""
_BESIDE_CLIPS = 2**20
"""Bytes for all other fields: more than the longest text takes in the widest characters, escaped."""
_TOO_LARGE, _TOO_SLOW = 413, 408
_SLOWEST = 500
"""Bytes per second of a body, on average, after the first timeout: what Apache's mod_reqtimeout demands."""


class BodyLimit:
    """Refuses bodies that are too large: by their Content-Length, or while they are read."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._seconds = settings.receive_seconds
        self._most_with_clips = _CLIPS * settings.max_upload_bytes + _BESIDE_CLIPS
        self._most = _BESIDE_CLIPS + 12 * settings.max_characters  # \ud83d\ude00 is one character

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_private(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        with_clips = headers.get("content-type", "").lower().startswith("multipart/form-data")
        most = self._most_with_clips if with_clips else self._most
        if _length(headers) > most:
            problem = Problem(status=_TOO_LARGE, message=_too_large(most), code="body_too_large")
            await refuse(problem, error_body_at(scope), scope, receive, send)
            return
        await self._app(scope, _counted(receive, most, self._seconds), send)


def _counted(receive: Receive, most: int, seconds: float) -> Receive:
    """Limit a body.

    seconds: timeout for each chunk, and for the first `seconds * _SLOWEST` bytes.
    """
    count, more = 0, True
    now = asyncio.get_running_loop().time
    started = now()

    async def receive_within_limit() -> Message:
        nonlocal count, more
        try:
            # After the body only the disconnect is awaited, which has no timeout.
            left = min(seconds, started + seconds + count / _SLOWEST - now())
            async with asyncio.timeout(left if more else None):
                message = await receive()
        except TimeoutError:
            raise HTTPException(_TOO_SLOW, "The request body was not received in time.") from None
        count, more = count + len(message.get("body", b"")), bool(message.get("more_body"))
        if count > most:
            raise HTTPException(_TOO_LARGE, _too_large(most))  # the only exception that FastAPI passes on from here
        return message

    return receive_within_limit


def _too_large(most: int) -> str:
    return f"The request body is too large: at most {most} bytes are allowed."


def _length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0
