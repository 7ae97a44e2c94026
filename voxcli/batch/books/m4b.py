"""Audiobooks in one file: AAC in MP4, with chapters as QuickTime and Nero write them, a cover and tags."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from voxcli.audio.chunk import AudioChunk, check_rate
from voxcli.audio.pcm import to_int16
from voxcli.audio.tags import Tags
from voxcli.audio.tags.mp4 import add_tags
from voxcli.audio.tags.reading import read_tagged
from voxcli.audio.tags.seal import PENDING, SEAL
from voxcli.batch.books.tags import BookTags, unwritable

if TYPE_CHECKING:
    from av.container.core import Chapter  # a type of its stub only

_RATES = frozenset({16000, 22050, 24000, 32000, 44100, 48000})
_FALLBACK_RATE = 48000
_MILLISECOND = Fraction(1, 1000)


class BookFile:
    """An M4B file that is being written, beside its final place. It can be played once it is finished."""

    def __init__(self, path: Path, tags: BookTags) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        self._tags = tags
        self._chapters: list[tuple[str, int]] = []
        self._rate = 0
        self._fed = 0
        self._container: av.container.OutputContainer | None = None

    def begin_chapter(self, title: str) -> None:
        """Begin a chapter with the next sample."""
        self._chapters.append((title, self._fed))

    def write(self, chunk: AudioChunk) -> None:
        container = self._container or self._open(chunk.sample_rate)
        check_rate(chunk, self._rate)
        if len(chunk.samples):
            samples = np.frombuffer(to_int16(chunk.samples), np.int16)
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = self._rate
            frame.pts = self._fed
            self._fed += len(chunk.samples)
            with _errors_translated(self._path):
                container.mux(self._stream.encode(frame))

    def finish(self) -> list[Path]:
        """Complete the file and give it its name. Return it."""
        assert self._container
        with _errors_translated(self._path):
            self._container.mux(self._stream.encode(None))
            self._container.set_chapters(self._listed())
            self._container.close()
            self._tag()
            self._unfinished.replace(self._path)
        return [self._path]

    def close(self) -> None:
        """Remove what is not finished."""
        if self._container:
            with suppress(av.error.FFmpegError, OSError):
                self._container.close()
        self._unfinished.unlink(missing_ok=True)

    def _open(self, sample_rate: int) -> av.container.OutputContainer:
        self._rate = sample_rate
        with _errors_translated(self._path):
            # Without the version of FFmpeg, equal books are equal files.
            container = av.open(str(self._unfinished), "w", format="ipod", options={"fflags": "+bitexact"})
            self._container = container
            container.metadata.update(self._tags.of_mp4())
            rate = sample_rate if sample_rate in _RATES else _FALLBACK_RATE
            # The other search takes five times as long, and its sound is further from the original.
            self._stream = container.add_stream("aac", rate=rate, layout="mono", options={"aac_coder": "fast"})
            self._stream.codec_context.bit_rate = 96_000 if rate > 24000 else 64_000
            if self._tags.language:
                self._stream.metadata["language"] = self._tags.language
            container.start_encoding()
        return container

    def _listed(self) -> "list[Chapter]":
        ends = [*(start for _, start in self._chapters[1:]), self._fed]
        return [
            {
                "id": number,
                "start": round(1000 * start / self._rate),
                "end": round(1000 * end / self._rate),
                "time_base": _MILLISECOND,
                "metadata": {"title": title},
            }
            for number, ((title, start), end) in enumerate(zip(self._chapters, ends, strict=True))
        ]

    def _tag(self) -> None:
        with self._unfinished.open("r+b") as file:
            tags: Tags = self._tags.made(PENDING)
            if SEAL in tags and (tagged := read_tagged(file)):
                tags = self._tags.made(tagged.sound(file).seal(done=True))
            add_tags(file, tags, self._tags.cover)


@contextmanager
def _errors_translated(path: Path) -> Generator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise unwritable(path, error) from error
