"""`voxcli load`: a model made ready before it is needed."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, logs_on_console, write_lines
from voxcli.cli.options import completion as complete
from voxcli.cli.options import engine as engine_options
from voxcli.cli.options import parameters as options
from voxcli.cli.parser.help import documented
from voxcli.engines.keep_alive import DEFAULT_KEEP_ALIVE

if TYPE_CHECKING:
    from voxcli.cli.reports.text import RunReport
    from voxcli.engines.resident.registry import EngineEntry
    from voxcli.engines.resident.running import RunningEngine
    from voxcli.engines.settings import EngineSettings

LoadedModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="Model to load, as for `voxcli say --model`. Default: the one that `voxcli say` uses.",
        autocompletion=complete.models,
    ),
]
NoServer = Annotated[str | None, typer.Option("--remote", hidden=True)]


@dataclass(frozen=True, slots=True)
class LoadedModelOptions:
    """How a model runs, and how long it stays loaded: an engine is used by calls with the same options."""

    keep_alive: engine_options.KeepAlive = DEFAULT_KEEP_ALIVE
    device: engine_options.Device = "auto"
    dtype: engine_options.Dtype = "auto"
    quantize: engine_options.Quantize = None
    threads: engine_options.Threads = None
    lazy_graphs: engine_options.LazyGraphs = False
    lora: engine_options.LoraFolder = None


@documented(
    "voxcli load",
    "voxcli load voxcpm-2 --keep-alive 1h",
    "voxcli load voxcpm-1.5 --quantize int8 --keep-alive -1",
)
def load(
    context: typer.Context,
    how: LoadedModelOptions,
    model: LoadedModel = None,
    remote: NoServer = None,
    quiet: options.Quiet = False,
    json: options.Events = False,
) -> None:
    """Load a model now, so that the next call is heard at once.

    Its engine runs in the background: see `voxcli ps`. If it is loaded already, the time until it ends starts again.
    Calls with other options for the model, such as --quantize, need another engine.
    """
    from voxcli.cli.reports import open_report
    from voxcli.engines import BUILTIN_MODEL

    if remote and options.on_command_line(context, "remote"):
        raise typer.BadParameter(
            "A server loads its models itself. voxcli load is for models on this machine.", param_hint="--remote"
        )
    console = Console(quiet=quiet or json)
    settings, name = _settings(context, how, model)
    if name == BUILTIN_MODEL:
        console.note("The built-in voice (eSpeak NG) needs no loading: it is ready within milliseconds.")
        return
    with (
        logs_on_console(console, verbose=False),
        open_report(console, sys.stdout if json else None, context.obj) as report,
    ):
        engine, was_loaded = _load(name, settings, report, context.obj.raise_if_interrupted)
    _tell(engine, settings.keep_alive, console, was_loaded=was_loaded, json=json)
    _note_server(context, console)


def _settings(context: typer.Context, how: LoadedModelOptions, model: str | None) -> "tuple[EngineSettings, str]":
    """Return the settings of the engine, and the name of its model.

    Raises:
        typer.BadParameter: it would not stay loaded.
    """
    from voxcli.cli.settings.files import find_setting, find_user_places, model_library
    from voxcli.engines import best_model

    chosen = find_setting(context, "model")
    name = model or (str(chosen.value) if chosen else best_model(model_library()))
    engine = engine_options.ResidentEngineOptions(
        model=name,
        device=how.device,
        dtype=how.dtype,
        quantize=how.quantize,
        threads=how.threads,
        lazy_graphs=how.lazy_graphs,
        lora=how.lora,
        keep_alive=how.keep_alive,
    )
    settings = engine.to_settings(find_user_places(), lambda url: None)
    if not settings.keep_alive:
        where = "" if options.on_command_line(context, "keep_alive") else " of the settings"
        raise typer.BadParameter(
            f"A keep-alive of 0{where} keeps nothing loaded. Give a time: voxcli load {name} --keep-alive 1h. "
            "To end an engine: voxcli stop",
            param_hint="",
        )
    return settings, name


def _load(
    name: str, settings: "EngineSettings", report: "RunReport", check: Callable[[], None]
) -> "tuple[RunningEngine, bool]":
    """Return the engine once it is ready, and whether it was already.

    Raises:
        VoxError: the model cannot be loaded, or no engine can be kept here.
    """
    from voxcli.cli.commands.warm import engine_registry, find_entry, new_order
    from voxcli.engines.resident.registry import READY, SEE_LOG
    from voxcli.engines.resident.start import replace_engine, start_engine
    from voxcli.errors import DeviceError

    registry = engine_registry()
    order = new_order(settings)
    assert order is not None, "the model is none for a resident engine"
    before = find_entry(order, registry)
    is_ready = before is not None and before.state == READY
    if before and is_ready and (engine := _renewed(before, settings.keep_alive)):
        return engine, True
    report.loading(name, [])
    if before and is_ready:  # it is ending, or hangs
        entry = replace_engine(before, order, registry, report.progress, check)
    else:
        entry = start_engine(order, registry, report.progress, check)
    # It may have been started by another call, with another time.
    if engine := _renewed(entry, settings.keep_alive):
        return engine, False
    raise DeviceError(f"The engine of {entry.model} ended as soon as it was loaded.", on_command_line=SEE_LOG)


def _renewed(entry: "EngineEntry", seconds: float) -> "RunningEngine | None":
    """Let an engine stay loaded for a time from now on. Return None if it has ended, is ending, or hung and was killed.

    seconds: infinity for ever. A `voxcli serve` is not told.
    """
    from voxcli.engines.resident.connection import NotListening, ask
    from voxcli.engines.resident.registry import kill
    from voxcli.engines.resident.running import RunningEngine

    engine = RunningEngine(entry, None)
    try:
        if not engine.serves:
            engine.keep(seconds)
        return RunningEngine(entry, ask(entry, "GET", "/private/state"))
    except TimeoutError:
        kill(entry)
    except NotListening:
        pass
    return None


def _tell(engine: "RunningEngine", seconds: float, console: Console, *, was_loaded: bool, json: bool) -> None:
    from voxcli.cli.commands.running.view import describe
    from voxcli.cli.commands.warm import engine_registry
    from voxcli.engines.keep_alive import describe_keep_alive

    if json:
        card = describe(engine, engine_registry().log_path(engine.entry.key))
        write_lines([dumps({"event": "ready", "was_loaded": was_loaded, **card})])
        return
    ready = f"{engine.model} is ready{' already' if was_loaded else ''}"
    if engine.serves:
        console.note(
            f"{ready}: it is served at {engine.serves} by voxcli serve, which decides how long it stays loaded."
        )
    elif math.isinf(seconds):
        console.note(f"{ready}, and stays loaded until: voxcli stop {engine.model}")
    else:
        console.note(f"{ready}, and stays loaded for {describe_keep_alive(seconds)} after each use.")


def _note_server(context: typer.Context, console: Console) -> None:
    """Say so if calls do not use the engine, because the settings name a server."""
    from voxcli.cli.settings.files import find_setting

    if found := find_setting(context, "remote"):
        console.note(
            f"{found.origin} names a server, which speaks instead of this engine. To use this one: --remote ''"
        )
