"""Options for what is in a text: its speakers, and how its words are pronounced."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Speakers and pronunciation"

CastFile = Annotated[
    str | None,
    typer.Option(
        "--cast",
        metavar="FILE",
        help="Voices of the names in a script of lines such as ANNA: Hello. auto chooses a voice for each.",
        rich_help_panel=_PANEL,
    ),
]
StemsFolder = Annotated[
    Path | None,
    typer.Option(
        "--stems",
        metavar="DIR",
        help="Also write a WAV for each speaker, silent while others speak. Their sum is the whole.",
        rich_help_panel=_PANEL,
    ),
]
Lexicons = Annotated[
    list[Path] | None,
    typer.Option(
        "--lexicon",
        metavar="FILE",
        help="How words are pronounced: lines of WRITTEN, a tab, SPOKEN. Repeatable; the first one counts.",
        rich_help_panel=_PANEL,
    ),
]
NoLexicon = Annotated[
    bool,
    typer.Option(
        "--no-lexicon",
        help="Leave out the lexicons that are found: yours, and .voxcli-lexicon.tsv beside the text.",
        rich_help_panel=_PANEL,
    ),
]
Ssml = Annotated[
    bool | None,
    typer.Option(
        "--ssml/--no-ssml",
        help="Read the text as SSML. Default: if its root element is speak.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Print what is said for each sentence, and why; make no sound.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class WordsOptions:
    """The speakers of a text, and how its words are pronounced."""

    cast: CastFile = None
    stems: StemsFolder = None
    lexicon: Lexicons = None
    no_lexicon: NoLexicon = False
    ssml: Ssml = None
    explain: Explain = False

    def check(self, *, split: bool) -> None:
        """Refuse options that contradict each other."""
        if self.cast and not split:
            raise typer.BadParameter("--cast has no effect with --no-split: the text is spoken in one piece.")
