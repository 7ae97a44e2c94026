"""Download of a model, with confirmation and progress."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.filesize import decimal

from voxcli.cli.console import Console, confirm, logs_on_console
from voxcli.cli.exits import Terminated
from voxcli.cli.settings.files import model_library
from voxcli.engines import can_run_kokoro
from voxcli.errors import RemoteError
from voxcli.installation import install_command
from voxcli.models.catalog import HUB_TITLES, KOKORO, HubName
from voxcli.models.hubs import open_hub
from voxcli.models.kokoro import find_kokoro

if TYPE_CHECKING:
    from voxcli.models.download import Arrived, Pull
    from voxcli.models.hub import Hub
    from voxcli.models.library import ModelLibrary

_STEPS = 10


def pull_model(name: str, source: HubName, revision: str | None, *, yes: bool, console: Console) -> Path:
    """Download a model after asking, and return its folder."""
    from voxcli.models.download import free_bytes, plan_pull

    library = model_library()
    library.repository(name, source)  # report a wrong name before contacting the hub
    if name == KOKORO and (here := find_kokoro(None)):
        console.note(f"{name} is already installed, in packages of its own.")
        return here.folder
    hub = _open_hub(source)
    try:
        plan = plan_pull(library, name, hub, revision)
    except RemoteError as error:
        return _without_hub(library, name, revision, error, console)
    missing = plan.size - plan.present
    if missing:
        plan.check_room()
        begun = f" of {decimal(plan.size)}, the rest is already there" if plan.present else ""
        room = f"{decimal(free_bytes(plan.repository.folder))} free"
        console.note(f"{plan.listing.model_id} from {HUB_TITLES[source]} to {plan.repository.folder.parent} ({room})")
        question = f"Download {decimal(missing)}{begun}?"
        confirm(console, question, yes=yes, command=_command(name, source, revision))
    try:
        with logs_on_console(console, verbose=False), _progress(plan, console) as arrived:
            folder = plan.run(arrived)
    except (KeyboardInterrupt, Terminated):
        console.note("The partial download is kept: run the same command to resume.")
        raise
    if name == KOKORO and not can_run_kokoro(library):
        console.note(f"{name} is installed. It also needs packages. Run: {install_command('voices')}")
        return folder
    usable = f"{name}@{revision}" if revision and "@" not in name else name
    console.note(
        f'{name} is {"installed" if missing else "already installed"}. Try it: voxcli say --model {usable} "Hello"'
    )
    return folder


def _open_hub(source: HubName) -> "Hub":
    if source == "huggingface":
        return open_hub(source)  # its library reads HF_ENDPOINT, HF_TOKEN and others itself
    endpoint, token = map(os.environ.get, ("MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN"))
    return open_hub(source, endpoint=endpoint, token=token)


def _command(name: str, source: HubName, revision: str | None) -> str:
    parts = ["voxcli models pull", name]
    parts += ["--from modelscope"] if source == "modelscope" else []
    parts += [f"--revision {revision}"] if revision else []
    return " ".join([*parts, "--yes"])


def _without_hub(
    library: "ModelLibrary", name: str, revision: str | None, error: RemoteError, console: Console
) -> Path:
    """Use the installed model if it is complete."""
    found = library.find(f"{name}@{revision}" if revision else name)
    if not found:
        raise error
    console.warning(f"Cannot check for a newer {name}: {error.for_command_line}")
    console.note(f"{name} is already installed.")
    return found


@contextmanager
def _progress(plan: "Pull", console: Console) -> "Iterator[Arrived]":
    """Show progress: a bar on a terminal, otherwise a line per tenth. Includes what was downloaded before."""
    if console.quiet or plan.present == plan.size:
        yield lambda file, count: None
    elif console.is_terminal:
        with _bar(plan, console) as arrived:
            yield arrived
    else:
        yield _lines(plan, console)


@contextmanager
def _bar(plan: "Pull", console: Console) -> "Iterator[Arrived]":
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = [TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=console.rich, transient=True) as progress:
        task = progress.add_task("", total=plan.size, completed=plan.present)
        yield lambda file, count: progress.update(task, description=file.name, advance=count)


def _lines(plan: "Pull", console: Console) -> "Arrived":
    here, total = plan.present, plan.size

    def arrived(file: object, count: int) -> None:
        nonlocal here
        step, here = here * _STEPS // total, here + count
        if here * _STEPS // total > step:
            console.note(f"{decimal(here)} of {decimal(total)} ({here * 100 // total}%)")

    return arrived
