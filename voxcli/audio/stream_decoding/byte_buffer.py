"""Byte buffer between the network and the parsers: bytes that have arrived and are not read yet."""

import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from voxcli.audio.chunk import AudioChunk

T = TypeVar("T")

Reading: TypeAlias = Generator[None, None, T]
"""A read that returns a T, and yields whenever it needs more bytes or the end of the input."""

ChunkSteps: TypeAlias = Generator[AudioChunk | None]
"""A parser that yields chunks, and None whenever it needs more bytes."""


class ByteBuffer:
    """Bytes in the order they arrived.

    Parsers read with `yield from`, as from a file, and are suspended while bytes are missing; so their results do not
    depend on where the input was cut. Reads return fewer bytes than asked for at the end of the input only.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self.ended = False
        """No more bytes will be appended."""
        self.position = 0
        """How many bytes have been read or skipped."""

    def append(self, data: bytes) -> None:
        self._held += data

    def __len__(self) -> int:
        return len(self._held)

    def find(self, pattern: re.Pattern[bytes], start: int) -> int:
        """Return the first match of `pattern` from `start` on in the bytes that are here now, or -1."""
        found = pattern.search(self._held, start)
        return found.start() if found else -1

    def peek(self, count: int, start: int = 0) -> Reading[bytes]:
        """Return `count` bytes, `start` bytes after the next one, without consuming them."""
        while len(self._held) < start + count and not self.ended:
            yield
        return bytes(memoryview(self._held)[start : start + count])

    def take(self, count: int) -> Reading[bytes]:
        data = yield from self.peek(count)
        self._drop(len(data))
        return data

    def take_units(self, size: int, limit: int) -> Reading[bytes]:
        """Return as many whole units of `size` bytes as are here, at least one, within `limit` bytes.

        b"" is the end of the input; an incomplete unit there is dropped.
        """
        if limit < size:
            return b""
        while len(self._held) < size and not self.ended:
            yield
        count = min(len(self._held), limit)
        return (yield from self.take(count - count % size))

    def skip(self, count: int) -> Reading[None]:
        while count > 0 and (passed := (yield from self.take_units(1, count))):
            count -= len(passed)

    def skip_to(self, mark: bytes) -> Reading[bool]:
        """Skip everything before `mark`; return False if it never comes."""
        while (at := self._held.find(mark)) < 0:
            self._drop(max(0, len(self._held) - len(mark) + 1))
            if self.ended:
                return False
            yield
        self._drop(at)
        return True

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self.position += count
