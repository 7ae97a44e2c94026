"""Options for lists of texts, for the files that are made of them, and for the cache of speech."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.cli.options.words import Lexicons, NoLexicon

_LIST = "List"
_FILES = "Files"
_WORK = "Work"
_MOST_JOBS = 256

ListFile = Annotated[
    str | None,
    typer.Argument(metavar="LIST", help="List of texts: .jsonl, .csv, .tsv, or .txt with a text a line; - is a pipe."),
]
ListOption = Annotated[
    str | None,
    typer.Option("--file", "-f", "--input", "--input-file", metavar="LIST", help="The list of texts.", hidden=True),
]
ListFormatName = Annotated[
    str | None,
    typer.Option(
        "--list-format",
        metavar="FORMAT",
        help="jsonl, csv, tsv or txt. Default: from the file suffix.",
        autocompletion=complete.list_formats,
        rich_help_panel=_LIST,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Encoding of the list, such as cp1252 or gb18030. Default: UTF-8, or by its byte order mark.",
        rich_help_panel=_LIST,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        "--dry-run",
        "-n",
        help="Only check all rows, and estimate the work.",
        rich_help_panel=_LIST,
    ),
]
OutputFolder = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        "-d",
        metavar="FOLDER",
        help="Folder for the files; created if need be.",
        rich_help_panel=_FILES,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="Names of the files, of columns and of n, line and ext. Default: {n:04}.{ext}, or the column output.",
        show_default=False,
        rich_help_panel=_FILES,
    ),
]
RowFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="wav, flac, mp3, opus, aac or pcm. Default: wav.",
        autocompletion=complete.formats,
        rich_help_panel=_FILES,
    ),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="FORMAT",
        help="Also write subtitles of each row: srt, vtt, lrc or json. Repeatable.",
        rich_help_panel=_FILES,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--force", help="Make every row again, and overwrite existing files.", rich_help_panel=_FILES),
]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="At the end, delete the files of rows that are no longer in the list.",
        rich_help_panel=_FILES,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Make what is missing or has changed. LIST and options are those of before if they are left out.",
        rich_help_panel=_WORK,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=_MOST_JOBS,
        help="Rows at once. Default: as many as the model can speak.",
        rich_help_panel=_WORK,
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going/--fail-fast",
        help="After a row that fails, go on (default) or stop.",
        show_default=False,
        rich_help_panel=_WORK,
    ),
]
Retry = Annotated[
    int,
    typer.Option(
        "--retry", min=0, max=10, metavar="TIMES", help="How often to try failed rows again.", rich_help_panel=_WORK
    ),
]
ListCache = Annotated[
    bool | None,
    options.setting(
        "--cache/--no-cache",
        help="Keep sentences, and use those that were made before: between lists and runs too. Default: only within "
        "this list.",
        show_default=False,
        rich_help_panel=_WORK,
    ),
]
SpeechCached = Annotated[
    bool,
    options.setting(
        "--cache/--no-cache",
        help="Keep the sentences, and use those that were made before with the same settings. The seed is then 0 "
        "unless it is given. See `voxcli cache`.",
        show_default=False,
        rich_help_panel="Output",
    ),
]


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The list, and how it is read."""

    list: ListFile = None
    list_option: ListOption = None
    list_format: ListFormatName = None
    encoding: Encoding = None
    lexicon: Lexicons = None
    no_lexicon: NoLexicon = False
    check: Check = False


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """The files that are made."""

    output_dir: OutputFolder = None
    name: Template = None
    format: RowFormat = None
    also: Also = None
    force: Overwrite = False
    prune: Prune = False


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """How the rows are made."""

    resume: Resume = False
    jobs: Jobs = None
    keep_going: KeepGoing = True
    retry: Retry = 0
    cache: ListCache = None


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Whether speech is kept for the next time."""

    cache: SpeechCached = False
