"""Audiobooks in a folder: a file for each chapter, named so that they sort, and a playlist."""

import os
import re
import unicodedata
from contextlib import suppress
from io import FileIO
from pathlib import Path

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.batch.books.tags import BookTags, ChapterTagging
from voxcli.errors import DeviceError
from voxcli.files import write_atomically
from voxcli.sinks.base import Writer
from voxcli.sinks.writer import new_writer

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
"""In names, by some system."""
_MOST_BYTES = 120


class BookFolder:
    """A folder of chapters that is being written. Each file takes its name when it is complete."""

    def __init__(self, path: Path, format: AudioFormat, tags: BookTags, count: int) -> None:
        """count: chapters."""
        self._path = path
        self._format = format
        self._tags = tags
        self._count = count
        self._titles: list[str] = []
        self._seconds: list[float] = []
        self._file: FileIO | None = None
        self._writer: Writer | None = None

    def begin_chapter(self, title: str) -> None:
        """Begin a chapter with the next sample."""
        self._end_chapter()
        self._titles.append(title)
        self._seconds.append(0.0)

    def write(self, chunk: AudioChunk) -> None:
        number = len(self._seconds)
        try:
            if self._writer is None:
                self._path.mkdir(parents=True, exist_ok=True)
                self._file = FileIO(self._unfinished, "w+")
                tagging = None
                if self._tags.provenance:
                    shown = self._tags.of_chapter(number, self._count, self._titles[-1])
                    tagging = ChapterTagging(self._tags, shown)
                self._writer = new_writer(self._format, self._file, chunk.sample_rate, tagging)
            self._writer.write(chunk)
        except OSError as error:
            raise self._unwritable(error) from error
        self._seconds[-1] += chunk.seconds

    def finish(self) -> list[Path]:
        """Complete the last chapter, and write the playlist. Return all files."""
        self._end_chapter()
        made = list(map(self._name, range(len(self._titles))))
        lines = ["#EXTM3U", f"#PLAYLIST:{self._tags.title}"]
        for name, title, seconds in zip(made, self._titles, self._seconds, strict=True):
            lines += [f"#EXTINF:{round(seconds)},{title}", name]
        playlist = self._path / f"{_clean(self._tags.title) or 'book'}.m3u8"
        try:
            write_atomically(playlist, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
        except OSError as error:
            raise self._unwritable(error) from error
        return [*(self._path / name for name in made), playlist]

    def close(self) -> None:
        """Remove what is not finished."""
        if self._file:
            self._file.close()
            self._file = None
        with suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self._path / ".chapter.unfinished"

    def _end_chapter(self) -> None:
        if self._writer is None or self._file is None:
            return
        try:
            self._writer.finish()
            os.fsync(self._file.fileno())
            self._file.close()
            self._unfinished.replace(self._path / self._name(len(self._titles) - 1))
        except OSError as error:
            raise self._unwritable(error) from error
        self._writer = self._file = None

    def _name(self, index: int) -> str:
        return chapter_name(index + 1, self._count, self._titles[index], self._format)

    def _unwritable(self, error: OSError) -> DeviceError:
        reason = error.strerror or error
        return DeviceError(f"Cannot write {self._path}: {reason}. The sentences of the book are kept.")


def chapter_name(number: int, count: int, title: str, format: AudioFormat) -> str:
    """Return the name of the file of a chapter: "01 The Beginning.mp3"."""
    clean = _clean(title)
    plain = f" {clean}" if clean and clean != str(number) else ""
    return f"{number:0{max(2, len(str(count)))}}{plain}.{format}"


def _clean(title: str) -> str:
    """Leave out what some system does not allow in a name."""
    name = " ".join(_FORBIDDEN.sub(" ", unicodedata.normalize("NFC", title)).split())
    return name.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .")
