"""Selection of engines and of their logs by model, and their end."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from voxcli.cli.commands.running.view import describe, memory_of
from voxcli.cli.commands.warm import engine_registry
from voxcli.cli.console import Console
from voxcli.cli.settings.files import model_library
from voxcli.engines import model_names
from voxcli.engines.resident.registry import Registry, kill, wait_for_end
from voxcli.engines.resident.running import RunningEngine, running_engines
from voxcli.errors import NotFound, did_you_mean

_FIRST_LINE = re.compile(r" INFO this is the engine of (.+), in ")
"""In a log, which is of one model only."""
_ENDING_SECONDS = 20.0
"""For an engine to end that speaks no longer."""


def engines_in(folders: Iterable[Path]) -> list[RunningEngine]:
    """Return the engines whose model lies in one of these folders."""
    roots = [folder.resolve() for folder in folders]
    return [
        engine
        for engine in running_engines(engine_registry())
        if any(Path(engine.entry.values.get("folder", "")).is_relative_to(root) for root in roots)
    ]


def stop_engines(engines: Sequence[RunningEngine], console: Console, *, now: bool = False) -> None:
    """Stop engines, with a message about each. Those that are speaking are waited for only if they end at once."""
    for engine in engines:
        if now and engine.state is None:  # it has been asked in vain
            kill(engine.entry)
        else:
            engine.stop(now=now)
    for engine in engines:
        name = engine.model
        if engine.is_busy and not engine.is_loading and engine.state and not now:
            console.note(f"{name} stops after what it is saying. At once: voxcli stop {name} --now")
        elif wait_for_end(engine.entry, _ENDING_SECONDS):
            size = memory_of(describe(engine, Path()))
            console.note(f"Stopped {name}{'' if size == '-' else f', {size} freed'}.")
        else:
            console.warning(f"{name} is still ending, as process {engine.entry.pid}. At once: voxcli stop --now")


def engines_of(engines: Sequence[RunningEngine], name: str) -> list[RunningEngine]:
    """Return the engines of a model, given by its name or its folder; none if it is installed and not loaded.

    Raises:
        NotFound: there is no such model.
    """
    known, loaded = model_names(model_library()), list(dict.fromkeys(engine.model for engine in engines))
    folder = model_library().find(name)
    held = str(folder.resolve()) if folder else None
    found = [
        engine
        for engine in engines
        if engine.model.casefold() == name.casefold() or held == engine.entry.values.get("folder")
    ]
    if not found and not folder and name not in known:
        listed = f"Loaded: {', '.join(loaded)}." if loaded else "No model is loaded in the background."
        raise NotFound(f"There is no model {name!r}.{did_you_mean(name, [*loaded, *known])} {listed}")
    return found


def find_log(registry: Registry, model: str | None) -> Path:
    """Return the log of an engine that runs, or else the newest one of those that have ended.

    Raises:
        NotFound: there is none.
    """
    running = {entry.key for entry in registry.entries() if not entry.values.get("serves")}
    models = {path: _model_of(path) for path in registry.folder.glob("*.log")}
    wanted = [path for path, name in models.items() if model is None or name.casefold() == model.casefold()]
    if wanted:
        return max(wanted, key=lambda path: (path.stem in running, path.stat().st_mtime))
    if model is None:
        raise NotFound("There is no log: no model has been loaded in the background yet.")
    raise NotFound(f"There is no log of {model!r}.{did_you_mean(model, filter(None, models.values()))}")


def _model_of(log: Path) -> str:
    """Return the model whose log a file is, from the line that its engine begins with; empty if there is none."""
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as file:
        found = [match[1] for line in file if (match := _FIRST_LINE.search(line))]
        return found[-1] if found else ""
    return ""
