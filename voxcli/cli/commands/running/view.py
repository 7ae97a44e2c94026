"""Table and JSON of the engines that stay loaded."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from voxcli.cli.console import write_json, write_table
from voxcli.engines.resident.identity import from_wire
from voxcli.engines.resident.registry import READY, Registry
from voxcli.engines.resident.running import RunningEngine
from voxcli.synthesis.loading import LoadingProgress

_NOTHING = "-"
_HEADINGS = ["MODEL", "DEVICE", "MEMORY", "STREAMS", "IDLE", "UNTIL"]
_UNITS = (("second", 1, 59.5), ("minute", 60, 59.5), ("hour", 3600, 47.5), ("day", 86400, math.inf))
"""Name, seconds, and how many of them are told in the next unit."""


def show_engines(engines: Sequence[RunningEngine], registry: Registry, *, json: bool) -> None:
    """Write engines to standard output."""
    cards = [describe(engine, registry.log_path(engine.entry.key)) for engine in engines]
    if json:
        write_json(cards)
    else:
        write_table([_HEADINGS, *map(to_row, cards)])


def describe(engine: RunningEngine, log: Path) -> dict[str, Any]:
    """Return what is known about an engine as a document; null is what it has not told."""
    said, entry = engine.state or {}, engine.entry.values
    identity = entry.get("identity") or {}
    names = ("version", "device", "dtype", "memory_bytes", "gpu_memory_bytes", "slots", "streams", "waiting", "holds")
    return {
        "model": engine.model,
        "state": _state_of(engine),
        **{name: said.get(name) for name in names},
        "quantize": said.get("quantize") or identity.get("quantize"),
        "lora": identity.get("lora"),
        **{name: said.get(name) for name in ("idle_seconds", "keep_alive", "remaining_seconds")},
        "loading": entry.get("loading") if engine.is_loading else None,
        "serves": engine.serves,
        "pid": engine.entry.pid,
        "folder": entry.get("folder"),
        "log": None if engine.serves else str(log),
    }


def _state_of(engine: RunningEngine) -> str:
    if engine.is_loading:
        return "loading"
    return str(engine.state.get("state", READY)) if engine.state else "silent"


def to_row(card: Mapping[str, Any]) -> list[str]:
    """Return the row of a table for what `describe` returns."""
    return [card["model"], _placement(card), memory_of(card), _streams(card), _idle(card), until(card)]


def _placement(card: Mapping[str, Any]) -> str:
    words = [card["device"], card["quantize"] or card["dtype"]]
    words += [f"LoRA {Path(card['lora']).name}"] if card["lora"] else []
    return " ".join(word for word in words if word) or _NOTHING


def memory_of(card: Mapping[str, Any]) -> str:
    """Return the memory that an engine takes, such as "3.1 GB", in that of the machine and of the GPU."""
    from rich.filesize import decimal

    parts = [decimal(card["memory_bytes"])] if card["memory_bytes"] else []
    parts += [f"{decimal(card['gpu_memory_bytes'])} on the GPU"] if card["gpu_memory_bytes"] else []
    return " + ".join(parts) or _NOTHING


def _streams(card: Mapping[str, Any]) -> str:
    if card["streams"] is None:
        return _NOTHING
    waiting = f", {card['waiting']} waiting" if card["waiting"] else ""
    return f"{card['streams']}{waiting}"


def _idle(card: Mapping[str, Any]) -> str:
    if card["idle_seconds"] is None:
        return _NOTHING
    if card["streams"] or card["waiting"]:
        return "speaking"
    return "in use" if is_in_use(card) else roughly(card["idle_seconds"])


def is_in_use(card: Mapping[str, Any]) -> bool:
    """Tell whether an engine speaks, or a program waits for more text that it is to speak."""
    return bool(card["streams"] or card["waiting"] or card["holds"])


def until(card: Mapping[str, Any]) -> str:
    """Return when an engine ends by itself, or what it does before that."""
    if card["state"] == "silent":
        return "does not answer"
    if card["state"] == "loading":
        return _loading(card["loading"])
    if card["state"] != READY:
        return str(card["state"])
    if card["serves"]:
        return f"voxcli serve, {card['serves']}"
    seconds = from_wire(card["keep_alive"] if card["keep_alive"] is not None else -1)
    if math.isinf(seconds):
        return "for ever"
    return f"{roughly(seconds)} after that" if is_in_use(card) else f"in {roughly(card['remaining_seconds'])}"


def _loading(written: Mapping[str, Any] | None) -> str:
    with suppress(ValueError):
        if written:
            progress = LoadingProgress.from_dict(written)
            return f"{progress.words} {progress.amount}".rstrip()
    return "loading"


def roughly(seconds: float) -> str:
    """Return a time in one unit, such as "3 minutes"."""
    if seconds < 1:
        return "less than a second"
    name, size = next((name, size) for name, size, most in _UNITS if seconds / size < most)
    count = max(1, round(seconds / size))
    return f"{count} {name}{'s' if count != 1 else ''}"


def summary_of(card: Mapping[str, Any]) -> str:
    """Return one line about an engine, such as "on cpu bfloat16, 3.1 GB, in 3 minutes"."""
    where, memory = _placement(card), memory_of(card)
    parts = [f"on {where}"] if where != _NOTHING else []
    parts += [memory] if memory != _NOTHING else []
    return ", ".join([*parts, until(card)])
