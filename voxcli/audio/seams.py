"""Where the sentences of a text meet: without clicks, equally loud, and with a gap between them."""

import numpy as np

from voxcli.audio.chunk import Samples
from voxcli.audio.evenness import Evenness
from voxcli.audio.gaps import Gaps

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


class Seams:
    """Joins the sentences of a text, whose samples come piece by piece: `begin`, `feed` and `end` for each of them.

    Whoever does not ask for anything gets what came in. A text of one sentence stays as it is in any case.
    """

    def __init__(self, sample_rate: int, *, gap_seconds: float | None, even: bool) -> None:
        """
        Args:
            gap_seconds: between two sentences; None leaves the quiet at their ends as it is.
            even: make them equally loud, and fade where one would click.
        """
        self._evenness = Evenness(sample_rate) if even else None
        self._gaps = Gaps(sample_rate, gap_seconds)
        self._fade = Fade(sample_rate) if even or gap_seconds is not None else None
        self._begun = False

    def pause(self, seconds: float) -> Samples:
        """Return the silence that makes a pause."""
        return self._silence(self._gaps.pause(seconds))

    def begin(self, *, goes_on: bool) -> Samples:
        """Begin a sentence, and return what is between the one before and it; see `Gaps.begin`."""
        between = self._gaps.begin(goes_on=goes_on)
        out = self._faded(between) if goes_on else self._silence(between)
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
