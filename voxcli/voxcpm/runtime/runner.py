"""Runner: what generates speech on a device, as the scheduler drives it."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch

from voxcli.voxcpm.runtime.stream import Stream


class Runner(Protocol):
    """Generates the patches of several streams on one device. Only the device thread calls it."""

    device: torch.device
    runs_ahead: bool
    """Whether it generates ahead of the consumers, instead of on demand."""
    prefill_budget: int
    """Positions to prefill between two steps while streams are running."""

    def device_context(self) -> AbstractContextManager[object]:
        """Return the context in which the device thread makes all other calls."""

    def begin(self, streams: Sequence[Stream]) -> None:
        """Prefill streams. They occupy slots from now on. If that fails, `leave` is called for each of them."""

    def step(self, streams: Collection[Stream]) -> None:
        """Generate one patch for each stream, count it, and deliver its audio, if necessary with the next step.

        A patch of a stream with far more solver steps than others may take several calls.

        A stream that is over gets no more steps. It is finished once all of its audio is delivered.
        """

    @property
    def has_pending_output(self) -> bool:
        """Whether `step` still has audio to deliver, even when called without streams."""

    def leave(self, stream: Stream) -> None:
        """Free the slot of a stream, if it has one."""

    def synchronize(self) -> None:
        """Wait for all work queued on the device."""

    def close(self) -> None:
        """Drop all references to device memory."""
