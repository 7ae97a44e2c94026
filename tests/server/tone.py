"""An engine that costs nothing: tones, the same for the same request, at a pace and with failures of one's choice."""

import threading
import time
import zlib
from collections.abc import Callable

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.errors import ModelError, VoxError
from voxcli.synthesis.request import Speech, SynthesisRequest


class ToneEngine:
    """Speaks every text as one tone, whose pitch is that of the text and the voice."""

    draws_voices = False

    def __init__(
        self,
        *,
        chunks: int = 5,
        chunk_seconds: float = 0.08,
        sample_rate: int = 16000,
        pace: float = 0.0,
        slots: int = 2,
        fail_at: int | None = None,
        error: VoxError | None = None,
        hold_at: int | None = None,
    ) -> None:
        """chunks: how many it makes.

        pace: seconds that each second of sound takes.
        fail_at: the chunk, from 0, in whose place it raises `error`.
        hold_at: the chunk, from 0, before which it waits for `go`.
        """
        self.slots = slots
        self.sample_rate = sample_rate
        self.requests: list[SynthesisRequest] = []
        """What it was asked for, in this order."""
        self.running = 0
        self.most_running = 0
        self.made = 0
        """Chunks."""
        self.go = threading.Event()
        self.idle = threading.Event()
        """Set while nothing runs."""
        self.idle.set()
        self.closed = False
        self.moved = False
        """Whether a stream was ever closed on another thread than it ran on."""
        self._chunks, self._chunk_seconds, self._pace = chunks, chunk_seconds, pace
        self._fail_at, self._error, self._hold_at = fail_at, error or ModelError("The tone engine broke."), hold_at
        self._lock = threading.Lock()

    def stream(self, request: SynthesisRequest) -> Speech:
        thread, started = threading.get_ident(), time.monotonic()
        self._enter(request)
        try:
            size = self._size(request)
            for number in range(self._chunks):
                if number == self._hold_at:
                    self.go.wait()
                if number == self._fail_at:
                    raise self._error
                due = started + self._pace * size / self.sample_rate * (number + 1)
                time.sleep(max(0.0, due - time.monotonic()))
                self.made += 1
                yield AudioChunk(self._tone(request, number * size, size), self.sample_rate)
        finally:
            self.moved |= threading.get_ident() != thread
            self._leave()

    def close(self) -> None:
        self.closed = True
        self._error.__traceback__ = None  # which holds all that was under way

    def sound(self, request: SynthesisRequest) -> Samples:
        """Return all that is heard for a request."""
        return self._tone(request, 0, self._chunks * self._size(request))

    def _size(self, request: SynthesisRequest) -> int:
        """Count the samples of one chunk."""
        return round(self._chunk_seconds * self.sample_rate / request.speed)

    def _tone(self, request: SynthesisRequest, start: int, count: int) -> Samples:
        cycles = np.arange(start, start + count) * (_pitch(request) / self.sample_rate)
        return (0.3 * np.sin(2 * np.pi * cycles)).astype(np.float32)

    def _enter(self, request: SynthesisRequest) -> None:
        with self._lock:
            self.requests.append(request)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.idle.clear()

    def _leave(self) -> None:
        with self._lock:
            self.running -= 1
            if not self.running:
                self.idle.set()


def _pitch(request: SynthesisRequest) -> float:
    """Return Hz, by everything in a request that is heard but its speed."""
    voice = request.voice
    clips = [clip.data for clip in (voice.reference, voice.prompt and voice.prompt.clip) if clip]
    heard = repr((request.text, voice.name, voice.style, request.language, request.sampling)).encode()
    return 200.0 + zlib.crc32(b"".join([heard, *clips])) % 800


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what no event tells."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
