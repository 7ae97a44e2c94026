"""Options for documents: which chapters are spoken, and how they are set apart."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.audio.format import AudioFormat, find_format, find_subtitle_format
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.options.speech import OutputOptions

if TYPE_CHECKING:
    from voxcli.documents import Pauses

_PANEL = "Documents and books"
_RANGE = re.compile(r"(\d+)?(?:(-)(\d+)?)?")
_LONGEST_PAUSE = 60.0
_SUFFIXES = (".m4b", ".m4a")
_STDOUT = "-"

ListChapters = Annotated[
    bool,
    typer.Option(
        "--list-chapters", help="List the chapters of the document, and speak nothing.", rich_help_panel=_PANEL
    ),
]
ChosenChapters = Annotated[
    str | None,
    typer.Option(
        "--chapters",
        metavar="N-M",
        help="Speak these chapters of the document only, as in 3-5,8 or 7-.",
        rich_help_panel=_PANEL,
    ),
]
ChapterPause = Annotated[
    float,
    typer.Option(
        "--chapter-pause",
        metavar="SECONDS",
        min=0,
        max=_LONGEST_PAUSE,
        help="Silence between chapters of a document; half of it follows a title.",
        rich_help_panel=_PANEL,
    ),
]
ParagraphPause = Annotated[
    float,
    typer.Option(
        "--paragraph-pause",
        metavar="SECONDS",
        min=0,
        max=_LONGEST_PAUSE,
        help="Silence between paragraphs of a document, besides that between sentences.",
        rich_help_panel=_PANEL,
    ),
]
Loudness = Annotated[
    float | None,
    typer.Option(
        "--loudness",
        metavar="LUFS",
        min=-40,
        max=-5,
        help="Bring the speech to this loudness (EBU R 128), as in --loudness -18. Exact in files.",
        rich_help_panel=_PANEL,
    ),
]
Partial = Annotated[
    bool,
    typer.Option("--partial", help="Write what there is of a book by now, and make no more.", rich_help_panel=_PANEL),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=64,
        help="Sentences of a book to make at once. Default: as many as the model can speak.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class BookTarget:
    """A book to be made: one file, or a folder with a file for each chapter."""

    output: str
    """As it was named."""
    format: AudioFormat | None
    """Of files of sound; None for one file with chapters."""
    folder: bool = False
    overwrite: bool = False
    narrator: str | None = None
    """Name of the voice, as the user gave it."""
    only_mark: bool = False
    """Whether the files say only that a machine made them."""

    @property
    def path(self) -> Path:
        return Path(self.output)

    @property
    def has_chapters(self) -> bool:
        return self.folder or self.format is None

    def beside(self, out: OutputOptions) -> OutputOptions:
        """Return the outputs besides the book, such as subtitles."""
        others = [output for output in out.output or [] if output != self.output]
        return replace(out, output=others, play=False, format=None)


@dataclass(frozen=True, slots=True)
class BookOptions:
    """Chapters of a document, the silence between them, and how a book is made of them."""

    list_chapters: ListChapters = False
    chapters: ChosenChapters = None
    chapter_pause: ChapterPause = 2.0
    paragraph_pause: ParagraphPause = 0.4
    loudness: Loudness = None
    partial: Partial = False
    jobs: Jobs = None

    @property
    def pauses(self) -> "Pauses":
        from voxcli.documents import Pauses

        return Pauses(chapter=self.chapter_pause, paragraph=self.paragraph_pause)

    def check(self, context: typer.Context, files: list[str] | None) -> None:
        """Refuse options for a document where there is none."""
        for name in ("list_chapters", "chapters"):
            if on_command_line(context, name) and (files is None or len(files) != 1):
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter(f"{option} is for one document: -f FILE.", param_hint=option)

    def find_target(self, context: typer.Context, out: OutputOptions) -> BookTarget | None:
        """Return the book that is to be made, if an output is one: a name ending in .m4b or .m4a, or in a slash.

        A file that is brought to a loudness, and not heard meanwhile, is made as a book is: it is measured as a whole.

        Raises:
            typer.BadParameter: there are several, or it is to be played.
        """
        books = [output for output in out.output or [] if _is_book(output)]
        if len(books) > 1:
            raise typer.BadParameter(f"One book at a time, not {' and '.join(books)}.", param_hint="--output")
        if books and out.play:
            raise typer.BadParameter("A book is not played while it is made. Give -o or --play.", param_hint="--play")
        if books and not books[0].lower().endswith(_SUFFIXES):
            return BookTarget(books[0], self._format_in_folder(out.format), folder=True, overwrite=out.force)
        if books:
            if out.format and out.format.lower().removeprefix(".") not in ("m4b", "m4a"):
                raise typer.BadParameter(f"{books[0]} is AAC in MP4. Leave --format out.", param_hint="--format")
            return BookTarget(books[0], None, overwrite=out.force)
        streamed = out.plays or _STDOUT in (out.output or [])
        if self.loudness is not None and not streamed:
            named = (out.format or "").lower().removeprefix(".")
            for output in out.output or []:
                format = AudioFormat(named) if named in [*AudioFormat] else find_format(Path(output))
                if format is not None and find_subtitle_format(Path(output)) is None:
                    return BookTarget(output, format, overwrite=out.force)
        for name in ("partial", "jobs"):
            if on_command_line(context, name):
                raise typer.BadParameter(f"--{name} is for a book: -o book.m4b or -o folder/.", param_hint=f"--{name}")
        return None

    def _format_in_folder(self, name: str | None) -> AudioFormat:
        wanted = (name or AudioFormat.MP3).lower().removeprefix(".")
        known = [format for format in AudioFormat if format is not AudioFormat.PCM]
        if wanted not in known:
            choice = ", ".join(known)
            raise typer.BadParameter(f"Unknown format {name!r}. Choose from: {choice}.", param_hint="--format")
        return AudioFormat(wanted)

    def chosen(self, count: int) -> list[int]:
        """Return the indexes of the chapters to speak, in the order of the document.

        Raises:
            typer.BadParameter: there are no such chapters.
        """
        if self.chapters is None:
            return list(range(count))
        indexes: set[int] = set()
        for part in self.chapters.split(","):
            found = _RANGE.fullmatch(part.strip())
            if not found or not (found[1] or found[3]):
                raise typer.BadParameter(
                    f"{part.strip()!r} is not a chapter or a range. Write 3, 3-5, 7- or -2, with commas between.",
                    param_hint="--chapters",
                )
            first = int(found[1] or 1)
            last = int(found[3] or count) if found[2] else first
            if not 1 <= first <= last <= count:
                chapters = "one chapter" if count == 1 else f"{count} chapters"
                raise typer.BadParameter(
                    f"There is no chapter {part.strip()}: the document has {chapters}. --list-chapters lists them.",
                    param_hint="--chapters",
                )
            indexes.update(range(first - 1, last))
        return sorted(indexes)


def _is_book(output: str) -> bool:
    return output.lower().endswith((*_SUFFIXES, "/", os.sep))
