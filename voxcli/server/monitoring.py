"""Monitoring: metrics for Prometheus, and the engine's heartbeat for readiness checks."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from voxcli.errors import DeviceError, ModelError, RemoteError
from voxcli.synthesis.request import Speech
from voxcli.synthesis.servers import ServerReport
from voxcli.synthesis.timing import Timings

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1, 1.2, 1.5, 2, 5, 10)
_TOLERATED_GAP = 0.02
"""Seconds of starvation that any player's buffer covers."""


class Ending(StrEnum):
    """How a speech request ended."""

    DONE = "done"
    CLIENT_LEFT = "client_left"
    STALLED = "stalled"
    """The client stopped reading."""
    FAILED = "failed"
    REFUSED = "refused"
    """Before any audio, with a reason."""
    CANCELLED = "cancelled"
    """The client wanted no more of a text that it streamed, and stayed."""


@dataclass(slots=True)
class RequestRecord:
    """Times of one request, and with what it was spoken."""

    arrived: float = field(default_factory=time.perf_counter)
    admitted: float | None = None
    asked: float | None = None
    """When the engine was called. All times are of the same clock."""
    first_byte: float | None = None
    finished: float | None = None
    """When the engine had made everything, or was stopped."""
    model: str | None = None
    voice: str | None = None
    """By name."""
    ending: Ending | None = None
    timings: Timings = field(default_factory=Timings)

    def admit(self) -> None:
        """Note that there is a slot."""
        self.admitted = time.perf_counter()

    def begin(self, model: str, voice: str | None, timings: Timings) -> None:
        """Note that the engine is called now."""
        self.model, self.voice, self.timings = model, voice, timings
        self.asked = time.perf_counter()

    def finish(self) -> float | None:
        """Note that the engine has finished. Return how long it took; None if it was not called."""
        self.finished = time.perf_counter()
        return None if self.asked is None else self.finished - self.asked


class Metrics:
    """The metrics of one server, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time and open files, where the system tells them
        self.slots = self._gauge("slots", "Streams that may run concurrently.")
        self.slots_used = self._gauge("slots_used", "Streams that are being generated.")
        self.queue_depth = self._gauge("queue_depth", "Requests waiting for a slot.")
        self.queue_limit = self._gauge("queue_limit", "Requests that may wait for a slot.")
        self.answers_open = self._gauge("answers_open", "Requests whose client has not received everything yet.")
        self.spooled_bytes = self._gauge("spooled_bytes", "Generated speech that waits for its clients.")
        self.model_loaded = self._gauge("model_loaded", "1 while the model is loaded.")
        self._first_byte = self._seconds("first_byte_seconds", "From a request's arrival to its first byte of audio.")
        self._first_sound = self._seconds(
            "first_sound_seconds", "From a request's arrival to its first audible sample."
        )
        self._queue_wait = self._seconds("queue_wait_seconds", "From a request's arrival to its slot.")
        self._factor = self._histogram("real_time_factor", "Time per second of audio, of one stream.", _FACTORS)
        self._audio = self._counter("audio_seconds", "Generated audio, in seconds.")
        self._starved = self._counter("streams_starved", "Streams that would have stalled a player.")
        self._ended = self._counter("requests", "Speech requests by how they ended.", "ending")
        for ending in Ending:
            self._ended.labels(ending.value)
        self.sockets_open = self._gauge("sockets_open", "Open connections of streaming protocols.", "protocol")
        self._utterances = self._counter("utterances", "Streamed texts by how they ended.", "protocol", "ending")
        self._cancel = self._seconds("cancel_seconds", "From a cancellation until the engine has stopped.")
        self._spoken = self._counter("utterance_seconds", "Speech sent of streamed texts, in seconds.", "protocol")
        self._server_up = self._gauge("server_up", "1 while a server behind the gateway gets requests.", "server")
        self._server_streams = self._gauge("server_streams", "Streams on a server behind the gateway.", "server")
        self._server_failures = self._gauge(
            "server_failures", "Requests that a server behind the gateway could not speak.", "server"
        )
        self._thrown_away = self._counter(
            "thrown_away_seconds", "Speech generated for streamed texts and not sent, in seconds.", "protocol"
        )

    def note(self, record: RequestRecord, ending: Ending) -> None:
        """Record a request that has ended."""
        record.ending = ending
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
            self._starved.inc(timings.starved > _TOLERATED_GAP)

    def note_utterance(
        self,
        protocol: str,
        record: RequestRecord,
        ending: Ending,
        *,
        seconds: float,
        thrown_away: float,
        cancel_seconds: float | None,
    ) -> None:
        """Record a text that was spoken while it was being written.

        Args:
            seconds: of speech that was sent.
            thrown_away: seconds of speech that was generated and not sent.
            cancel_seconds: until the engine had stopped, if the client cancelled it.
        """
        self._utterances.labels(protocol, ending.value).inc()
        self._spoken.labels(protocol).inc(seconds)
        self._thrown_away.labels(protocol).inc(thrown_away)
        if cancel_seconds is not None:
            self._cancel.observe(cancel_seconds)
        self.note(record, ending)

    def note_servers(self, servers: Iterable[ServerReport]) -> None:
        """Record the state of the servers behind a gateway."""
        for server in servers:
            self._server_up.labels(server.name).set(server.problem is None)
            self._server_streams.labels(server.name).set(server.streams)
            self._server_failures.labels(server.name).set(server.failures)

    def collect(self) -> list[Metric]:
        """Return all metrics as they are now."""
        return list(self.registry.collect())

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"voxcli_{name}", meaning, labels, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"voxcli_{name}", meaning, labels, registry=self.registry)

    def _seconds(self, name: str, meaning: str) -> Histogram:
        return self._histogram(name, meaning, _SECONDS)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"voxcli_{name}", meaning, buckets=buckets, registry=self.registry)


_BEGINNINGS = ("_created", "_start_time_seconds")


def summed(each: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Return the sums of the metrics of several servers: of counters, gauges and histograms alike."""
    sums: dict[str, tuple[Metric, dict[tuple[str, tuple[tuple[str, str], ...]], float]]] = {}
    for metrics in each:
        for metric in metrics:
            _, values = sums.setdefault(metric.name, (metric, {}))
            for sample in metric.samples:
                key = sample.name, tuple(sample.labels.items())
                # A time at which counting began has no sum: the first one counts.
                began, before = sample.name.endswith(_BEGINNINGS), values.get(key)
                values[key] = (
                    sample.value if before is None else min(before, sample.value) if began else before + sample.value
                )
    return [_with_values(metric, values) for metric, values in sums.values()]


def _with_values(metric: Metric, values: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]) -> Metric:
    found = Metric(metric.name, metric.documentation, metric.type)
    for (name, labels), value in values.items():
        found.add_sample(name, dict(labels), value)
    return found


def format_metrics(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Collected([*metrics]))
    return generate_latest(registry)


@dataclass(eq=False, slots=True)
class _Collected(Collector):
    """Metrics that have been collected elsewhere."""

    metrics: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class Replicas(Protocol):
    """All copies of a server, of which any may be asked."""

    async def metrics(self) -> bytes:
        """Return the sums of their metrics in Prometheus's text format."""
        ...

    async def servers(self) -> list[ServerReport]: ...


_FRESH = 60.0
"""Seconds for which a generated chunk proves that the engine works."""


class EngineHeartbeat:
    """Times of the engine's last chunk and failure, and of streams waiting for a chunk. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds from any origin."""
        self._clock = clock
        self._step: float | None = None
        self._failure: float | None = None
        self._waiting: dict[object, float] = {}
        """Since when each stream has been waiting for its next chunk."""

    def watched(self, chunks: Speech) -> Speech:
        """Pass on a stream's chunks, and record when they arrive."""
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
        """Return for how long streams have been waiting without any stream getting a chunk; 0 if none is waiting."""
        waiting = list(self._waiting.values())
        if not waiting:
            return 0.0
        return self._clock() - max(min(waiting), self._step or 0.0)

    def is_fresh(self) -> bool:
        """Tell whether a recent chunk proves that the engine works."""
        if self._step is None or (self._failure is not None and self._failure >= self._step):
            return False
        return self._clock() - self._step < _FRESH
