"""Timing of a stream of speech: time to first sound, speed, and how much to buffer so that playback does not stall."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

from voxcli.audio.chunk import AudioChunk
from voxcli.text.characters import properties_of

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
        self._window_energy, self._window_samples = 0.0, 0  # of the window that is not complete yet

    def timed(self, chunks: Generator[AudioChunk]) -> Generator[AudioChunk]:
        """Measure a stream while passing it on."""
        timings = self.timings
        with closing(chunks):
            while True:
                asked = self._clock()
                chunk = next(chunks, None)
                timings.working += self._clock() - asked
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


_WIDE_CHARACTER_SECONDS, _CHARACTER_SECONDS = 0.22, 0.065
"""About 270 Chinese characters, or 180 English words, in a minute."""
_MARGIN = 1.15
"""By which estimated durations are taken to be longer."""
_REAL_TIME = 1.02
_LONGEST_SECONDS = 30.0
"""Rather than longer than this, a listener waits before each sentence."""


def speaking_seconds(text: str) -> float:
    """Estimate how long a text is when it is spoken."""
    wide = sum(properties_of(char).columns > 1 for char in text)
    return wide * _WIDE_CHARACTER_SECONDS + (len(text) - wide) * _CHARACTER_SECONDS


class StartBuffer:
    """Tells how much audio has to wait before playback starts, so that it does not stall on a slow machine.

    An engine of speed s (seconds of audio per second of work) needs R / s seconds for the remaining R seconds of audio,
    and as much is played meanwhile: (1/s - 1) R has to wait already.
    """

    def __init__(self, timings: Timings, *, text_seconds: float | None, pace: float = 1.0) -> None:
        """
        Args:
            timings: of the stream, kept up to date by a `Stopwatch`.
            text_seconds: estimated duration of the whole text; None if it is still being written.
            pace: speaking rate, 1 for normal.
        """
        self._pace = pace
        self._timings = timings
        self._text_seconds = text_seconds
        self._first_audio = 0.0
        self._part_began = 0.0
        self._part_seconds = 0.0
        self._spoken, self._estimated = 0.0, 0.0
        self.delay: float | None = None
        """Seconds until playback starts, as last estimated; None while the engine seems fast enough."""

    @property
    def speed(self) -> float | None:
        """Seconds of audio per second of work, without the first chunk; None before the second one."""
        timings = self._timings
        if timings.first_chunk is None or timings.chunks < 2:
            return None
        return (timings.audio - self._first_audio) / max(timings.working - timings.first_chunk, 1e-9)

    @property
    def by_sentence(self) -> bool:
        """Whether playback has to wait before each sentence, because the length of the text is unknown or too great."""
        speed = self.speed
        if speed is None or speed >= _REAL_TIME:
            return False
        return self._text_seconds is None or self._needed(self._text_seconds, speed) > _LONGEST_SECONDS

    def begin_part(self, text: str) -> None:
        """Note that this part of the text is spoken next."""
        self._part_began, self._part_seconds = self._timings.audio, speaking_seconds(text) / self._pace

    def end_part(self) -> None:
        """Note that the part is complete: its true duration corrects the estimate of the others."""
        self._spoken += self._timings.audio - self._part_began
        self._estimated += self._part_seconds

    def needed(self, queued: float) -> float:
        """Return how many seconds of audio have to wait before playback starts.

        queued: seconds that wait already.
        """
        timings = self._timings
        if timings.chunks == 1:
            self._first_audio = timings.audio
            return 0.0 if timings.working <= timings.audio else queued + 1  # the second chunk will tell
        speed = self.speed
        if speed is None or speed >= _REAL_TIME:
            self.delay = None
            return 0.0
        needed = self._needed(self._remaining(), speed)
        self.delay = max(0.0, needed - queued)
        return needed

    def _remaining(self) -> float:
        """Estimate the duration of what is still to be generated before playback may stall."""
        correction = min(max(self._spoken / self._estimated, 0.5), 2.0) if self._estimated else 1.0
        correction *= _MARGIN
        if self._text_seconds is None or self.by_sentence:
            return max(0.0, self._part_seconds * correction - (self._timings.audio - self._part_began))
        return max(0.0, self._text_seconds * correction - self._timings.audio)

    def _needed(self, remaining: float, speed: float) -> float:
        """Return the audio that has to wait, and one chunk more, since each is there only when it is complete."""
        return remaining * (1 / max(speed, 0.05) - 1) + self._timings.audio / self._timings.chunks
