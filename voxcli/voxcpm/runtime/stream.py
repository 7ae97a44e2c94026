"""One text on its way to sound, between the thread that makes the sound and the one that listens."""

import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from voxcli.voxcpm.network.sequence import AudioSegment, Sequence

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""

_LOOKING_UP = 0.2
"""Seconds. On Windows whoever waits for a queue does not notice Ctrl-C before that is over."""


@dataclass(slots=True, eq=False, kw_only=True, weakref_slot=True)
class Stream:
    """What is to be said, how, and how far that has come."""

    sequence: Sequence
    """What the language models read before it."""
    reference: AudioSegment | None
    """Whose voice the sequence begins with."""
    heard: tuple[Tensor, ...] = ()
    """(N, P, D) each: the clips that the codec has heard before the first patch."""
    steps: int
    guidance: float
    seed: int
    min_patches: int
    limit: int
    """Patches, at most."""

    made: int = 0
    """Patches so far."""
    ended: bool = False
    """Whether the model has come to an end by itself."""
    wanted: bool = True
    """Whether somebody waits for the next sound."""
    abandoned: bool = False
    """Whether nobody listens any more."""
    passed_over: int = 0
    """How many others were let in before it."""
    _sounds: "queue.SimpleQueue[Samples | BaseException | None]" = field(default_factory=queue.SimpleQueue)

    @property
    def over(self) -> bool:
        """Whether no patch will follow."""
        return self.ended or self.made >= self.limit

    @property
    def has_sound(self) -> bool:
        return not self._sounds.empty()

    def count_patch(self, *, wants_to_stop: bool) -> None:
        """Take note of a patch, and of whether the model wanted it to be the last."""
        self.ended = wants_to_stop and self.made > self.min_patches
        self.made += 1

    def put(self, samples: Samples) -> None:
        """Hand sound to the listener."""
        self._sounds.put(samples)

    def finish(self, error: BaseException | None = None) -> None:
        """Tell the listener that this was all, or what went wrong."""
        self._sounds.put(error)

    def next_sound(self, check: Callable[[], None]) -> Samples | None:
        """Wait for the next sound; None after the last. Raises what went wrong.

        check: called now and then; raises if there is nothing to wait for.
        """
        while True:
            try:
                item = self._sounds.get(timeout=_LOOKING_UP)
            except queue.Empty:
                check()
                continue
            if isinstance(item, BaseException):
                raise item
            return item
