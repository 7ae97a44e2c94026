"""Tags of a book: what players show of it, and what made it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import DeviceError
from voxcli.sinks.tagging import Tagging
from voxcli.synthesis.provenance import Provenance

_GENRE = "Audiobook"
_AUDIOBOOK = "2"
"""The media type by which iTunes tells audiobooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTags:
    """What players show of a book, and what made it."""

    title: str
    author: str | None = None
    narrator: str | None = None
    language: str | None = None
    """Three letters, as in ISO 639-2."""
    cover: bytes | None = None
    """JPEG or PNG."""
    provenance: Callable[[], Provenance] | None = None
    only_mark: bool = False

    def of_mp4(self) -> dict[str, str]:
        """Return what is shown, under the names that FFmpeg has for MP4."""
        shown = {
            "title": self.title,
            "album": self.title,
            "artist": self.author,
            "album_artist": self.author,
            "composer": self.narrator,
            "genre": _GENRE,
            "media_type": _AUDIOBOOK,
        }
        return {name: value for name, value in shown.items() if value}

    def of_chapter(self, number: int, count: int, title: str) -> dict[str, str]:
        """Return what is shown of the file of one chapter, under the names of Vorbis comments."""
        shown = {
            "TITLE": title,
            "ARTIST": self.author,
            "ALBUM": self.title,
            "TRACKNUMBER": f"{number}/{count}",
            "COMPOSER": self.narrator,
            "GENRE": _GENRE,
        }
        return {name: value for name, value in shown.items() if value}

    def made(self, seal: str) -> dict[str, str]:
        """Return what made the book.

        seal: of its sound.
        """
        return Tagging(self.provenance, self.only_mark).tags(seal) if self.provenance else {}


class ChapterTagging(Tagging):
    """What is written about a chapter into its file."""

    def __init__(self, book: BookTags, shown: dict[str, str]) -> None:
        assert book.provenance
        super().__init__(book.provenance, book.only_mark)
        self._shown = shown

    def tags(self, seal: str | None = None) -> dict[str, str]:
        return {**super().tags(seal), **self._shown}


def unwritable(path: Path, error: Exception) -> DeviceError:
    """Return the error of a book that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DeviceError(f"Cannot write {path}: {reason}. The sentences are kept: the same command goes on with them.")
