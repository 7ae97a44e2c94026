"""Audiobooks as plain files of sound: one, or a folder with one for each chapter and a playlist."""

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.batch.books.tags import BookTags, ChapterTagging, unwritable
from voxcli.files import write_atomically
from voxcli.sinks.base import Writer
from voxcli.sinks.writer import new_writer

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
"""In names, by some system."""
_MOST_BYTES = 120
_UNFINISHED = ".unfinished"


class SoundFile:
    """One file that is being written. It takes its name when it is complete."""

    def __init__(self, path: Path, format: AudioFormat, tags: BookTags, shown: dict[str, str] | None = None) -> None:
        """shown: what players show of it, under the names of Vorbis comments."""
        self.seconds = 0.0
        self._path = path
        self._format = format
        self._tags = tags
        self._shown = shown or {}
        self._unfinished = path.with_name(f".{path.name}{_UNFINISHED}")
        self._file: FileIO | None = None
        self._writer: Writer | None = None

    def begin_chapter(self, title: str) -> None:
        """Do nothing: it has no chapters."""

    def write(self, chunk: AudioChunk) -> None:
        with self._errors_translated():
            if self._writer is None:
                self._path.parent.mkdir(exist_ok=True)
                self._file = FileIO(self._unfinished, "w+")
                tagging = ChapterTagging(self._tags, self._shown) if self._tags.provenance else None
                self._writer = new_writer(self._format, self._file, chunk.sample_rate, tagging)
            self._writer.write(chunk)
        self.seconds += chunk.seconds

    def finish(self) -> list[Path]:
        """Complete the file and give it its name. Return it; nothing if nothing was written."""
        if self._writer is None or self._file is None:
            return []
        with self._errors_translated():
            self._writer.finish()
            os.fsync(self._file.fileno())
            self._file.close()
            self._unfinished.replace(self._path)
        self._writer = self._file = None
        return [self._path]

    def close(self) -> None:
        """Remove what is not finished."""
        if self._file:
            with suppress(OSError):
                self._file.close()
            self._file = None
            with suppress(OSError):
                self._unfinished.unlink()

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._path, error) from error


class BookFolder:
    """A folder of chapters that is being written."""

    def __init__(self, path: Path, format: AudioFormat, tags: BookTags, count: int) -> None:
        """count: chapters."""
        self._path = path
        self._format = format
        self._tags = tags
        self._count = count
        self._titles: list[str] = []
        self._chapters: list[tuple[Path, float]] = []
        self._current: SoundFile | None = None

    def begin_chapter(self, title: str) -> None:
        """Begin a chapter with the next sample."""
        self._end_chapter()
        self._titles.append(title)
        number = len(self._titles)
        name = chapter_name(number, self._count, title, self._format)
        shown = self._tags.of_chapter(number, self._count, title)
        self._current = SoundFile(self._path / name, self._format, self._tags, shown)

    def write(self, chunk: AudioChunk) -> None:
        assert self._current
        self._current.write(chunk)

    def finish(self) -> list[Path]:
        """Complete the last chapter, and write the playlist. Return all files."""
        self._end_chapter()
        lines = ["#EXTM3U", f"#PLAYLIST:{self._tags.title}"]
        for (path, seconds), title in zip(self._chapters, self._titles, strict=True):
            lines += [f"#EXTINF:{round(seconds)},{title}", path.name]
        playlist = self._path / f"{_clean(self._tags.title) or 'book'}.m3u8"
        try:
            write_atomically(playlist, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
        except OSError as error:
            raise unwritable(playlist, error) from error
        return [*(path for path, _ in self._chapters), playlist]

    def close(self) -> None:
        """Remove what is not finished, also what a killed process has left."""
        if self._current:
            self._current.close()
        with suppress(OSError):
            for path in self._path.glob(f".*{_UNFINISHED}"):
                path.unlink()

    def _end_chapter(self) -> None:
        if self._current:
            self._chapters += [(path, self._current.seconds) for path in self._current.finish()]
            self._current = None


def chapter_name(number: int, count: int, title: str, format: AudioFormat) -> str:
    """Return the name of the file of a chapter: "01 The Beginning.mp3"."""
    clean = _clean(title)
    plain = f" {clean}" if clean and clean != str(number) else ""
    return f"{number:0{max(2, len(str(count)))}}{plain}.{format}"


def _clean(title: str) -> str:
    """Leave out what some system does not allow in a name."""
    name = " ".join(_FORBIDDEN.sub(" ", unicodedata.normalize("NFC", title)).split())
    return name.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .")
