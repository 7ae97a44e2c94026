"""What can be read off a server, for Prometheus: how soon it sounds, how long one waits, how streams end."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voxcli.errors import DeviceError, ModelError, RemoteError
from voxcli.synthesis.request import Speech
from voxcli.synthesis.timing import Timings

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1, 1.2, 1.5, 2, 5, 10)
_UNHEARD = 0.02
"""Seconds without sound that nobody notices, if a player has a buffer at all."""


class Ending(StrEnum):
    """How a request for speech came to its end."""

    DONE = "done"
    CLIENT_LEFT = "client_left"
    STALLED = "stalled"
    """The client did not take what it was sent."""
    FAILED = "failed"
    REFUSED = "refused"
    """Before any sound, and with a reason."""


@dataclass(slots=True)
class Record:
    """What is known of one request."""

    arrived: float = field(default_factory=time.perf_counter)
    admitted: float | None = None
    asked: float | None = None
    """When the engine was asked; these are moments of the same clock."""
    first_byte: float | None = None
    timings: Timings = field(default_factory=Timings)


class Metrics:
    """The numbers of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.slots = self._gauge("slots", "Streams that may run at once.")
        self.slots_used = self._gauge("slots_used", "Streams that run.")
        self.queue_depth = self._gauge("queue_depth", "Requests that wait for a slot.")
        self.model_loaded = self._gauge("model_loaded", "1 while the model is loaded.")
        self._first_byte = self._seconds("first_byte_seconds", "From a request's arrival to the first byte of sound.")
        self._first_sound = self._seconds("first_sound_seconds", "From a request's arrival to sound that is heard.")
        self._queue_wait = self._seconds("queue_wait_seconds", "From a request's arrival to its slot.")
        self._factor = self._histogram("real_time_factor", "Work per second of sound, of one stream.", _FACTORS)
        self._audio = self._counter("audio_seconds", "Sound that was made, in seconds.")
        self._starved = self._counter("streams_starved", "Streams that a player would have had to wait for.")
        self._ended = self._counter("requests", "Requests for speech, by how they ended.", "ending")
        for ending in Ending:
            self._ended.labels(ending.value)

    def note(self, record: Record, ending: Ending) -> None:
        """Count a request that has come to its end."""
        timings = record.timings
        self._ended.labels(ending.value).inc()
        if record.admitted is not None:
            self._queue_wait.observe(record.admitted - record.arrived)
        if record.first_byte is not None:
            self._first_byte.observe(record.first_byte - record.arrived)
        if record.asked is not None and timings.first_sound is not None:
            self._first_sound.observe(record.asked - record.arrived + timings.first_sound)
        if timings.real_time_factor is not None:
            self._factor.observe(timings.real_time_factor)
            self._audio.inc(timings.audio)
            self._starved.inc(timings.starved > _UNHEARD)

    def text(self) -> bytes:
        """Return all of it in Prometheus's own format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"voxcli_{name}", meaning, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"voxcli_{name}", meaning, labels, registry=self.registry)

    def _seconds(self, name: str, meaning: str) -> Histogram:
        return self._histogram(name, meaning, _SECONDS)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"voxcli_{name}", meaning, buckets=buckets, registry=self.registry)


_FRESH = 60.0
"""Seconds for which a step proves that the engine works."""


class EngineHeartbeat:
    """When the engine last made a step, or failed to, and whether somebody waits for one. Used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds from any origin."""
        self._clock = clock
        self._step: float | None = None
        self._failure: float | None = None
        self._waiting: dict[object, float] = {}
        """Since when each stream has waited for its next chunk."""

    def watched(self, chunks: Speech) -> Speech:
        """Pass a stream on, and note its steps."""
        stream = object()
        with closing(chunks):
            try:
                while True:
                    self._waiting[stream] = self._clock()
                    chunk = next(chunks, None)
                    del self._waiting[stream]
                    if chunk is None:
                        return
                    self._step = self._clock()
                    yield chunk
            except (DeviceError, ModelError, RemoteError):
                self._failure = self._clock()
                raise
            finally:
                self._waiting.pop(stream, None)

    def silent_seconds(self) -> float:
        """Return for how long somebody has waited and nothing has come, for anybody."""
        waiting = list(self._waiting.values())
        if not waiting:
            return 0.0
        return self._clock() - max(min(waiting), self._step or 0.0)

    def is_fresh(self) -> bool:
        """Tell whether a step proves that the engine works now."""
        if self._step is None or (self._failure is not None and self._failure >= self._step):
            return False
        return self._clock() - self._step < _FRESH
