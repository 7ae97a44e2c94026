"""Timing of a stream of speech: time to first sound and speed."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

from voxcli.audio.chunk import AudioChunk

_AUDIBLE = 10 ** (-50 / 10)  # -50 dBFS, as the mean power of one window
_WINDOW_SECONDS = 0.01


@dataclass(slots=True)
class Timings:
    """Measurements so far, in seconds, without the time that the consumer took."""

    first_chunk: float | None = None
    """From the request to the first chunk."""
    first_sound: float | None = None
    """From the request to the chunk with the first 10 ms above -50 dBFS."""
    working: float = 0.0
    """Time spent by the engine."""
    waited: float = 0.0
    """Of that, the time in which the engine was waited for; less if it has begun before."""
    audio: float = 0.0
    """Duration of the audio from the engine."""
    starved: float = 0.0
    """How long playback started at the first chunk would have stalled."""
    chunks: int = 0

    @property
    def real_time_factor(self) -> float | None:
        """Work per second of audio: below 1 is faster than speech."""
        return self.working / self.audio if self.audio else None


class Stopwatch:
    """Measures one run of one or several streams, one after another."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """clock: seconds from any origin."""
        self.timings = Timings()
        self._clock = clock
        self._began: float | None = None
        self._window_energy, self._window_samples = 0.0, 0  # of the window that is not complete yet

    def begin(self, at: float | None = None) -> None:
        """Note that the engine works from now on, and not only when it is asked for the next chunk.

        at: since then, by the clock.
        """
        self._began = self._clock() if at is None else at

    def timed(self, chunks: Generator[AudioChunk]) -> Generator[AudioChunk]:
        """Measure a stream while passing it on."""
        timings = self.timings
        with closing(chunks):
            while True:
                asked = self._clock()
                began, self._began = self._began or asked, None
                chunk = next(chunks, None)
                now = self._clock()
                timings.working += now - began
                timings.waited += now - asked
                if chunk is None:
                    return
                self._note(chunk)
                yield chunk

    def _note(self, chunk: AudioChunk) -> None:
        timings = self.timings
        if timings.first_chunk is None:
            timings.first_chunk = timings.working
        played = timings.working - timings.first_chunk - timings.starved
        timings.starved += max(0.0, played - timings.audio)
        if timings.first_sound is None and self._sounds(chunk):
            timings.first_sound = timings.working
        timings.audio += chunk.seconds
        timings.chunks += 1

    def _sounds(self, chunk: AudioChunk) -> bool:
        """Whether a window that this chunk completes is audible."""
        window = round(_WINDOW_SECONDS * chunk.sample_rate)
        rest = chunk.samples.astype("float64")
        while len(rest):
            piece, rest = rest[: window - self._window_samples], rest[window - self._window_samples :]
            self._window_energy += float(piece @ piece)
            self._window_samples += len(piece)
            if self._window_samples == window:
                power = self._window_energy / window
                self._window_energy, self._window_samples = 0.0, 0
                if power > _AUDIBLE:
                    return True
        return False
