"""Traces in OpenTelemetry's form: a span for each request, with its waiting and its speaking inside.

OpenTelemetry reads the variables of its specification itself (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER and others): https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
"""

import logging
import threading
import time
from collections.abc import Iterator

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from voxcli.server.monitoring import Ending, RequestRecord
from voxcli.server.operating.access import Access
from voxcli.version import __version__

_BAD_STATUS = 500
_BAD_CLOSURES = range(1011, 1015)
"""Codes of a WebSocket: the server failed, or was too busy."""
_FAILED = (Ending.FAILED, Ending.STALLED)
_UNNAMED = "unknown_service"
_NANOSECONDS = 10**9
_LAST_SECONDS = 2.0
"""For the spans that are left when the server ends."""
_QUIET_SECONDS = 60.0
"""After a complaint about a receiver: OpenTelemetry makes several for each batch."""

_log = logging.getLogger(__name__)


class Tracing:
    """Exports spans in the background. Used as an observer of requests: spans are made when a request has ended."""

    def __init__(self) -> None:
        resource = Resource.create({SERVICE_VERSION: __version__})
        if str(resource.attributes[SERVICE_NAME]).startswith(_UNNAMED):
            resource = resource.merge(Resource({SERVICE_NAME: "voxcli"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("voxcli", __version__)
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.addHandler(_Complaints(logging.WARNING))

    def __call__(self, access: Access) -> None:
        clock = _Clock(access)
        span = self._tracer.start_span(
            f"{access.method} {access.path}" if access.speeches else access.method,
            context=extract(dict(access.headers)),
            kind=SpanKind.SERVER,
            start_time=clock.at(access.started),
            attributes=dict(_attributes(access)),
        )
        if span.is_recording():
            inside = set_span_in_context(span)
            for record in access.speeches:
                self._add_speech(record, clock, inside)
            if _is_bad(access):
                span.set_status(Status(StatusCode.ERROR))
        span.end(clock.at(access.started + access.seconds))

    def close(self) -> None:
        """Export what is left, if it is taken at once."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_LAST_SECONDS)

    def _add_speech(self, record: RequestRecord, clock: "_Clock", inside: Context) -> None:
        """Add the wait for a slot, and what the engine did, with the time to its first sound inside."""
        self._add("wait for a slot", clock, inside, record.arrived, record.admitted)
        synthesis = self._add("synthesis", clock, inside, record.asked, record.finished, ends=False)
        if synthesis:
            synthesis.set_attribute("voxcli.audio_seconds", record.timings.audio)
            self._add("first chunk", clock, set_span_in_context(synthesis), record.asked, record.first_byte)
            if record.ending in _FAILED:
                synthesis.set_status(Status(StatusCode.ERROR, str(record.ending)))
            assert record.finished is not None
            synthesis.end(clock.at(record.finished))

    def _add(
        self, name: str, clock: "_Clock", inside: Context, start: float | None, end: float | None, *, ends: bool = True
    ) -> Span | None:
        if start is None or end is None:
            return None
        span = self._tracer.start_span(name, context=inside, start_time=clock.at(start))
        if ends:
            span.end(clock.at(end))
        return span


class _Complaints(logging.Handler):
    """Passes on what OpenTelemetry complains about, once in a while."""

    _last: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if self._last is None or now - self._last > _QUIET_SECONDS:
            self._last = now
            _log.warning("traces are not exported: %s", record.getMessage())


class _Clock:
    """From the clock of a request to nanoseconds since 1970."""

    def __init__(self, access: Access) -> None:
        self._offset = access.at - access.started

    def at(self, time: float) -> int:
        return round((self._offset + time) * _NANOSECONDS)


def _attributes(access: Access) -> Iterator[tuple[str, AttributeValue]]:
    """Yield what is known of a request, by the names of the semantic conventions where they have one."""
    yield "client.address", access.client
    yield "url.path", access.path
    yield "voxcli.request_id", access.request_id
    yield "http.response.body.size", access.sent
    if access.method == "WS":
        yield "http.request.method", "GET"
        yield "voxcli.close_code", access.status
    else:
        yield "http.request.method", access.method
        yield "http.response.status_code", access.status
    if access.speeches:
        record = access.speeches[-1]
        for name, value in (("model", record.model), ("voice", record.voice), ("ending", record.ending)):
            if value is not None:
                yield f"voxcli.{name}", str(value)


def _is_bad(access: Access) -> bool:
    codes = _BAD_CLOSURES if access.method == "WS" else range(_BAD_STATUS, 600)
    return access.status in codes or any(record.ending in _FAILED for record in access.speeches)
