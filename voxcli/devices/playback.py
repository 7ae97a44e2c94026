"""Playback queue between the thread that writes samples and the callback that plays them."""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import Samples


class Playback:
    """A queue of samples for a device, with a count of the audible gaps.

    With a start buffer, samples are held back before the queue until enough of them wait: at the beginning, after a
    rest, and after a gap, which would otherwise be followed by one gap after another.

    One thread writes (`put`, `rest`, `end`), another plays (`fill`). Neither waits for the other: a deque is safe to
    use from both ends, and each field is changed by one thread only.
    """

    def __init__(
        self,
        *,
        start_samples: int = 0,
        tail_samples: int = 0,
        start_buffer: Callable[[int], float] | None = None,
    ) -> None:
        """
        Args:
            start_samples: samples that must be queued before playback begins, also after a gap or a rest.
            tail_samples: silence after the end.
            start_buffer: takes the number of samples that wait, and returns how many have to before playback begins.
        """
        self.underruns = 0
        """Gaps while more samples were to come."""
        self.starved_samples = 0
        """Total length of those gaps."""
        self.taken = 0
        """Samples played so far."""
        self.finished = False
        """Everything is played, including the tail."""
        self._start_samples = start_samples
        self.tail_left = tail_samples
        """Silence that is still to be played at the end."""
        self._queue: deque[Samples] = deque()
        self._position = 0  # within the first item of the queue
        self._put = 0
        self._more_to_come = False
        self._ended = False
        self._sounding = False
        self._in_gap = False
        self._start_buffer = start_buffer
        self._holding = start_buffer is not None
        self._held: list[Samples] = []
        self._known_underruns = 0
        self.most_held = 0
        """The most samples that waited when those that were held back were released."""

    @property
    def waiting(self) -> int:
        """Samples in the queue that are not played yet."""
        return self._put - self.taken

    @property
    def ready(self) -> bool:
        """Whether playback may begin: enough samples are queued, or no more will come."""
        return self.waiting > 0 and (self.waiting >= self._start_samples or not self._more_to_come)

    def put(self, samples: Samples) -> None:
        """Add samples; more are expected, so a gap after them is an underrun."""
        if self._start_buffer and not self._holding:
            self._holding = self.underruns > self._known_underruns
        self._known_underruns = self.underruns
        if not (self._start_buffer and self._holding):
            self._append(samples)
            return
        self._held.append(samples)
        waiting = self.waiting + sum(map(len, self._held))
        if waiting >= self._start_buffer(waiting):
            self.most_held = max(self.most_held, waiting)
            self._release()

    def rest(self) -> None:
        """Play all there is and expect no more for now: a gap before the next `put` is not an underrun."""
        self._release()
        self._more_to_come = False
        self._holding = self._start_buffer is not None

    def end(self) -> None:
        self._release()
        self._more_to_come = False
        self._ended = True

    def _append(self, samples: Samples) -> None:
        self._queue.append(samples)
        self._put += len(samples)
        self._more_to_come = True

    def _release(self) -> None:
        held, self._held, self._holding = self._held, [], False
        for samples in held:
            self._append(samples)

    def fill(self, out: NDArray[np.float32], *, device_starved: bool = False) -> None:
        """Play the queued samples, and silence for the rest.

        Args:
            out: shape (n, channels); all channels get the same samples.
            device_starved: the device reports an output underflow since the last call.
        """
        if device_starved and self._sounding:
            self.underruns += 1
        played = self._take(out) if self._sounding or self.ready else 0
        out[played:] = 0
        missing = len(out) - played
        self._note_gap(missing, ran_dry=missing > 0 and (self._sounding or played > 0))
        self._sounding = missing == 0
        if self._ended and not self.waiting:
            self.tail_left -= missing
            self.finished = self.tail_left <= 0

    def _note_gap(self, missing: int, *, ran_dry: bool) -> None:
        self._in_gap = self._more_to_come and missing > 0 and (ran_dry or self._in_gap)
        if self._in_gap:
            self.underruns += ran_dry
            self.starved_samples += missing

    def _take(self, out: NDArray[np.float32]) -> int:
        """Move samples from the queue to the start of `out`; return their number."""
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
