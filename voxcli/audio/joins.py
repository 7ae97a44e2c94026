"""Where the sentences of a text meet: without clicks, equally loud, and with a gap between them."""

import math

import numpy as np

from voxcli.audio.chunk import Samples

_FRAME_SECONDS = 0.01
_QUIET_DB = 45.0
"""Below the loudest frame, and by that measure about -55 dBFS: the softest consonants are 35 dB below the loudest
vowel, and what is heard in the pauses of a good recording 50 or more. A voice that is soft on the whole is not cut."""
_FLOOR = 10 ** (-80 / 10)
"""The power of what is silence in any case."""


class GapAdjuster:
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

    def begin(self, *, continues: bool) -> Samples:
        """Begin a sentence. Return the silence before it.

        Args:
            continues: it is the rest of the one before, which was too long; between these there is no gap.
        """
        asked, self._asked = self._asked, None
        if self._gap is None or not self._loudest:
            return np.zeros(0, np.float32)
        if continues and asked is None:
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


_FADE_SECONDS = 0.005
"""Too short to be heard as a fade, long enough not to be heard as a click."""
_INAUDIBLE_STEP = 1e-3


class Fade:
    """Lets sound go over into what follows it.

    What ends or begins in the middle of a wave clicks. So from the last sample of the one, whose height is kept for
    the time of a fade, the other is faded in. Nothing has to wait for that, and a step that is too small to be heard
    stays as it is.
    """

    def __init__(self, sample_rate: int) -> None:
        count = round(_FADE_SECONDS * sample_rate)
        self._kept = (1 + np.cos(np.pi * np.arange(1, count + 1) / (count + 1))) / 2  # of the one, falling
        self._from = self._last = 0.0
        self._place = count  # in the fade; behind its end there is none

    def begin(self) -> None:
        """Say that something else follows."""
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
    """Joins the sentences of a text, whose samples come piece by piece: `begin`, `feed` and `end` for each of them.

    Whoever does not ask for anything gets what came in. A text of one sentence stays as it is in any case.
    """

    def __init__(self, sample_rate: int, *, gap_seconds: float | None, even: bool) -> None:
        """
        Args:
            gap_seconds: between two sentences; None leaves the quiet at their ends as it is.
            even: make them equally loud, and fade where one would click.
        """
        self._evenness = LevelMatcher(sample_rate) if even else None
        self._gaps = GapAdjuster(sample_rate, gap_seconds)
        self._fade = Fade(sample_rate) if even or gap_seconds is not None else None
        self._begun = False

    def pause(self, seconds: float) -> Samples:
        """Return the silence that makes a pause."""
        return self._silence(self._gaps.pause(seconds))

    def begin(self, *, continues: bool) -> Samples:
        """Begin a sentence, and return what is between the one before and it; see `GapAdjuster.begin`."""
        between = self._gaps.begin(continues=continues)
        out = self._faded(between) if continues else self._silence(between)
        if self._begun and self._fade:
            self._fade.begin()
        self._begun = True
        return out

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready, which may be nothing."""
        even = self._evenness.feed(samples) if self._evenness else samples
        return self._faded(self._gaps.feed(even))

    def end(self) -> Samples:
        """End a sentence, and return the rest of it but for the quiet that may have to go."""
        rest = self._gaps.feed(self._evenness.end()) if self._evenness else np.zeros(0, np.float32)
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
"""Below the loudest frame of a sentence; what is softer is a pause."""
_ENOUGH_SECONDS = 0.5
"""Of speech, to tell how loud a sentence is: two syllables at least."""
_UNHEARD_DB = 1.0
"""So small a difference is hardly heard, and no two sentences are more alike. It is left as it is."""
_MOST_DB = 6.0
_DB_PER_SECOND = 3.0
_HIGHEST_PEAK = 0.99


class LevelMatcher:
    """Makes each sentence about as loud as the first, which stays as it is.

    The gain follows from what was heard of the sentence so far, moves slowly, and begins where the sentence before
    left it. Only where something would be clipped it falls at once: each frame waits for the next one, which may
    demand that. Frames are counted from the start of each sentence, so that it makes no difference how the sound is
    cut on its way.
    """

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(_LEVEL_FRAME_SECONDS * sample_rate)
        self._enough = round(_ENOUGH_SECONDS / _LEVEL_FRAME_SECONDS)
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
        step_db = _DB_PER_SECOND * _LEVEL_FRAME_SECONDS
        return self._gain * 10 ** (min(max(goal_db - 20 * math.log10(self._gain), -step_db), step_db) / 20)

    def _level_db(self) -> float | None:
        """Return how loud the sentence is so far; None if that cannot be told yet."""
        powers = np.array(self._powers)
        heard = powers[powers > powers.max(initial=0.0) * 10 ** (-_GATE_DB / 10)]
        return 10 * math.log10(heard.mean()) if len(heard) >= self._enough else None
