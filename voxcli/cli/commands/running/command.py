"""`voxcli ps` and `voxcli stop`: the engines that stay loaded, their logs, and their end."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, printable, write_lines
from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.cli.parser.help import documented

if TYPE_CHECKING:
    from voxcli.engines.resident.running import RunningEngine

_LOOK_SECONDS = 0.2
"""Between two looks at a log that is followed."""
_NOTHING_RUNS = "No model is loaded in the background. `voxcli say` loads one, and so does: voxcli load MODEL"

RunningModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="Name of a model that is loaded: see `voxcli ps`.",
        autocompletion=complete.running_models,
    ),
]


@documented(
    "voxcli ps",
    "voxcli ps --log",
    "voxcli ps --log voxcpm-2 --follow",
    runs_without_settings=True,
)
def ps(
    model: RunningModel = None,
    log: Annotated[bool, typer.Option("--log", help="Print the log instead; without MODEL, the newest one.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="With --log: go on until Ctrl-C.")] = False,
    json: options.Json = False,
) -> None:
    """Show the models that stay loaded, and until when.

    Their engines run in the background, and end by themselves when they have not been used for a while
    (`--keep-alive`), or with `voxcli stop`. A `voxcli serve` of yours is shown too, with its address.
    """
    from voxcli.cli.commands.running.selection import engines_of, find_log
    from voxcli.cli.commands.running.view import show_engines
    from voxcli.cli.commands.warm import engine_registry
    from voxcli.engines.resident.running import running_engines

    registry = engine_registry()
    if (follow or log) and json:
        raise typer.BadParameter("A log is no JSON: give --json or --log.", param_hint="--json")
    if follow or log:
        _print_log(find_log(registry, model), follow=follow)
        return
    engines = sorted(running_engines(registry), key=lambda engine: (engine.model, engine.entry.pid))
    if model:
        engines = engines_of(engines, model)
    if engines or json:
        show_engines(engines, registry, json=json)
    else:
        Console().note(_not_loaded(model) if model else _NOTHING_RUNS)


@documented(
    "voxcli stop",
    "voxcli stop voxcpm-1.5",
    "voxcli stop --all --now",
    runs_without_settings=True,
)
def stop(
    model: RunningModel = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Stop all of them.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Stop at once, in the middle of a sentence.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Stop a model that stays loaded, after what it is saying.

    Without MODEL, the only one is stopped. A `voxcli serve` is not: end that program with Ctrl-C.
    """
    from voxcli.cli.commands.running.selection import engines_of, stop_engines
    from voxcli.cli.commands.warm import engine_registry
    from voxcli.engines.resident.running import running_engines

    if model and every:
        raise typer.BadParameter("Give a model or --all, not both.", param_hint="--all")
    console = Console(quiet=quiet)
    found = running_engines(engine_registry())
    if model:
        found = engines_of(found, model)
    chosen = [engine for engine in found if engine.serves is None]
    if model and not found:
        console.note(_not_loaded(model))
    elif not model and len(chosen) > 1 and not every:
        _refuse_choice(chosen)
    elif not found:
        console.note("No model is loaded in the background: there is nothing to stop.")
    stop_engines(chosen, console, now=now)
    for served in found:
        if served.serves and (model or not chosen):
            console.note(
                f"{served.model} is served at {served.serves} by voxcli serve, process {served.entry.pid}, which is "
                "not stopped by this command: press Ctrl-C where it runs."
            )


def _not_loaded(model: str) -> str:
    from voxcli.engines import BUILTIN_MODEL

    if model == BUILTIN_MODEL:
        return "The built-in voice (eSpeak NG) is not kept loaded: it is ready within milliseconds."
    return f"{model} is not loaded in the background. To load it: voxcli load {model}"


def _refuse_choice(engines: "Sequence[RunningEngine]") -> None:
    names = dict.fromkeys(engine.model for engine in engines)
    first = next(iter(names))
    which = f"the {len(engines)} of {first}: voxcli stop {first}" if len(names) == 1 else f"one: voxcli stop {first}"
    raise typer.BadParameter(
        f"{len(engines)} models are loaded: {', '.join(names)}. Name {which}, or stop all: voxcli stop --all"
    )


def _print_log(path: Path, *, follow: bool) -> None:
    """Print a log, and with `follow` what is added to it until a signal ends this program."""
    if sys.stdout.isatty():
        Console().note(str(path))
    file = path.open(encoding="utf-8", errors="replace")
    try:
        _print_lines(file.readlines())
        while follow:
            time.sleep(_LOOK_SECONDS)
            _print_lines(file.readlines())
            if path.exists() and not os.path.samestat(path.stat(), os.fstat(file.fileno())):  # a long log is replaced
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
    finally:
        file.close()


def _print_lines(lines: Sequence[str]) -> None:
    if lines:
        write_lines([printable(line.removesuffix("\n")) for line in lines])
