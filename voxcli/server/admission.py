"""Admission: where a request is admitted, queued or refused, fairly between clients."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal

_SOONEST, _LATEST = 1, 120
"""Seconds. OpenAI's clients do not retry if they are told to wait longer."""
_FIRST_GUESS = 1.0
"""Seconds that a request is assumed to take until one has been measured."""
_WEIGHT = 0.2
"""Of the newest measurement in the moving average, at least: the first ones count for more."""
_BRIEFEST = 0.001
"""Seconds that a request is assumed to take at least."""
_SHORTEST_QUEUE, _LONGEST_QUEUE = 8, 4096
_FILLED = 0.75
"""Of the longest wait, which the last request in a full queue is expected to need: not every request is average."""
_FULL = "All slots are in use and the queue is full."
_RESTART = 10
"""Seconds until another server may have replaced one that is shutting down."""


class _Waiter:
    def __init__(self, client: str, *, limited: bool, holds: bool) -> None:
        self.client = client
        self.limited = limited
        self.holds = holds
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Admission:
    """Slots for running requests, and a queue in which clients take turns, regardless of how many requests each sends.

    Used on the event loop only. A client is identified by its API key, or else by its address.
    """

    def __init__(
        self, slots: int, queue: int | None, wait_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            queue: requests that may wait; None for as many as the measured speed serves in time.
            wait_seconds: for a slot, before a request is refused.
            clock: seconds from any origin.
        """
        self.used = 0
        """Slots in use."""
        self.draining = False
        self._slots = slots
        self._queue = queue
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        """By client. The first waiter of the first client is next."""
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._mean_seconds = _FIRST_GUESS
        self._measured = 0
        self._promised = 0.0
        """When the last refused client was told to come again, by the clock."""

    @property
    def slots(self) -> int:
        return self._slots

    @slots.setter
    def slots(self, slots: int) -> None:
        self._slots = slots
        self._admit()

    @property
    def queue(self) -> int:
        """Requests that may wait."""
        if self._queue is not None:
            return self._queue
        served = round(_FILLED * self._wait_seconds / self._turn_seconds())
        return min(max(served, _SHORTEST_QUEUE, self._slots), _LONGEST_QUEUE)

    @property
    def depth(self) -> int:
        """Number of waiting requests."""
        return sum(len(waiters) for waiters in self._waiting.values())

    async def enter(self, client: str, *, limited: bool = True, holds: bool = False) -> None:
        """Wait for a slot; the caller must `leave` it. Cancelling removes the request from the queue.

        Args:
            client: key or address.
            limited: whether the request is refused if the queue is full, or after a while.
            holds: whether the request is admitted even while draining.

        Raises:
            Refusal: the queue is full, the wait timed out, or the server is shutting down.
        """
        if self.draining and not holds:
            raise ending_refusal()
        if self.used < self._slots and not self._waiting:
            self._take()
            return
        if limited and self.depth >= self.queue:
            self._make_room(client)
        waiter = _Waiter(client, limited=limited, holds=holds)
        self._waiting.setdefault(client, deque()).append(waiter)
        try:
            async with asyncio.timeout(self._wait_seconds if limited else None):
                await waiter.turn
        except TimeoutError:
            self._forget(waiter)
            raise self._busy(f"No slot became free within {self._wait_seconds:g} seconds.") from None
        except BaseException:
            self._forget(waiter)
            raise

    def check(self, client: str) -> None:
        """Raise Refusal if a request would be refused now: before work is begun that is of no use without a slot."""
        if self.draining:
            raise ending_refusal()
        if self.used >= self._slots and self.depth >= self.queue:
            raise self._too_many() if self._waiting.get(client) else self._busy(_FULL)

    def leave(self, seconds: float | None) -> None:
        """Release a slot.

        seconds: how long the request took; None if it was not finished, which tells nothing of the speed.
        """
        if seconds is not None:
            self._measured += 1
            self._mean_seconds += max(_WEIGHT, 1 / self._measured) * (seconds - self._mean_seconds)
        self._give_back()

    def drain(self) -> None:
        """Admit no more requests, and refuse those that are waiting."""
        self.draining = True
        for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters if not waiter.holds]:
            self._refuse(waiter, ending_refusal())

    def _retry_after(self) -> int:
        """Return in how many seconds a refused client should come again.

        Clients that are refused together are told to come one after another, as slots become free: if all of them
        came at once, most would be refused again, and OpenAI's clients try only twice more.
        """
        now = self._clock()
        self._promised = min(max(self._promised, now) + self._turn_seconds(), now + _LATEST)
        return min(max(math.ceil(self._promised - now), _SOONEST), _LATEST)

    def _turn_seconds(self) -> float:
        """Return after how many seconds a slot becomes free, on average, while all are in use."""
        return max(self._mean_seconds, _BRIEFEST) / max(self._slots, 1)

    def _take(self) -> None:
        self.used += 1

    def _give_back(self) -> None:
        self.used -= 1
        self._admit()

    def _admit(self) -> None:
        """Assign free slots to waiting requests, one client after another."""
        while self.used < self._slots and self._waiting:
            client, waiters = self._waiting.popitem(last=False)
            waiter = waiters.popleft()
            if waiters:
                self._waiting[client] = waiters
            if not waiter.turn.done():
                self._take()
                waiter.turn.set_result(None)

    def _make_room(self, client: str) -> None:
        """Refuse the newest request of the client with the longest queue, if that is longer than this one's will be.

        Raises:
            Refusal: there is no such client: 429 if this client is already queued, else 503.
        """
        own = len(self._waiting.get(client, ()))
        limited = (waiters for waiters in self._waiting.values() if waiters[-1].limited)
        longest = max(limited, key=len, default=deque())
        if len(longest) > own + 1:
            self._refuse(longest[-1], self._too_many())
        elif own:
            raise self._too_many()
        else:
            raise self._busy(_FULL)

    def _refuse(self, waiter: _Waiter, refusal: Refusal) -> None:
        self._remove(waiter)
        if not waiter.turn.done():
            waiter.turn.set_exception(refusal)

    def _forget(self, waiter: _Waiter) -> None:
        """Remove a request that stopped waiting, and release its slot if it was assigned at the same moment."""
        self._remove(waiter)
        if waiter.turn.done() and not waiter.turn.cancelled() and not waiter.turn.exception():
            self._give_back()

    def _remove(self, waiter: _Waiter) -> None:
        waiters = self._waiting.get(waiter.client, deque())
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[waiter.client]

    def _too_many(self) -> Refusal:
        return self._refusal(429, "Too many of your requests are waiting.", "rate_limit_exceeded")

    def _busy(self, message: str) -> Refusal:
        return self._refusal(503, message, "busy")

    def _refusal(self, status: int, message: str, code: str) -> Refusal:
        seconds = self._retry_after()
        message = f"{message} Try again in {seconds} s."
        return Refusal(Problem(status=status, message=message, code=code, retry_after=seconds))


def ending_refusal() -> Refusal:
    """Return what a client is told while the server shuts down."""
    message = "The server is shutting down and accepts no new requests."
    return Refusal(Problem(status=503, message=message, code="draining", retry_after=_RESTART))
