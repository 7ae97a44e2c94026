"""Traces, as a receiver on this machine gets them over HTTP."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.server.raw import SPEECH
from tests.server.running import running
from tests.server.tone import ToneEngine, until
from voxcli.cli.commands.serve.operating import new_tracing
from voxcli.cli.console import Console
from voxcli.errors import ModelError
from voxcli.installation import install_command
from voxcli.server.operating.access import Access
from voxcli.server.operating.telemetry import Tracing

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "A secret.", "response_format": "wav"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@contextmanager
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """Receive traces, and give the address and all spans so far."""
    spans: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in request.resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                spans.extend((named, span) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *values: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", spans
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _without_handlers() -> Iterator[None]:
    logger = logging.getLogger("opentelemetry")
    yield
    logger.handlers[:] = [logging.NullHandler()]


def test_a_request_is_a_span_in_the_trace_of_its_client_with_its_wait_and_its_speech_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with receiver() as (address, spans), running(ToneEngine(chunks=3, pace=0.2)) as server:
        monkeypatch.setenv(ENDPOINT, address)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "speech")
        tracing = Tracing()
        seen: list[Access] = []
        server.service.observers.extend([tracing, seen.append])
        before = time.time_ns()
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        assert httpx.post(server.url + SPEECH, json=FIELDS, headers=headers).status_code == 200
        until(lambda: bool(seen))
        tracing.close()
        after = time.time_ns()
    by_name = {span.name: span for _, span in spans}
    assert set(by_name) == {f"POST {SPEECH}", "wait for a slot", "synthesis", "first chunk"}
    root, synthesis = by_name[f"POST {SPEECH}"], by_name["synthesis"]
    assert {span.trace_id.hex() for span in by_name.values()} == {trace}
    assert root.parent_span_id.hex() == parent
    assert synthesis.parent_span_id == by_name["wait for a slot"].parent_span_id == root.span_id
    assert by_name["first chunk"].parent_span_id == synthesis.span_id
    assert before <= root.start_time_unix_nano <= synthesis.start_time_unix_nano <= synthesis.end_time_unix_nano
    assert synthesis.end_time_unix_nano <= after
    assert by_name["first chunk"].end_time_unix_nano <= root.end_time_unix_nano <= after
    assert spans[0][0]["service.name"] == "speech"
    known = {one.key: one.value for one in root.attributes}
    assert known["http.response.status_code"].int_value == 200
    assert known["voxcli.model"].string_value == "tone"
    assert "secret" not in str(spans)


def test_a_failure_is_an_error_and_another_request_has_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ToneEngine(chunks=3, fail_at=0, error=ModelError("It broke."))
    with receiver() as (address, spans), running(engine) as server:
        monkeypatch.setenv(ENDPOINT, address)
        tracing = Tracing()
        seen: list[Access] = []
        server.service.observers.extend([tracing, seen.append])
        assert httpx.post(server.url + SPEECH, json=FIELDS).status_code == 500
        assert httpx.get(server.url + "/a/b/c").status_code == 404
        until(lambda: len(seen) == 2)
        tracing.close()
    assert {span.name: span.status.code for _, span in spans if not span.parent_span_id} == {
        f"POST {SPEECH}": 2,
        "GET": 0,
    }
    assert spans[0][0]["service.name"] == "voxcli"


def test_a_receiver_that_is_not_there_is_named_once_and_holds_up_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with running(ToneEngine()) as server, caplog.at_level(logging.WARNING):
        tracing = Tracing()
        server.service.observers.append(tracing)
        httpx.get(server.url + "/livez")
        until(lambda: bool(caplog.messages))
        began = time.monotonic()
        tracing.close()
        assert time.monotonic() - began < 10
    assert len([one for one in caplog.messages if "traces are not exported" in one]) == 1


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"}, False),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_standard_variables_decide(
    environment: dict[str, str], wanted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tracing = new_tracing(environment, Console())
    assert (tracing is not None) == wanted
    if tracing:
        tracing.close()
    assert ("grpc is not supported" in capsys.readouterr().err) == ("grpc" in environment.values())


def test_without_the_packages_it_is_said_what_to_install_and_only_if_traces_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "voxcli.server.operating.telemetry")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert new_tracing({}, Console()) is None
    assert capsys.readouterr().err == ""
    assert new_tracing({ENDPOINT: "http://127.0.0.1:1"}, Console()) is None
    said = " ".join(capsys.readouterr().err.split())
    assert "no traces: opentelemetry" in said
    assert install_command("telemetry") in said
