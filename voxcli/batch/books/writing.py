"""Writing of a book: its sound measured, brought to a loudness, divided into chapters, and given to its files."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.levelling import Limiter
from voxcli.audio.loudness import LoudnessMeter
from voxcli.batch.books.making import Book, ChapterStart
from voxcli.batch.books.voice import DriftMeter, VoiceDrift
from voxcli.errors import RequestError
from voxcli.sinks.base import Sink


class BookWriter(Protocol):
    """Writes the chapters of a book."""

    def begin_chapter(self, title: str) -> None:
        """Begin a chapter with the next sample."""
        ...

    def write(self, chunk: AudioChunk) -> None: ...

    def finish(self) -> list[Path]:
        """Complete the book. Return its files."""
        ...

    def close(self) -> None:
        """Remove what is not finished."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBook:
    """A book that is whole."""

    files: list[Path]
    seconds: float
    starts: list[ChapterStart]
    drift: VoiceDrift | None
    lufs: float | None
    """Before it was brought to a loudness; None if it was not."""


def write_book(
    book: Book,
    writer: BookWriter,
    *,
    lufs: float | None = None,
    beside: Sink | None = None,
    only_made: bool = False,
    on_progress: Callable[[float], None] = lambda share: None,
    check: Callable[[], None] = lambda: None,
) -> WrittenBook:
    """Write a book whose sentences are made.

    Args:
        lufs: integrated loudness (EBU R 128) to bring it to, with peaks turned down where they would clip.
        beside: is given the sound and the marks too, such as subtitles.
        only_made: write what is there, up to the first sentence that is missing.
        on_progress: called with the share that is done.
        check: raises if the work has to stop.

    Raises:
        RequestError: there is nothing to write.
        DeviceError: the disk failed.
    """
    measured = None
    passes = 1 if lufs is None else 2
    sentences = max(1, book.sentence_count)
    if lufs is not None:
        measured = _measured(book, only_made, lambda share: on_progress(share / passes), check)
    gain = 1.0 if lufs is None or measured is None or measured == -math.inf else 10 ** ((lufs - measured) / 20)
    drift = DriftMeter(sentences)
    divider = _Divider(writer, gain)
    ended = 0
    try:
        with closing(book.stream(drift, only_made=only_made)) as pieces:
            for piece in pieces:
                check()
                if isinstance(piece, AudioChunk):
                    loud = divider.write(piece)
                    if beside and loud:
                        beside.write(loud)
                elif isinstance(piece, ChapterStart):
                    divider.begin(piece)
                else:
                    ended += piece.end is not None
                    if beside:
                        beside.mark(piece)
                    on_progress(((passes - 1) + ended / sentences) / passes)
        if (rest := divider.finish()) and beside:
            beside.write(rest)
        if not divider.seconds:
            raise RequestError("There is nothing to say: no sentence of the book has made a sound.")
        files = writer.finish()
    finally:
        writer.close()
    return WrittenBook(files=files, seconds=divider.seconds, starts=divider.starts, drift=drift.result(), lufs=measured)


def _measured(book: Book, only_made: bool, on_progress: Callable[[float], None], check: Callable[[], None]) -> float:
    """Return the integrated loudness of a book in LUFS."""
    meter: LoudnessMeter | None = None
    ended, sentences = 0, max(1, book.sentence_count)
    with closing(book.stream(only_made=only_made)) as pieces:
        for piece in pieces:
            check()
            if isinstance(piece, AudioChunk):
                meter = meter or LoudnessMeter(piece.sample_rate)
                meter.feed(piece.samples)
            elif not isinstance(piece, ChapterStart) and piece.end is not None:
                ended += 1
                on_progress(ended / sentences)
    return meter.integrated() if meter else -math.inf


class _Divider:
    """Gives each chapter the samples from its start to the next one, which a limiter may hold back for a moment."""

    def __init__(self, writer: BookWriter, gain: float) -> None:
        self.starts: list[ChapterStart] = []
        self._writer = writer
        self._gain = gain
        self._limiter: Limiter | None = None
        self._rate = 0
        self._written = 0
        self._due: list[ChapterStart] = []

    @property
    def seconds(self) -> float:
        return self._written / self._rate if self._rate else 0.0

    def begin(self, start: ChapterStart) -> None:
        self.starts.append(start)
        self._due.append(start)

    def write(self, chunk: AudioChunk) -> AudioChunk | None:
        """Return what was written."""
        if not self._rate:
            self._rate = chunk.sample_rate
            self._limiter = Limiter(chunk.sample_rate, self._gain) if self._gain != 1.0 else None
        if self._limiter is None:
            return self._put(chunk)
        samples = self._limiter.feed(chunk.samples)
        return self._put(AudioChunk(samples, chunk.sample_rate)) if len(samples) else None

    def finish(self) -> AudioChunk | None:
        rest = self._limiter.finish() if self._limiter else None
        return self._put(AudioChunk(rest, self._rate)) if rest is not None and len(rest) else None

    def _put(self, chunk: AudioChunk) -> AudioChunk:
        for part in self._divided(chunk):
            self._writer.write(part)
            self._written += len(part.samples)
        return chunk

    def _divided(self, chunk: AudioChunk) -> Iterator[AudioChunk]:
        samples = chunk.samples
        while self._due and (ahead := round(self._due[0].seconds * self._rate) - self._written) <= len(samples):
            if ahead > 0:
                yield AudioChunk(samples[:ahead], self._rate)
                samples = samples[ahead:]
            self._writer.begin_chapter(self._due.pop(0).title)
        if len(samples):
            yield AudioChunk(samples, self._rate)
