"""Solver steps that keep up with playback, chosen from the measured speed of the parts so far."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.synthesis.timing import Timings

LEAST_STEPS, MOST_STEPS = 4, 10
"""Solver steps that are chosen from. With less than four, speech is audibly worse."""
_KEEPS_UP, _SURELY_KEEPS_UP = 0.95, 0.85
"""Work per second of audio with which steps are kept or lowered, and with which they are raised."""
_GUESSED_FIXED = 0.4
"""Part of the work that does not depend on the steps, before it is measured."""
_REMEMBERED_SECONDS = 20.0


class AutoSteps:
    """Chooses the solver steps of each part of a text, so that a slow machine keeps up with playback.

    The work for a second of audio is taken to be a fixed part and the same for each step. Until it has been measured
    with two numbers of steps, the fixed part is a guess.
    """

    def __init__(self, timings: "Timings") -> None:
        """timings: of the stream, kept up to date by a `Stopwatch`."""
        self._timings = timings
        self._seen_audio, self._seen_work = 0.0, 0.0
        self._measured: dict[int, tuple[float, float]] = {}
        """Seconds of audio and of work, by the number of steps; old ones count less."""
        self.used: list[int] = []
        """For the parts so far."""

    def __call__(self) -> int:
        """Return the steps for the next part."""
        self._measure()
        self.used.append(self._choose() if self._measured else MOST_STEPS)
        return self.used[-1]

    def factor(self, steps: int) -> float:
        """Return the expected seconds of work per second of audio. Something has been measured."""
        fixed, per_step = self._fitted()
        return fixed + per_step * steps

    def _measure(self) -> None:
        timings = self._timings
        audio, work = timings.audio - self._seen_audio, timings.working - self._seen_work
        self._seen_audio, self._seen_work = timings.audio, timings.working
        if not self._measured and timings.first_chunk is not None and timings.chunks > 1:
            # The very first chunk also has to warm up.
            audio, work = audio * (1 - 1 / timings.chunks), work - timings.first_chunk
        if audio <= 0 or not self.used:
            return
        kept = math.exp(-audio / _REMEMBERED_SECONDS)
        self._measured = {steps: (kept * old, kept * slow) for steps, (old, slow) in self._measured.items()}
        before = self._measured.get(self.used[-1], (0.0, 0.0))
        self._measured[self.used[-1]] = before[0] + audio, before[1] + work

    def _choose(self) -> int:
        now = self.used[-1]
        for steps in range(MOST_STEPS, LEAST_STEPS, -1):
            # More steps only if they surely keep up, so that their number does not go up and down.
            if self.factor(steps) <= (_KEEPS_UP if steps <= now else _SURELY_KEEPS_UP):
                return steps
        return LEAST_STEPS

    def _fitted(self) -> tuple[float, float]:
        """Return the work that is fixed and that of a step, by least squares, weighted with the audio."""
        whole = sum(audio for audio, _ in self._measured.values())
        steps = sum(steps * audio for steps, (audio, _) in self._measured.items()) / whole
        work = sum(work for _, work in self._measured.values()) / whole
        spread = sum(audio * (count - steps) ** 2 for count, (audio, _) in self._measured.items())
        per_step = work * (1 - _GUESSED_FIXED) / steps
        if spread > 0:
            products = sum((count - steps) * (slow - audio * work) for count, (audio, slow) in self._measured.items())
            # At least a little, or chance would let more steps seem faster.
            per_step = min(max(products / spread, 0.2 * per_step), work / steps)
        return work - per_step * steps, per_step
