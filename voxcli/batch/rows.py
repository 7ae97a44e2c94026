"""Rows of a batch that are ready to be spoken, their results, and the errors of their files."""

import errno
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import DeviceError, VoxError
from voxcli.sinks import Target
from voxcli.sinks.base import Sink
from voxcli.synthesis.pipeline import Delivery, Speakers
from voxcli.synthesis.request import Abilities, SentenceMark
from voxcli.text.marks import Part

_NOTHING_MORE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of a disk after which no other file can be written either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A row that is ready to be spoken."""

    number: int
    line: int
    parts: Callable[[Abilities], Iterator[Part]]
    """Reads the text for an engine with these abilities."""
    delivery: Delivery
    key: str
    """Digest of everything that decides its samples; see `Provenance.key`."""
    outputs: tuple["RowOutput", ...]
    """At least one."""
    speakers: Speakers = field(default_factory=dict)
    """Of the voices that its text names."""
    estimated_seconds: float = 0.0
    id: str | None = None

    @property
    def file(self) -> str:
        """The name of its sound."""
        return self.outputs[0].file


@dataclass(frozen=True, slots=True)
class RowOutput:
    """A file that is made of a row."""

    file: str
    """Its path below the folder of the results, with / between the parts."""
    kind: str
    """Everything besides the samples that its content depends on, such as its format."""
    to_target: Callable[[Path], Target]
    """Returns what writes it to a path."""


class Way(StrEnum):
    """How a row came to its files."""

    MADE = "made"
    COPIED = "copied"
    KEPT = "kept"
    """They were there."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of a row."""

    row: BatchRow
    way: Way
    seconds: float = 0.0
    """Of sound."""
    error: VoxError | None = None


class Unwritable(DeviceError):
    """Nothing more can be written: every other row would fail too."""


class NamedSink:
    """A sink whose errors name the file that a draft becomes."""

    def __init__(self, sink: Sink, path: Path) -> None:
        self._sink, self._path = sink, path

    def __enter__(self) -> Self:
        with naming(self._path):
            self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self._path):
            self._sink.__exit__(kind, error, trace)

    def write(self, chunk: AudioChunk) -> None:
        with naming(self._path):
            self._sink.write(chunk)

    def mark(self, mark: SentenceMark) -> None:
        with naming(self._path):
            self._sink.mark(mark)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Let the errors of a file name another path.

    Raises:
        Unwritable: nothing more can be written.
        DeviceError: this one cannot be written.
    """
    try:
        yield
    except OSError as error:
        _refuse(path, error)
    except DeviceError as error:
        if isinstance(error.__cause__, OSError):
            _refuse(path, error.__cause__)
        raise


def _refuse(path: Path, error: OSError) -> NoReturn:
    kind = Unwritable if error.errno in _NOTHING_MORE else DeviceError
    raise kind(f"Cannot write {path}: {error.strerror or error}.") from error


def sync(path: Path) -> None:
    """Write the content of a file to the disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it. Raises OSError."""
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
