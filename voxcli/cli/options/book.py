"""Options for documents: which chapters are spoken, and how they are set apart."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.options.parameters import on_command_line

if TYPE_CHECKING:
    from voxcli.documents import Pauses

_PANEL = "Documents and books"
_RANGE = re.compile(r"(\d+)?(?:(-)(\d+)?)?")
_LONGEST_PAUSE = 60.0

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


@dataclass(frozen=True, slots=True)
class BookOptions:
    """Chapters of a document, and the silence between them."""

    list_chapters: ListChapters = False
    chapters: ChosenChapters = None
    chapter_pause: ChapterPause = 2.0
    paragraph_pause: ParagraphPause = 0.4

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
