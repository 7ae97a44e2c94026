"""Holds: programs of this user that will go on speaking, so that a server which is told to end waits for all of a text.

A program speaks one part of a text after another, each a request of its own. While it holds the server, it can do so
even if the server takes nothing new any more.
"""

import asyncio
from collections import Counter

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voxcli.server.private.keep_alive import KeepAlive

HOLD_HEADER = "x-voxcli-hold"
"""Of a request for speech: the id of the hold, which is that of the request to `POST /private/hold`."""


class Holds:
    """The holds that are open, each of which is a use of the server. Used on the event loop."""

    def __init__(self, keep_alive: KeepAlive) -> None:
        self._keep_alive = keep_alive
        self._open: Counter[str] = Counter()
        self._none = asyncio.Event()
        self._none.set()
        self.ended = asyncio.Event()
        """Set once no hold counts any more."""

    def __len__(self) -> int:
        return self._open.total()

    def __contains__(self, name: object) -> bool:
        return self._open[str(name)] > 0 and not self.ended.is_set()

    def open(self, name: str) -> None:
        self._open[name] += 1
        self._none.clear()
        self._keep_alive.begin()

    def close(self, name: str) -> None:
        self._open[name] -= 1
        self._open += Counter()  # drops what is zero
        if not self._open:
            self._none.set()
        self._keep_alive.end()

    def end(self) -> None:
        """Wait for none of them any more."""
        self.ended.set()
        self._none.set()

    async def wait_until_none(self) -> None:
        await self._none.wait()


class HoldResponse(Response):
    """Answers at once, and goes on until the client closes the connection or the server ends."""

    def __init__(self, holds: Holds, name: str) -> None:
        super().__init__()
        self._holds, self._name = holds, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._holds.open(self._name)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": []})
            tasks = [asyncio.create_task(_disconnected(receive)), asyncio.create_task(self._holds.ended.wait())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
        finally:
            self._holds.close(self._name)
        await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
