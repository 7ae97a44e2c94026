"""Identity of a resident engine: everything that its sound depends on, and the order that starts one."""

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import voxcli
from voxcli.engines.resident.registry import LOADING, EngineEntry
from voxcli.engines.settings import LocalSettings
from voxcli.processes import started_at
from voxcli.version import __version__

_KEY_LETTERS = 16
_VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

"""Variables that change which device computes, or how."""
_SLOTS = 8
"""Streams at once, so that an engine does not take all the memory of a GPU that other programs need too."""
_NOT_IN_IDENTITY = frozenset({"slots", "lazy_graphs", "clips", "prepared", "kernels", "alone", "anchors", "cache"})
"""Settings that make no difference to the samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    """What a resident engine is started with."""

    model: str
    """Name for messages."""
    folder: Path
    """Of the checkpoint."""
    local: LocalSettings
    keep_alive: float
    """Seconds without a request after which it ends; infinity for ever."""
    surroundings: Mapping[str, str]
    """Environment variables that its sound depends on."""

    @classmethod
    def of(
        cls, model: str, folder: Path, local: LocalSettings, keep_alive: float, environment: Mapping[str, str]
    ) -> "EngineOrder":
        """Build the order, with absolute paths.

        Args:
            model: its name, or the folder that the user gave.
            environment: of the process that wants to speak.
        """
        lora = local.lora.expanduser().resolve() if local.lora else None
        return cls(
            model=Path(model).name if os.sep in model else model,
            folder=folder.resolve(),
            local=replace(local, lora=lora, slots=local.slots or _SLOTS),
            keep_alive=keep_alive,
            surroundings={name: environment[name] for name in _VISIBLE_DEVICES if name in environment},
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the samples depend on, as plain values. Two orders with the same identity share an engine.

        Reads the sizes and times of the checkpoint's files.
        """
        local = {name: value for name, value in _plain(self.local).items() if name not in _NOT_IN_IDENTITY}
        return {
            "folder": str(self.folder),
            "weights": _describe_files(self.folder),
            "lora_weights": _describe_files(self.local.lora) if self.local.lora else None,
            **local,
            **self.surroundings,
            "version": __version__,
            "installed": Path(voxcli.__file__).stat().st_mtime_ns,
            "machine": socket.gethostname(),
        }

    @property
    def key(self) -> str:
        """Name of the files of an engine of this identity, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:_KEY_LETTERS]

    def new_entry(self, key: str, pid: int) -> EngineEntry:
        """Return the entry of an engine that begins to load, in the process with this number."""
        about = {"model": self.model, "folder": str(self.folder), "identity": self.identity}
        return EngineEntry(key, {"pid": pid, "started": started_at(pid), "state": LOADING, **about})

    def to_json(self) -> str:
        return json.dumps(
            {
                "model": self.model,
                "folder": str(self.folder),
                "local": _plain(self.local),
                "keep_alive": to_wire(self.keep_alive),
                "surroundings": dict(self.surroundings),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "EngineOrder":
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        paths = {
            field.name
            for field in fields(LocalSettings)
            if "Path" in str(field.type) and values["local"][field.name] is not None
        }
        local: dict[str, Any] = {
            name: Path(value) if name in paths else value for name, value in values["local"].items()
        }
        return cls(
            model=values["model"],
            folder=Path(values["folder"]),
            local=LocalSettings(**local),
            keep_alive=from_wire(values["keep_alive"]),
            surroundings=values["surroundings"],
        )


def to_wire(keep_alive: float) -> float:
    """Return a keep-alive as JSON and headers carry it: for ever is -1."""
    return -1.0 if keep_alive == float("inf") else keep_alive


def from_wire(seconds: float) -> float:
    """Return a keep-alive in seconds; infinity for a negative one."""
    return float("inf") if seconds < 0 else float(seconds)


def _plain(local: LocalSettings) -> dict[str, Any]:
    values = {field.name: getattr(local, field.name) for field in fields(LocalSettings)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _describe_files(path: Path) -> list[list[str | int]]:
    """List name, size in bytes and time of the files of a folder, or of one file. Links are followed.

    These are lists and not tuples, so that they equal what is read from an entry, which is JSON.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    described: list[list[str | int]] = []
    for file in files:
        if file.is_file():
            found = file.stat()
            described.append([file.name, found.st_size, found.st_mtime_ns])
    return described
