"""Bytes that have arrived and are not read yet."""

import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from voxcli.audio.chunk import AudioChunk

T = TypeVar("T")

Waiting: TypeAlias = Generator[None, None, T]
"""Gives a T in the end, and yields whenever it needs more bytes, or to be told that there are no more."""

Sounding: TypeAlias = Generator[AudioChunk | None]
"""Yields chunks, and None whenever it needs more bytes."""


class Inbox:
    """What has been put in, to be read in order.

    A reader asks with `yield from`. It reads straight on, as if from a file, and is held up where bytes are missing; so
    what it makes of them cannot depend on where they were cut. Answers are short at the end only.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self.ended = False
        """Nothing more will come."""

    def put(self, data: bytes) -> None:
        self._held += data

    def __len__(self) -> int:
        return len(self._held)

    def find(self, pattern: re.Pattern[bytes], start: int) -> int:
        """Return where `pattern` is found first from `start` on, in what is here by now, or -1."""
        found = pattern.search(self._held, start)
        return found.start() if found else -1

    def peek(self, count: int, start: int = 0) -> Waiting[bytes]:
        """Return `count` bytes, the next ones or those after `start` more, and leave them there."""
        while len(self._held) < start + count and not self.ended:
            yield
        return bytes(memoryview(self._held)[start : start + count])

    def take(self, count: int) -> Waiting[bytes]:
        data = yield from self.peek(count)
        del self._held[: len(data)]
        return data

    def take_units(self, size: int, limit: int) -> Waiting[bytes]:
        """Return what there is, but whole units of `size` bytes only, at least one and up to `limit` bytes.

        b"" is the end; what is left of a unit there is dropped, as is nothing before.
        """
        if limit < size:
            return b""
        while len(self._held) < size and not self.ended:
            yield
        count = min(len(self._held), limit)
        return (yield from self.take(count - count % size))

    def skip(self, count: int) -> Waiting[None]:
        while count > 0 and (passed := (yield from self.take_units(1, count))):
            count -= len(passed)

    def skip_to(self, mark: bytes) -> Waiting[bool]:
        """Let everything before `mark` pass; False if it does not come."""
        while (at := self._held.find(mark)) < 0:
            del self._held[: max(0, len(self._held) - len(mark) + 1)]
            if self.ended:
                return False
            yield
        del self._held[:at]
        return True
