"""The queue between the one who writes sound and the callback that plays it."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import Samples


class Playback:
    """Samples on their way to a device, and what a listener noticed of their being late.

    One thread writes (`put`, `rest`, `end`), one other plays (`fill`). Neither ever waits for the other: a deque
    may be used from both ends, and every field has only one thread that changes it.
    """

    def __init__(self, *, start_samples: int = 0, tail_samples: int = 0) -> None:
        """
        Args:
            start_samples: so many must wait before sound begins, also after a gap or a rest.
            tail_samples: so much silence follows the end.
        """
        self.underruns = 0
        """Gaps in the sound while the writer owed some."""
        self.starved_samples = 0
        """The length of those gaps."""
        self.taken = 0
        """Samples that were played."""
        self.finished = False
        """All is played, the tail included."""
        self._start_samples = start_samples
        self._tail_left = tail_samples
        self._queue: deque[Samples] = deque()
        self._position = 0  # in the first of the queue
        self._put = 0
        self._more_to_come = False
        self._ended = False
        self._sounding = False
        self._in_gap = False

    @property
    def waiting(self) -> int:
        """Samples that are not played yet."""
        return self._put - self.taken

    @property
    def ready(self) -> bool:
        """Whether sound may begin: enough is waiting, or no more will come."""
        return self.waiting > 0 and (self.waiting >= self._start_samples or not self._more_to_come)

    def put(self, samples: Samples) -> None:
        """Add samples, and promise that more follow soon."""
        self._queue.append(samples)
        self._put += len(samples)
        self._more_to_come = True

    def rest(self) -> None:
        """Take the promise back: a gap from now to the next `put` is no underrun."""
        self._more_to_come = False

    def end(self) -> None:
        self._more_to_come = False
        self._ended = True

    def fill(self, out: NDArray[np.float32], *, device_starved: bool = False) -> None:
        """Play as much as there is, and silence for the rest.

        Args:
            out: (n, channels), all channels get the same.
            device_starved: the device says that it had to invent sound since the last call.
        """
        if device_starved and self._sounding:
            self.underruns += 1
        played = self._take(out) if self._sounding or self.ready else 0
        out[played:] = 0
        missing = len(out) - played
        self._note_gap(missing, ran_dry=missing > 0 and (self._sounding or played > 0))
        self._sounding = missing == 0
        if self._ended and not self.waiting:
            self._tail_left -= missing
            self.finished = self._tail_left <= 0

    def _note_gap(self, missing: int, *, ran_dry: bool) -> None:
        self._in_gap = self._more_to_come and missing > 0 and (ran_dry or self._in_gap)
        if self._in_gap:
            self.underruns += ran_dry
            self.starved_samples += missing

    def _take(self, out: NDArray[np.float32]) -> int:
        """Move samples from the queue to the front of `out`; return how many."""
        done = 0
        while self._queue and done < len(out):
            samples = self._queue[0]
            count = min(len(samples) - self._position, len(out) - done)
            out[done : done + count] = samples[self._position : self._position + count, np.newaxis]
            done += count
            self._position += count
            if self._position == len(samples):
                self._queue.popleft()
                self._position = 0
        self.taken += done
        return done
