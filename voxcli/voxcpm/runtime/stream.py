"""One utterance in progress, shared by the device thread that generates it and the consumer that reads it."""

import queue
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from voxcli.audio.chunk import Samples
from voxcli.voxcpm.network.sequence import AudioSegment, Sequence

_POLL_SECONDS = 0.2
"""Seconds. On Windows, Ctrl-C is not noticed before a blocking read of the queue returns."""


@dataclass(slots=True, eq=False, kw_only=True, weakref_slot=True)
class Stream:
    """The input of one utterance, its settings, and its progress."""

    sequence: Sequence
    """The input of the language models."""
    reference: AudioSegment | None
    """The clip whose voice is imitated; the sequence begins with it."""
    prompt_patches: tuple[Tensor, ...] = ()
    """(N, P, D) each: the clips that the codec decodes before the first patch."""
    steps: int
    guidance: float
    seed: int
    min_patches: int
    limit: int
    """Maximum number of patches."""

    patches_generated: int = 0
    ended: bool = False
    """Whether the model emitted its stop token."""
    consumer_waiting: bool = True
    """Whether the consumer waits for more audio."""
    abandoned: bool = False
    """Whether the consumer is gone."""
    times_skipped: int = 0
    """How many other streams were admitted before it."""
    _audio: "queue.SimpleQueue[Samples | BaseException | None]" = field(default_factory=queue.SimpleQueue)

    @property
    def over(self) -> bool:
        """Whether no patch will follow."""
        return self.ended or self.patches_generated >= self.limit

    @property
    def has_audio(self) -> bool:
        """Whether audio, or the end of it, is waiting to be read."""
        return not self._audio.empty()

    def count_patch(self, *, wants_to_stop: bool) -> None:
        """Count a generated patch.

        Args:
            wants_to_stop: whether the model emitted its stop token with this patch.
        """
        self.ended = wants_to_stop and self.patches_generated > self.min_patches
        self.patches_generated += 1

    def put(self, samples: Samples) -> None:
        """Pass audio to the consumer."""
        self._audio.put(samples)

    def finish(self, error: BaseException | None = None) -> None:
        """Tell the consumer that the stream is complete, or why it failed."""
        self._audio.put(error)

    def next_audio(self, check: Callable[[], None]) -> "Samples | None":
        """Wait for more audio.

        Args:
            check: called while waiting; raises if no more audio can come.

        Returns:
            Samples, or None at the end of the stream.

        Raises:
            BaseException: the error that the stream failed with.
        """
        while True:
            try:
                item = self._audio.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                check()
                continue
            if isinstance(item, BaseException):
                raise item
            return item
