"""Text sources: the command line, a file, or a pipe that may still be written to."""

import codecs
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxcli.errors import RequestError
from voxcli.text.parts import IDLE_SECONDS, Silence

_READ_BYTES = 65536


class Source(Protocol):
    """A text, complete or still arriving."""

    def pieces(self, before_waiting: Callable[[], None]) -> Iterator[str | Silence]:
        """Yield the text as soon as it is available, and again and again how long its writer has paused.

        Args:
            before_waiting: called when all available text has been read.

        Raises:
            RequestError: it cannot be read, or is not text.
        """
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete text."""

    text: str

    def pieces(self, before_waiting: Callable[[], None]) -> Iterator[str | Silence]:
        yield self.text


@dataclass(frozen=True, slots=True)
class InOrder:
    """Texts one after another, with a blank line between."""

    sources: Sequence[Source]

    def pieces(self, before_waiting: Callable[[], None]) -> Iterator[str | Silence]:
        for number, source in enumerate(self.sources):
            if number:
                yield "\n\n"
            yield from source.pieces(before_waiting)


def known_text(source: Source) -> str | None:
    """Return a text that is complete; None if it may still be arriving."""
    if isinstance(source, InOrder):
        texts = [known_text(part) for part in source.sources]
        return None if None in texts else "\n\n".join(filter(None, texts))
    return source.text if isinstance(source, Whole) else None


class Arriving:
    """Text from a file descriptor, as soon as it is written.

    A thread reads it, so that waiting for text never blocks playback, and playback never blocks reading.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """name: for messages."""
        self._descriptor = descriptor
        self._name = name
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._read: queue.Queue[tuple[float, bytes | OSError]] = queue.Queue(maxsize=64)
        threading.Thread(target=self._keep_reading, name="text", daemon=True).start()

    def pieces(self, before_waiting: Callable[[], None]) -> Iterator[str | Silence]:
        decoder = TextDecoder(self._name)
        last = self._clock()
        due = self._idle_seconds
        while True:
            if self._read.empty():
                before_waiting()
            try:
                # Waits are always short: on Windows, Ctrl-C does not interrupt them.
                last, data = self._read.get(timeout=max(0.0, last + due - self._clock()))
            except queue.Empty:
                yield Silence(due)
                due = max(due, self._clock() - last) + self._idle_seconds
                continue
            if isinstance(data, OSError):
                raise RequestError(f"Cannot read {self._name}: {data.strerror or data}.") from data
            due = self._idle_seconds
            yield decoder.decode(data)
            if not data:
                return

    def _keep_reading(self) -> None:
        data: bytes | OSError = b"more"
        while isinstance(data, bytes) and data:
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except OSError as error:
                data = error
            self._read.put((self._clock(), data))


class TextDecoder:
    """Incremental, strict UTF-8 decoder."""

    def __init__(self, name: str) -> None:
        """name: for messages."""
        self._name = name
        # Not utf-8-sig, which accepts half a byte order mark at the end.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._taken = 0
        self._begun = False

    def decode(self, data: bytes) -> str:
        """Decode the next bytes; empty bytes mark the end.

        Raises:
            RequestError: it is not UTF-8 text; the message names the position.
        """
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            kept_from_before = len(error.object) - len(data)
            place = self._taken - kept_from_before + error.start
            raise RequestError(
                f"{self._name} is not UTF-8 text: byte {place} is 0x{error.object[error.start]:02x}. "
                "Convert it first, for example with: iconv -t UTF-8"
            ) from error
        if "\0" in text:
            raise RequestError(f"{self._name} is a binary file, not text: it contains a zero byte.")
        self._taken += len(data)
        if text and not self._begun:
            self._begun = True
            return text.removeprefix("\ufeff")
        return text


def open_text_file(path: Path) -> Source:
    """Read a whole file, or start reading a named pipe.

    Raises:
        RequestError: it does not exist, is a directory or is not text.
    """
    with _readable(path):
        if path.is_fifo():
            return Arriving(os.open(path, os.O_RDONLY), str(path))
    decoder = TextDecoder(str(path))
    return Whole(decoder.decode(read_file(path)) + decoder.decode(b""))


def read_file(path: Path) -> bytes:
    """Read a file that the user named.

    Raises:
        RequestError: it cannot be read.
    """
    with _readable(path):
        return path.read_bytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error
