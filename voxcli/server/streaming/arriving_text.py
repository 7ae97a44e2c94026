"""Text on its way from the event loop to the thread that speaks it."""

import queue
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto

from voxcli.text.parts import IDLE_SECONDS, Flush, Silence

_PAUSES_TOLD = 5.0
"""Seconds into a pause of the writer, after which nothing more comes of telling how long it lasts."""


class Last(Enum):
    """What comes after the text."""

    FINISHED = auto()
    STOPPED = auto()
    """Nothing more is spoken, not even what is there."""


class Stopped(Exception):
    """The utterance was cancelled while it waited for text."""


class TextInbox:
    """Text on its way from the event loop to the worker's thread."""

    def __init__(self, on_flushed: Callable[[int], None]) -> None:
        """on_flushed: called on the thread with the number of a flush, once what is before it has been spoken."""
        self._queue: queue.SimpleQueue[str | Flush | Last] = queue.SimpleQueue()
        self._on_flushed = on_flushed

    def put(self, piece: str | Flush | Last) -> None:
        self._queue.put(piece)

    def pieces(self) -> Iterator[str | Silence | Flush]:
        """Yield the text as soon as it is there, and again and again how long its writer has paused.

        Raises:
            Stopped: the utterance was cancelled.
        """
        last, due, flushes = time.monotonic(), IDLE_SECONDS, 0
        while True:
            try:
                left = last + due - time.monotonic()
                piece = self._queue.get(timeout=max(0.0, left) if due < _PAUSES_TOLD else None)
            except queue.Empty:
                yield Silence(due)
                due += IDLE_SECONDS
                continue
            if piece is Last.STOPPED:
                raise Stopped
            if piece is Last.FINISHED:
                return
            last, due = time.monotonic(), IDLE_SECONDS
            yield piece
            if isinstance(piece, Flush):
                flushes += 1
                self._on_flushed(flushes)
