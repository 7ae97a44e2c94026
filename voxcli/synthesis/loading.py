"""Progress of loading a model: its stages, and how far each of them has come. Imports nothing heavy."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias


class LoadingStage(StrEnum):
    """What is being done. Stages come in this order; those that a model or device has no need of are left out."""

    STARTING = "starting"
    """PyTorch is being imported, and a process started for it if need be."""
    READING = "reading"
    """Weights are read; counted in bytes."""
    QUANTIZING = "quantizing"
    """Weights are read and quantized; counted in bytes."""
    COMPILING = "compiling"
    """Kernels are compiled; counted in kernels."""
    CAPTURING = "capturing"
    """CUDA graphs are captured; counted in graphs."""
    WARMING_UP = "warming_up"
    """The model runs for the first time."""


_IN_BYTES = {LoadingStage.READING, LoadingStage.QUANTIZING}
_WORDS = {
    LoadingStage.STARTING: "starting",
    LoadingStage.READING: "reading weights",
    LoadingStage.QUANTIZING: "quantizing weights",
    LoadingStage.COMPILING: "compiling kernels",
    LoadingStage.CAPTURING: "capturing CUDA graphs",
    LoadingStage.WARMING_UP: "warming up",
}


@dataclass(frozen=True, slots=True)
class LoadingProgress:
    """How far a stage has come."""

    stage: LoadingStage
    done: int = 0
    total: int = 0
    """In bytes, kernels or graphs, as the stage says; 0 is not known."""

    @property
    def words(self) -> str:
        """What is being done, in words."""
        return _WORDS[self.stage]

    @property
    def amount(self) -> str:
        """How much of it is done, such as "812 of 1950 MB" or "3 of 12"; empty if that is not known."""
        return self._amount(self.done)

    @property
    def most(self) -> str:
        """The amount at the end of the stage, such as "1950 of 1950 MB"."""
        return self._amount(self.total)

    @property
    def whole(self) -> str:
        """How much it is in all, such as "1950 MB" or "12"; empty if that is not known."""
        name, size = self._unit
        return f"{max(self.total // size, 1)} {name}".rstrip() if self.total else ""

    def _amount(self, done: int) -> str:
        # Rounded down, so that the whole is shown only when it is there.
        return f"{done // self._unit[1]} of {self.whole}" if self.total else ""

    @property
    def _unit(self) -> tuple[str, int]:
        if self.stage not in _IN_BYTES:
            return "", 1
        return ("GB", 10**9) if self.total >= 10**10 else ("MB", 10**6)

    def to_dict(self) -> dict[str, Any]:
        """Return the progress as values of JSON."""
        return {"stage": str(self.stage), "done": self.done, "total": self.total}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "LoadingProgress":
        """Read what `to_dict` has written. Raises ValueError for anything else, so also for a part of it."""
        stage, done, total = (document.get(name) for name in ("stage", "done", "total"))
        if not isinstance(done, int) or not isinstance(total, int) or not 0 <= done <= total:
            raise ValueError(f"This is not the progress of loading: {document!r}")
        return cls(LoadingStage(str(stage)), done, total)


OnLoading: TypeAlias = Callable[[LoadingProgress], None]
"""Receives the progress, on any thread, some dozens of times in all. It has to return at once."""


def ignore_loading(progress: LoadingProgress) -> None:
    """Do nothing."""


class StageCounter:
    """Count of one stage, from 0 to its total, which may be advanced from several threads."""

    def __init__(self, on_loading: OnLoading, stage: LoadingStage, total: int) -> None:
        self._on_loading = on_loading
        self._stage = stage
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._report()

    def advance(self, amount: int = 1) -> None:
        """Report that more is done. It never exceeds the total."""
        with self._lock:
            self._done = min(self._done + amount, self._total)
            self._report()

    def finish(self) -> None:
        """Report that all is done, unless that has been reported."""
        with self._lock:
            if self._done < self._total:
                self._done = self._total
                self._report()

    def _report(self) -> None:
        self._on_loading(LoadingProgress(self._stage, self._done, self._total))
