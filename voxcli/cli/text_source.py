"""Text sources: the command line, a file, or a pipe that may still be written to."""

import codecs
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voxcli.errors import RequestError
from voxcli.text.parts import IDLE_SECONDS, Silence

if TYPE_CHECKING:
    from voxcli.documents import Pauses

_log = logging.getLogger(__name__)

_READ_BYTES = 65536
_MOST_BYTES = 512 * 2**20
"""Of a file. A book with pictures may be large; its text has other limits."""
_SIGNS = re.compile(r"[!-/:-@\[-`{-~]")
"""Signs that Markdown may read. They are written as numbers: after a backslash, brackets are a formula."""
_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")
_STARTS_OF_DOCUMENTS = (b"<", b"P", b"%", b"{", b" ", b"\n", b"\r", b"\t", b"\x1b")
"""First bytes of documents that are ASCII, and of an escape sequence of Japanese."""


class Source(Protocol):
    """A text, complete or still arriving."""

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        """Yield the text as soon as it is available, and again and again how long its writer has paused.

        Args:
            before_waiting: called when all available text has been read.
            markdown: whether the text is read as Markdown. The signs of one that is not are escaped then.

        Raises:
            RequestError: it cannot be read, or is not text.
        """
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete text."""

    text: str

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        yield self.text


@dataclass(frozen=True, slots=True)
class FromDocument(Whole):
    """The text of a document, which is not Markdown."""

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        yield _in_markdown(self.text) if markdown else self.text


def _in_markdown(text: str) -> str:
    """Return Markdown that is read as a text without it."""
    return _LINE_BREAK.sub("\\\\\n", _SIGNS.sub(lambda sign: f"&#{ord(sign[0])};", text))


@dataclass(frozen=True, slots=True)
class InOrder:
    """Texts one after another, with a blank line between."""

    sources: Sequence[Source]

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        for number, source in enumerate(self.sources):
            if number:
                yield "\n\n"
            yield from source.pieces(before_waiting, markdown=markdown)


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

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        decoder: TextDecoder | None = None
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
            due = self._idle_seconds
            data = self._checked(data)
            if decoder is None:
                if needs_whole(data, self._name):
                    whole = text_of_file(self._rest(data, before_waiting), self._name)
                    yield from whole.pieces(before_waiting, markdown=markdown)
                    return
                decoder = TextDecoder(self._name)
            yield decoder.decode(data)
            if not data:
                return

    def _rest(self, data: bytes, before_waiting: Callable[[], None]) -> bytes:
        """Return everything, from its first block on."""
        read = bytearray(data)
        while data:
            try:
                data = self._checked(self._read.get(timeout=self._idle_seconds)[1])
            except queue.Empty:
                before_waiting()
                continue
            read += data
            if len(read) > _MOST_BYTES:
                raise RequestError(f"{self._name} has more than {_MOST_BYTES // 2**20} MiB, the most that is read.")
        return bytes(read)

    def _checked(self, data: bytes | OSError) -> bytes:
        if isinstance(data, OSError):
            raise RequestError(f"Cannot read {self._name}: {data.strerror or data}.") from data
        return data

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


def needs_whole(data: bytes, name: str) -> bool:
    """Whether a text that begins like this has to be read whole: a document, or text that is not UTF-8.

    Raises:
        RequestError: it is of a kind that is known and not read.
    """
    if not data or (data[:1] not in _STARTS_OF_DOCUMENTS and data.isascii() and b"\0" not in data):
        return False
    from voxcli.documents import DocumentKind, find_kind

    kind = find_kind(data, name)
    return kind not in (None, DocumentKind.TEXT, DocumentKind.MARKDOWN) or b"\0" in data or not _may_be_utf8(data)


def text_of_file(data: bytes, name: str, pauses: "Pauses | None" = None) -> Whole:
    """Return the text of a file, which may be a document.

    Raises:
        RequestError: it is not text, and not a document that can be read.
        NotFound: what reads this kind is not installed.
    """
    from voxcli.documents import DocumentKind, find_kind, open_document

    if find_kind(data, name) not in (None, DocumentKind.TEXT, DocumentKind.MARKDOWN):
        document = open_document(data, name)
        if left_out := document.left_out_words:
            _log.info("left out of %s: %s", name, left_out)
        return FromDocument(document.spoken(pauses))
    from voxcli.text.encodings import decode_text

    decoded = decode_text(data)
    if decoded is None:
        decoder = TextDecoder(name)  # tells what is wrong
        return Whole(decoder.decode(data) + decoder.decode(b""))
    if decoded.encoding != "UTF-8":
        _log.warning("%s is not UTF-8: it is read as %s", name, decoded.encoding)
    return Whole(decoded.text)


def _may_be_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that is cut at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def open_text_file(path: Path, pauses: "Pauses | None" = None) -> Source:
    """Read a whole file, or start reading a named pipe.

    pauses: between the chapters and paragraphs of a document; None for the usual ones.

    Raises:
        RequestError: it does not exist, is a directory, is not text, or is a document that cannot be read.
        NotFound: what reads this kind of document is not installed.
    """
    with _readable(path):
        if path.is_fifo():
            return Arriving(os.open(path, os.O_RDONLY), str(path))
    return text_of_file(read_file(path), str(path), pauses)


def read_file(path: Path) -> bytes:
    """Read a file that the user named.

    Raises:
        RequestError: it cannot be read.
    """
    with _readable(path):
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{path} is larger than {_MOST_BYTES // 2**20} MiB, the most that is read.")
        return path.read_bytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error
