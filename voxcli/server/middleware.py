"""Who may come in: the key, the name by which the server was called, and the page that a browser calls from."""

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import refuse
from voxcli.server.settings import ServerSettings
from voxcli.server.shapes import error_body_at

OPEN_PATHS = frozenset({"/livez", "/health"})
"""What needs no key, for whoever looks after the server."""

CLIENT = "client"
"""Under this name, the state of a request says whom fairness is for."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = "*"


class KeyCheck:
    """Lets requests with one of the keys pass, or all if there are no keys."""

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _bearer(Headers(scope=scope).get("authorization", ""))
        known = self._find(given)
        if self._digests and known is None and scope["path"] not in OPEN_PATHS:
            message = "This server wants a key: send it as 'Authorization: Bearer KEY'."
            problem = Problem(status=401, message="The key is wrong." if given else message, code="invalid_api_key")
            await refuse(problem, error_body_at(scope), scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        scope.setdefault("state", {})[CLIENT] = known or address
        await self._app(scope, receive, send)

    def _find(self, key: str) -> str | None:
        """Compare with every key, and always as long: how long it takes tells nothing."""
        digest = _digest(key)
        same = [hmac.compare_digest(digest, known) for known in self._digests]
        return digest.hex() if any(same) else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _bearer(header: str) -> str:
    """Return the key. Some clients send a bearer without any, where the user has entered none."""
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


class HostCheck:
    """Sends away whoever was led here under a foreign name: a page in a browser, by a name that it controls.

    Numeric addresses pass, for nobody can make them mean something else.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        own = socket.gethostname().lower()
        names = (*_LOOPBACK, settings.host, own, f"{own}.local", *settings.allowed_hosts)
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is None or self._knows(host):  # HTTP/1.0 has none, and no browser
            await self._app(scope, receive, send)
            return
        message = "This server is not called so. Whoever runs it can allow the name with --allow-host."
        problem = Problem(status=421, message=message, code="unknown_host")
        await refuse(problem, error_body_at(scope), scope, receive, send)

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return _ANY in self._names or name in self._names or _is_address(name)


class OriginCheck:
    """Sends pages in a browser away, but those of this server and of the origins that are allowed.

    Without it any page could have the model speak, even though it could not hear what is said.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._may(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        message = "This server does not serve other sites' pages. Whoever runs it can allow one with --cors."
        problem = Problem(status=403, message=message, code="origin_not_allowed")
        await refuse(problem, error_body_at(scope), scope, receive, send)

    def _may(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if _ANY in self._origins or origin in self._origins:
            return True
        if origin is not None:
            return urlsplit(origin).netloc == headers.get("host")
        # Fetch metadata (w3.org/TR/fetch-metadata): what a page embeds has no origin. A link that is followed may be.
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
"""Bytes for all other fields: the longest text in the widest characters, escaped, is far below."""
_TOO_LARGE, _TOO_SLOW = 413, 408


class BodyLimit:
    """Counts the bytes of a body as they come, and refuses what is too large; at once if it says so itself."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._seconds = settings.send_seconds
        self._most_with_clips = _CLIPS * settings.max_upload_bytes + _BESIDE_CLIPS
        self._most = _BESIDE_CLIPS + 12 * settings.max_characters  # \ud83d\ude00 is one character

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
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
    """Count what comes.

    seconds: for the next piece of it.
    """
    count, more = 0, True

    async def receive_within_limit() -> Message:
        nonlocal count, more
        try:
            # After the body comes only the client's end, which may take as long as it likes.
            async with asyncio.timeout(seconds if more else None):
                message = await receive()
        except TimeoutError:
            raise HTTPException(_TOO_SLOW, "The body of the request does not come.") from None
        count, more = count + len(message.get("body", b"")), bool(message.get("more_body"))
        if count > most:
            raise HTTPException(_TOO_LARGE, _too_large(most))  # the only kind that FastAPI passes on from here
        return message

    return receive_within_limit


def _too_large(most: int) -> str:
    return f"The body is too large: {most} bytes are the most."


def _length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0


_log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Puts it onto every answer: the client's own if it is sane. Logs the path, but not the query with its text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        name = given if _SANE.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        started, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"])[REQUEST_ID] = name
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            seconds = time.perf_counter() - started
            _log.info("%s %s %s: %d after %.3f s", name, scope["method"], scope["path"], status, seconds)
