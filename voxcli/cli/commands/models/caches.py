"""`voxcli cache`: what is kept so that it need not be made again, all of which may be deleted at any time."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, confirm, write_json, write_lines, write_table
from voxcli.cli.options import parameters as options
from voxcli.cli.settings.files import find_user_places

if TYPE_CHECKING:
    from voxcli.paths import Places

app = typer.Typer(name="cache", help="Show and clear what is kept for speed.", invoke_without_command=True)

SPEECH = "speech"
_DAY_SECONDS = 24 * 60 * 60


def cache_folders(places: "Places") -> Mapping[str, tuple[str, Path]]:
    """Return what is in each cache, and its folder, by a short name."""
    return {
        SPEECH: ("sentences of --cache", places.speech),
        "clips": ("encoded clips", places.clips),
        "voices": ("drawn voices", places.anchors),
        "weights": ("prepared weights", places.prepared),
        "kernels": ("kernels", places.kernels),
        "kokoro": ("prepared Kokoro", places.cache / "kokoro"),
    }


@dataclass(frozen=True, slots=True)
class CacheContent:
    """What a folder of a cache holds."""

    files: int = 0
    size: int = 0
    """Bytes."""
    oldest: float | None = None
    """Seconds since the use of the file that was not used for longest."""


def content_of(folder: Path) -> CacheContent:
    """Measure a folder, which other programs may be changing."""
    statuses = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed meanwhile
            if path.is_file():
                statuses.append(path.stat())
    oldest = min((status.st_mtime for status in statuses), default=None)
    age = None if oldest is None else max(0.0, time.time() - oldest)
    return CacheContent(len(statuses), sum(status.st_size for status in statuses), age)


def _names(incomplete: str) -> list[str]:
    return [name for name in cache_folders(find_user_places()) if name.startswith(incomplete)]


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME...", help="Caches, as `voxcli cache` names them. Default: speech.", autocompletion=_names
    ),
]


@app.callback()
def cache(context: typer.Context, json: options.Json = False) -> None:
    """Show what is kept for speed, and how much. All of it may be cleared at any time."""
    if context.invoked_subcommand is None:
        show(json)


@app.command("show")
def show(json: options.Json = False) -> None:
    """Show what is kept for speed, and how much."""
    from rich.filesize import decimal

    from voxcli.synthesis.speech_cache import MOST_BYTES

    found = {
        name: (what, folder, content_of(folder)) for name, (what, folder) in cache_folders(find_user_places()).items()
    }
    if json:
        write_json(
            [
                {"name": name, "folder": str(folder), "files": of.files, "bytes": of.size, "oldest_seconds": of.oldest}
                for name, (_, folder, of) in found.items()
            ]
        )
        return
    rows = [
        [name, decimal(of.size), _files(of.files), _age(of.oldest), what]
        for name, (what, _, of) in found.items()
        if of.files
    ]
    if rows:
        write_table(rows)
        write_lines(["", f"speech holds {decimal(MOST_BYTES)} at most. To clear one: voxcli cache clear NAME"])
    else:
        write_lines(["Nothing is kept."])


@app.command("clear")
def clear(
    names: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="Clear all of them.")] = False,
    yes: options.Yes = False,
) -> None:
    """Clear the sentences of --cache, or other caches. What is needed is made again."""
    from rich.filesize import decimal

    folders, console = cache_folders(find_user_places()), Console()
    chosen = [*folders] if everything else [*_checked(names or [SPEECH], folders)]
    before = {name: content_of(folders[name][1]) for name in chosen}
    size = decimal(sum(of.size for of in before.values()))
    if not any(of.files for of in before.values()):
        console.note("Nothing is kept there.")
        return
    if chosen != [SPEECH]:
        words = " ".join(["voxcli cache clear", *(["--all"] if everything else chosen), "--yes"])
        confirm(console, f"Clear {', '.join(chosen)} ({size})?", yes=yes, command=words)
    for name in chosen:
        shutil.rmtree(folders[name][1], ignore_errors=True)
    left = sum(content_of(folders[name][1]).size for name in chosen)
    freed = decimal(sum(of.size for of in before.values()) - left)
    console.note(f"Cleared {', '.join(chosen)}: {freed} freed.{f' {decimal(left)} are in use.' if left else ''}")


def _checked(names: list[str], folders: Mapping[str, object]) -> Iterator[str]:
    from voxcli.errors import NotFound, did_you_mean

    for name in dict.fromkeys(names):
        if name not in folders:
            raise NotFound(f"There is no cache {name!r}.{did_you_mean(name, folders)} Caches: {', '.join(folders)}.")
        yield name


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    days = int(seconds // _DAY_SECONDS)
    return "used today" if days == 0 else f"oldest {days} day{'' if days == 1 else 's'}"
