"""Resident engines that run now: what they say of themselves, and how they are stopped."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voxcli.engines.resident.connection import NotListening, ask
from voxcli.engines.resident.identity import to_wire
from voxcli.engines.resident.registry import FAILED, READY, EngineEntry, Registry, kill, wait_for_end
from voxcli.errors import DeviceError

_STOPPING_SECONDS = 15.0
"""For an idle engine to give its memory back."""


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine, and what it answered."""

    entry: EngineEntry
    state: Mapping[str, Any] | None
    """Answer of `GET /private/state`; None while it is loading, or if it does not answer."""
    registry: Registry | None = None
    """Where a call that waits for it learns why it was ended while it was loading."""

    @property
    def model(self) -> str:
        return self.entry.model

    @property
    def is_loading(self) -> bool:
        return self.entry.state != READY

    @property
    def is_busy(self) -> bool:
        """Whether it speaks, or a program holds it that will go on speaking."""
        state = self.state
        return state is None or any(state.get(use, 0) for use in ("streams", "waiting", "holds"))

    @property
    def idle_seconds(self) -> float:
        return float(self.state["idle_seconds"]) if self.state else 0.0

    @property
    def serves(self) -> str | None:
        """Address of the `voxcli serve` that it belongs to; None for an engine that ends by itself."""
        return self.entry.values.get("serves")

    def stop(self, *, now: bool = False) -> None:
        """End the engine: after what it is speaking, or at once. One that does not answer is killed."""
        try:
            if self.is_loading:
                self._stop_loading()
            else:
                ask(self.entry, "POST", "/private/stop", {"now": now})
        except NotListening:
            pass  # it has ended
        except TimeoutError:
            kill(self.entry)

    def _stop_loading(self) -> None:
        self._note_stopped()  # before, so that a call that waits does not see it end without a reason
        kill(self.entry)
        self._note_stopped()  # it may have written its progress meanwhile

    def _note_stopped(self) -> None:
        if self.registry:
            error = DeviceError(f"The engine of {self.model} was stopped while it was loading.")
            with suppress(OSError):
                self.registry.write(self.entry.key, {**self.entry.values, "state": FAILED, "error": error.to_dict()})

    def keep(self, seconds: float) -> None:
        """Set how long it stays loaded without a request; infinity for ever. Raises NotListening if it has ended."""
        ask(self.entry, "POST", "/private/keep-alive", {"seconds": to_wire(seconds)})


def running_engines(registry: Registry) -> list[RunningEngine]:
    """Return all engines of this user that run or are being loaded, `voxcli serve` too."""
    found = []
    for entry in registry.entries():
        state = None
        if entry.state == READY:
            try:
                state = ask(entry, "GET", "/private/state")
            except NotListening:
                continue
            except TimeoutError:
                pass
        found.append(RunningEngine(entry, state, registry))
    return found


def stop_longest_idle(registry: Registry, *, but: str) -> bool:
    """End the engine that has been idle longest. Return False if none is idle.

    but: key of an engine that stays.
    """
    idle = [
        engine
        for engine in running_engines(registry)
        if engine.entry.key != but and not engine.is_busy and not engine.is_loading and engine.serves is None
    ]
    if not idle:
        return False
    longest = max(idle, key=lambda engine: engine.idle_seconds)
    longest.stop()
    return wait_for_end(longest.entry, _STOPPING_SECONDS)
