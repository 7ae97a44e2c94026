"""How large the body of a request may be, and how slowly it may come."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import refuse
from voxcli.server.settings import ServerSettings
from voxcli.server.shapes import error_body_at

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
