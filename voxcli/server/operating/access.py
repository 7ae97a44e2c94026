"""Access: the id of each request, what is known of it when it has ended, and its line in a log, without texts."""

import json
import logging
import os
import queue
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxcli.server.errors import REQUESTS
from voxcli.server.monitoring import RequestRecord

_log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
"""Name of the header, and key of the request state."""
_ACCESS = "access"
"""Key of the request state."""
_SWITCHING = 101
_WITH_HEADERS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_ASKED_OFTEN = ("/private/state",)
"""By `voxcli ps`, and by each program that looks for an engine: that would fill the log of one that only waits."""
_VALID_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MOST_WAITING = 10_000
"""Lines that wait for a reader that does not read."""
_MOST_SPEECHES = 1000
_LAST_SECONDS = 1.0
"""For the lines that wait when the server ends."""


@dataclass(slots=True)
class Access:
    """One HTTP request, or one WebSocket from its opening to its end."""

    request_id: str
    client: str
    """Address."""
    method: str
    """WS for a WebSocket."""
    path: str
    """Without the query, which may have a text."""
    headers: Headers
    at: float = field(default_factory=time.time)
    """When it came, in seconds since 1970."""
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    """Of HTTP; of a WebSocket, the code with which it was closed."""
    sent: int = 0
    """Bytes of the body, or of messages."""
    first_byte: float | None = None
    """Seconds from its coming to the first of them."""
    seconds: float = 0.0
    """Until the answer had been sent, or the client was gone."""
    speeches: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=_MOST_SPEECHES))
    """What was spoken: at most one thing for HTTP, and the last ones for a WebSocket, which may stay open for days."""
    texts: int = 0
    """Number of all things that were spoken."""

    def add(self, record: RequestRecord) -> None:
        """Note that something more is spoken."""
        self.speeches.append(record)
        self.texts += 1

    def to_dict(self) -> dict[str, Any]:
        """Return what a log says of it."""
        known = {
            "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "request_id": self.request_id,
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "bytes": self.sent,
            "first_byte_seconds": None if self.first_byte is None else round(self.first_byte, 4),
            "seconds": round(self.seconds, 4),
        }
        if self.speeches:
            last = self.speeches[-1]
            known |= {"model": last.model, "voice": last.voice, "ending": str(last.ending or "")}
            known |= {"texts": self.texts} if self.method == "WS" else {}
        return known

    def __str__(self) -> str:
        words = [f"{self.request_id} {self.client} {self.method} {self.path}: {self.status} after {self.seconds:.3f} s"]
        if self.first_byte is not None:
            words.append(f"{self.sent} bytes from {self.first_byte:.3f} s on")
        if self.speeches:
            last = self.speeches[-1]
            texts = f"{self.texts} texts" if self.method == "WS" else ""
            voice = f"voice {last.voice}" if last.voice else ""
            words += filter(None, [f"model {last.model}" if last.model else "", voice, texts, str(last.ending or "")])
        return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in ", ".join(words))


Observer = Callable[[Access], None]
"""Is told of a request that has ended."""


def new_record(scope: Scope) -> RequestRecord:
    """Return the record of what is spoken for a request, which is known from now on."""
    record = RequestRecord()
    if access := access_of(scope):
        access.add(record)
    return record


def access_of(scope: Scope) -> Access | None:
    """Return what is known of a request; None where it has not passed the middleware."""
    found: Access | None = scope.get("state", {}).get(_ACCESS)
    return found


class RequestIds:
    """Adds a request id to every response, the client's own if it is valid, and tells observers of each request."""

    def __init__(self, app: ASGIApp, observers: Sequence[Observer]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in REQUESTS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        name = given if _VALID_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        is_socket = scope["type"] == "websocket"
        client = (scope.get("client") or ("-",))[0]
        access = Access(name, client, "WS" if is_socket else scope["method"], scope["path"], headers)
        scope.setdefault("state", {}).update({REQUEST_ID: name, _ACCESS: access})

        async def send_with_id(message: Message) -> None:
            _note(access, message)
            if message["type"] in _WITH_HEADERS:
                added = MutableHeaders(raw=list(message.get("headers", [])))
                added[REQUEST_ID] = name
                message = {**message, "headers": added.raw}
            await send(message)

        async def receive_noted() -> Message:
            message = await receive()
            _note(access, message)
            return message

        try:
            await self._app(scope, receive_noted if is_socket else receive, send_with_id)
        finally:
            access.seconds = time.perf_counter() - access.started
            _log.log(logging.DEBUG if access.path in _ASKED_OFTEN else logging.INFO, "%s", access)
            for observer in self._observers:
                observer(access)


def _note(access: Access, message: Message) -> None:
    match message["type"]:
        case "http.response.start" | "websocket.http.response.start":
            access.status = message["status"]
        case "websocket.accept":
            access.status = _SWITCHING
        case "websocket.close":
            access.status = message.get("code", access.status)
        case "websocket.disconnect" if access.status == _SWITCHING:
            access.status = message.get("code", access.status)
        case "http.response.body":
            _count(access, len(message.get("body", b"")))
        case "websocket.send":
            _count(access, len(message.get("bytes") or message.get("text", "").encode()))


def _count(access: Access, size: int) -> None:
    access.sent += size
    if size and access.first_byte is None:
        access.first_byte = time.perf_counter() - access.started


class AccessLog:
    """Writes a line for each request, on a thread of its own: a reader that does not read holds up no request."""

    def __init__(self, file: int, *, as_json: bool) -> None:
        """file: number of an open file, which the caller closes."""
        self._file, self._as_json = file, as_json
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._lost = 0
        self._failed = False
        self._thread = threading.Thread(target=self._write, name="access log", daemon=True)
        self._thread.start()

    def __call__(self, access: Access) -> None:
        known = access.to_dict()
        line = json.dumps(known, ensure_ascii=False) if self._as_json else f"{known['time']} {access}"
        try:
            self._lines.put_nowait(f"{line}\n".encode(errors="replace"))
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, if it is read."""
        try:
            self._lines.put(None, timeout=_LAST_SECONDS)
        except queue.Full:
            return
        self._thread.join(_LAST_SECONDS)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                words = f"{lost} lines were lost"
                line += f"{json.dumps({'lost': lost}) if self._as_json else words}\n".encode()
            try:
                os.write(self._file, line)
                self._failed = False
            except OSError as error:
                self._lost += 1 + lost
                if not self._failed:
                    _log.warning("the access log cannot be written: %s", error.strerror)
                self._failed = True
