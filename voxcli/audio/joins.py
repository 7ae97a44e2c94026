"""Joins between the sentences of a text: no clicks, equal loudness, and a gap."""

import math

import numpy as np

from voxcli.audio.chunk import Samples
from voxcli.audio.loudness import mean_power

_FRAME_SECONDS = 0.01
_QUIET_DB = 45.0
"""Frames this far below the loudest one are quiet, at normal levels about -55 dBFS. The softest consonants are 35 dB
below the loudest vowel, the pauses of a good recording 50 dB or more. Being relative, it does not cut a soft voice."""
_FLOOR = 10 ** (-80 / 10)
"""Power below which a frame is silence in any case."""


class GapAdjuster:
    """Trims the quiet where two sentences meet, and adds silence until the gap has the given length.

    Samples are examined in frames counted from the start of each sentence, so the result does not depend on how they
    are chunked. Quiet that fits into the gap is passed on at once; only more than that is held, since it may be the end
    of the sentence. The start of the first sentence and the end of the last stay as they are.
    """

    def __init__(self, sample_rate: int, seconds: float | None) -> None:
        """seconds: gap between two sentences; None changes nothing and only adds the pauses."""
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
        """Return the silence for a pause, which replaces the gap. Several pauses add up."""
        count = round(seconds * self._rate)
        if self._gap is None:
            return np.zeros(count, np.float32)
        self._asked = (self._asked or 0) + count
        return self._silence(self._asked)

    def begin(self, *, continues: bool) -> Samples:
        """Begin a sentence. Return the silence before it.

        Args:
            continues: it is the rest of the previous one, which was too long for one part; there is no gap between.
        """
        asked, self._asked = self._asked, None
        if self._gap is None or not self._loudest:
            return np.zeros(0, np.float32)
        if continues and asked is None:
            return self.finish()
        self._cutting = True
        return self._silence(self._gap if asked is None else asked)

    def feed(self, samples: Samples) -> Samples:
        """Take samples of a sentence; return those that cannot be the quiet at its end."""
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
        """Return the quiet that was held, because nothing follows or the sentence continues."""
        held, self._held = _joined(self._held), []
        self._given += len(held)
        return held

    def _take(self, frame: Samples) -> list[Samples]:
        power = float(mean_power(frame))
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
        """Return the silence that is missing for a gap of `count` samples."""
        self._held = []
        missing = max(0, count - self._given) if self._loudest else count
        self._given += missing
        return np.zeros(missing, np.float32)


def _joined(pieces: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *pieces])


_FADE_SECONDS = 0.005
"""Too short to be audible as a fade, long enough to avoid a click."""
_INAUDIBLE_STEP = 1e-3


class Fade:
    """Removes the click where one sound ends or the next begins in the middle of a wave.

    The next sound is faded in from the last sample of the previous one, held for the length of the fade. That needs no
    lookahead. A step too small to be audible is left as it is.
    """

    def __init__(self, sample_rate: int) -> None:
        count = round(_FADE_SECONDS * sample_rate)
        # The weight of the held sample, falling.
        self._kept = (1 + np.cos(np.pi * np.arange(1, count + 1) / (count + 1))) / 2
        self._from = self._last = 0.0
        self._place = count  # position in the fade; at its end there is none

    def begin(self) -> None:
        """Start a fade: the next samples do not continue the previous ones."""
        self._from, self._place = self._last, 0

    def feed(self, samples: Samples) -> Samples:
        """Return the same number of samples."""
        if not len(samples):
            return samples
        if not self._place and abs(float(samples[0]) - self._from) <= _INAUDIBLE_STEP:
            self._place = len(self._kept)
        kept = self._kept[self._place : self._place + len(samples)]
        self._place += len(kept)
        if len(kept):
            faded = self._from * kept + samples[: len(kept)] * (1 - kept)
            samples = np.concatenate([faded.astype(np.float32), samples[len(kept) :]])
        self._last = float(samples[-1])
        return samples


class SentenceJoiner:
    """Joins the sentences of a text, whose samples arrive in chunks: `begin`, `feed` and `end` for each sentence.

    With default settings, samples pass unchanged. A text of one sentence always does.
    """

    def __init__(self, sample_rate: int, *, gap_seconds: float | None, even: bool) -> None:
        """
        Args:
            gap_seconds: silence between two sentences; None leaves the quiet at their ends as it is.
            even: match their levels, and fade where they would click.
        """
        self._levels = LevelMatcher(sample_rate) if even else None
        self._gaps = GapAdjuster(sample_rate, gap_seconds)
        self._fade = Fade(sample_rate) if even or gap_seconds is not None else None
        self._begun = False

    def pause(self, seconds: float) -> Samples:
        """Return the silence of a pause."""
        return self._silence(self._gaps.pause(seconds))

    def begin(self, *, continues: bool) -> Samples:
        """Begin a sentence, and return the gap before it; see `GapAdjuster.begin`."""
        between = self._gaps.begin(continues=continues)
        out = self._faded(between) if continues else self._silence(between)
        if self._begun and self._fade:
            self._fade.begin()
        self._begun = True
        return out

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready, which may be nothing."""
        even = self._levels.feed(samples) if self._levels else samples
        return self._faded(self._gaps.feed(even))

    def end(self) -> Samples:
        """End a sentence, and return the rest of it except quiet that may still be trimmed."""
        rest = self._gaps.feed(self._levels.end()) if self._levels else np.zeros(0, np.float32)
        return self._faded(np.concatenate([rest, self._gaps.end()]))

    def finish(self) -> Samples:
        """Return the quiet at the end of the last sentence."""
        return self._faded(self._gaps.finish())

    def _silence(self, samples: Samples) -> Samples:
        if self._begun and self._fade and len(samples):
            self._fade.begin()
        return self._faded(samples)

    def _faded(self, samples: Samples) -> Samples:
        return self._fade.feed(samples) if self._fade else samples


_LEVEL_FRAME_SECONDS = 0.02
_GATE_DB = 20.0
"""Frames this far below the loudest one of a sentence count as a pause."""
_MIN_LEVEL_SECONDS = 0.5
"""Speech needed to measure the level of a sentence: at least two syllables."""
_INAUDIBLE_DB = 1.0
"""A smaller difference is barely audible, and is left as it is."""
_MAX_GAIN_DB = 6.0
_DB_PER_SECOND = 3.0
_MAX_PEAK = 0.99


class LevelMatcher:
    """Makes each sentence about as loud as the first, which stays as it is.

    The gain follows the level of the sentence so far, moves slowly, and starts where the previous sentence left it. It
    drops at once only to avoid clipping, so each frame is held until the next one is known. Frames are counted from the
    start of each sentence, so the result does not depend on how the samples are chunked.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(_LEVEL_FRAME_SECONDS * sample_rate)
        self._enough = round(_MIN_LEVEL_SECONDS / _LEVEL_FRAME_SECONDS)
        self._wanted_db: float | None = None  # the level of the first sentence
        self._gain = 1.0  # at the start of the held frame
        self._powers: list[float] = []  # of the frames of this sentence
        self._rest: Samples = np.zeros(0, np.float32)  # not a whole frame yet
        self._held_frame = self._rest

    def feed(self, samples: Samples) -> Samples:
        """Take samples of a sentence; return those that are ready: all of them in the first sentence."""
        rest = np.concatenate([self._rest, samples])
        whole = len(rest) - len(rest) % self._frame
        self._rest = rest[whole:]
        out = [self._delayed(frame) for frame in rest[:whole].reshape(-1, self._frame)]
        return samples if self._wanted_db is None else np.concatenate([rest[:0], *out])

    def end(self) -> Samples:
        """End a sentence, and return the rest of it."""
        rest, self._rest = self._rest, self._rest[:0]
        out = [self._delayed(rest), self._delayed(rest[:0])]
        if self._wanted_db is None:
            self._wanted_db, out = self._level_db(), [rest[:0]]
        if self._wanted_db is not None:  # else the first sentence was too short, and the next one helps
            self._powers.clear()
        return np.concatenate(out)

    def _delayed(self, frame: Samples) -> Samples:
        """Hold a frame, and return the one held before, with a gain that changes linearly."""
        if len(frame):
            self._powers.append(float(mean_power(frame)))
        if self._wanted_db is None:
            return frame
        peak = max(float(np.abs(samples).max(initial=0.0)) for samples in (self._held_frame, frame))
        before, after = self._gain, self._next_gain(self._wanted_db)
        self._gain = min(after, _MAX_PEAK / peak) if peak else after
        gains = np.linspace(before, self._gain, len(self._held_frame), endpoint=False)
        out, self._held_frame = (self._held_frame * gains).astype(np.float32), frame
        return out

    def _next_gain(self, wanted_db: float) -> float:
        """Return the gain one frame later."""
        level_db = self._level_db()
        if level_db is None:
            return self._gain
        missing_db = wanted_db - level_db
        goal_db = math.copysign(min(max(abs(missing_db) - _INAUDIBLE_DB, 0.0), _MAX_GAIN_DB), missing_db)
        step_db = _DB_PER_SECOND * _LEVEL_FRAME_SECONDS
        return self._gain * 10 ** (min(max(goal_db - 20 * math.log10(self._gain), -step_db), step_db) / 20)

    def _level_db(self) -> float | None:
        """Return the level of the sentence so far; None while too little was spoken."""
        powers = np.array(self._powers)
        loud = powers[powers > powers.max(initial=0.0) * 10 ** (-_GATE_DB / 10)]
        return 10 * math.log10(loud.mean()) if len(loud) >= self._enough else None
