"""The silence between the sentences of a text, as long as somebody asked for."""

import numpy as np

from voxcli.audio.chunk import Samples

_FRAME_SECONDS = 0.01
_QUIET_DB = 45.0
"""Below the loudest frame, and by that measure about -55 dBFS: the softest consonants are 35 dB below the loudest
vowel, and what is heard in the pauses of a good recording 50 or more. A voice that is soft on the whole is not cut."""
_FLOOR = 10 ** (-80 / 10)
"""The power of what is silence in any case."""


class Gaps:
    """Cuts off the quiet where two sentences meet, and puts so much silence there that the gap is as wanted.

    Sound is looked at in frames, counted from the start of each sentence, so that it makes no difference how it is
    cut on its way. Quiet goes on at once as long as it fits into the gap. Only what is beyond waits, as it may be
    the end of the sentence. The start of the first sentence and the end of the last stay as they are.
    """

    def __init__(self, sample_rate: int, seconds: float | None) -> None:
        """seconds: between two sentences; None leaves everything as it is, and only adds the pauses."""
        self._rate = sample_rate
        self._frame = round(_FRAME_SECONDS * sample_rate)
        self._gap = None if seconds is None else round(seconds * sample_rate)
        self._loudest = 0.0  # power of a frame, of all so far
        self._rest: Samples = np.zeros(0, np.float32)  # not a whole frame yet
        self._given = 0  # samples of quiet or silence, since there was sound
        self._held: list[Samples] = []  # the quiet that follows them
        self._asked: int | None = None  # samples of pauses, since there was sound
        self._cutting = False  # off the quiet at the start of a sentence

    def pause(self, seconds: float) -> Samples:
        """Return the silence that makes this pause, which stands instead of the gap. More of them add up."""
        count = round(seconds * self._rate)
        if self._gap is None:
            return np.zeros(count, np.float32)
        self._asked = (self._asked or 0) + count
        return self._silence(self._asked)

    def begin(self, *, goes_on: bool) -> Samples:
        """Begin a sentence. Return the silence before it.

        Args:
            goes_on: it is the rest of the one before, which was too long; between these there is no gap.
        """
        asked, self._asked = self._asked, None
        if self._gap is None or not self._loudest:
            return np.zeros(0, np.float32)
        if goes_on and asked is None:
            return self.finish()
        self._cutting = True
        return self._silence(self._gap if asked is None else asked)

    def feed(self, samples: Samples) -> Samples:
        """Take some of a sentence; return what is certain not to be the quiet at its end."""
        if self._gap is None:
            return samples
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._frame
        self._rest = samples[whole:]
        return _joined([piece for frame in samples[:whole].reshape(-1, self._frame) for piece in self._take(frame)])

    def end(self) -> Samples:
        """End a sentence."""
        frame, self._rest = self._rest, self._rest[:0]
        return _joined(self._take(frame) if len(frame) else [])

    def finish(self) -> Samples:
        """Return the quiet that was held: nothing follows it, or what it parts belongs together."""
        held, self._held = _joined(self._held), []
        self._given += len(held)
        return held

    def _take(self, frame: Samples) -> list[Samples]:
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        if power > max(self._loudest * 10 ** (-_QUIET_DB / 10), _FLOOR):
            out = [*self._held, frame]
            self._loudest = max(self._loudest, power)
            self._held, self._given, self._cutting = [], 0, False
            return out
        if not self._loudest:
            return [frame]
        if self._cutting:
            return []
        if self._gap is not None and not self._held and self._given + len(frame) <= self._gap:
            self._given += len(frame)
            return [frame]
        self._held.append(frame)
        return []

    def _silence(self, count: int) -> Samples:
        """Return what is missing if the gap shall have so many samples."""
        self._held = []
        missing = max(0, count - self._given) if self._loudest else count
        self._given += missing
        return np.zeros(missing, np.float32)


def _joined(pieces: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *pieces])
