"""Sentences brought to one loudness while they are spoken."""

import math

import numpy as np

from voxcli.audio.chunk import Samples

_FRAME_SECONDS = 0.02
_GATE_DB = 20.0
"""Below the loudest frame of a sentence; what is softer is a pause."""
_ENOUGH_SECONDS = 0.5
"""Of speech, to tell how loud a sentence is: two syllables at least."""
_UNHEARD_DB = 1.0
"""So small a difference is hardly heard, and no two sentences are more alike. It is left as it is."""
_MOST_DB = 6.0
_DB_PER_SECOND = 3.0
_HIGHEST_PEAK = 0.99


class Evenness:
    """Makes each sentence about as loud as the first, which stays as it is.

    The gain follows from what was heard of the sentence so far, moves slowly, and begins where the sentence before
    left it. Only where something would be clipped it falls at once: each frame waits for the next one, which may
    demand that. Frames are counted from the start of each sentence, so that it makes no difference how the sound is
    cut on its way.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(_FRAME_SECONDS * sample_rate)
        self._enough = round(_ENOUGH_SECONDS / _FRAME_SECONDS)
        self._wanted_db: float | None = None  # the level of the first sentence
        self._gain = 1.0  # where the frame that waits begins
        self._powers: list[float] = []  # of the frames of this sentence
        self._rest: Samples = np.zeros(0, np.float32)  # not a whole frame yet
        self._waiting = self._rest

    def feed(self, samples: Samples) -> Samples:
        """Take some of a sentence; return what is ready. Of the first, that is all."""
        rest = np.concatenate([self._rest, samples])
        whole = len(rest) - len(rest) % self._frame
        self._rest = rest[whole:]
        out = [self._swapped(frame) for frame in rest[:whole].reshape(-1, self._frame)]
        return samples if self._wanted_db is None else np.concatenate([rest[:0], *out])

    def end(self) -> Samples:
        """End a sentence, and return the rest of it."""
        rest, self._rest = self._rest, self._rest[:0]
        out = [self._swapped(rest), self._swapped(rest[:0])]
        if self._wanted_db is None:
            self._wanted_db, out = self._level_db(), [rest[:0]]
        if self._wanted_db is not None:  # else the first sentence was too short, and the next one helps
            self._powers.clear()
        return np.concatenate(out)

    def _swapped(self, frame: Samples) -> Samples:
        """Let a frame wait, and return the one that waited, with a gain that changes evenly."""
        if len(frame):
            self._powers.append(float(np.square(frame, dtype=np.float64).mean()))
        if self._wanted_db is None:
            return frame
        peak = max(float(np.abs(samples).max(initial=0.0)) for samples in (self._waiting, frame))
        before, after = self._gain, self._next_gain(self._wanted_db)
        self._gain = min(after, _HIGHEST_PEAK / peak) if peak else after
        gains = np.linspace(before, self._gain, len(self._waiting), endpoint=False)
        out, self._waiting = (self._waiting * gains).astype(np.float32), frame
        return out

    def _next_gain(self, wanted_db: float) -> float:
        """Return the gain one frame later."""
        level_db = self._level_db()
        if level_db is None:
            return self._gain
        missing_db = wanted_db - level_db
        goal_db = math.copysign(min(max(abs(missing_db) - _UNHEARD_DB, 0.0), _MOST_DB), missing_db)
        step_db = _DB_PER_SECOND * _FRAME_SECONDS
        return self._gain * 10 ** (min(max(goal_db - 20 * math.log10(self._gain), -step_db), step_db) / 20)

    def _level_db(self) -> float | None:
        """Return how loud the sentence is so far; None if that cannot be told yet."""
        powers = np.array(self._powers)
        heard = powers[powers > powers.max(initial=0.0) * 10 ** (-_GATE_DB / 10)]
        return 10 * math.log10(heard.mean()) if len(heard) >= self._enough else None
