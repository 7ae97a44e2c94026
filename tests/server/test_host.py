"""The server on its socket, from the beginning to the end."""

import gc
import json
import socket
import statistics
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.refusals import refused
from tests.server.raw import SPEECH, asked, connected
from tests.server.running import running
from tests.server.tone import ToneEngine, until
from voxcli.errors import DeviceError, ModelError
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}


def test_a_port_that_is_taken_or_an_address_that_is_not_ours_is_said() -> None:
    with open_socket(ServerSettings(port=0)) as taken, refused("--port", DeviceError):
        open_socket(ServerSettings(port=taken.getsockname()[1]))
    with refused("--host", DeviceError):
        open_socket(ServerSettings(host="192.0.2.1", port=0))


@pytest.mark.real_time
def test_answers_on_one_connection_do_not_wait_for_each_other_to_be_received() -> None:
    took = []
    with running(ToneEngine()) as server, httpx.Client(base_url=server.url) as client:
        for _ in range(15):
            started = time.perf_counter()
            client.get("/livez")
            took.append(time.perf_counter() - started)
    assert statistics.median(took) < 0.03  # Nagle's algorithm costs 40 ms


def test_streams_that_do_not_end_in_time_are_broken_off() -> None:
    engine = ToneEngine(chunks=10**6, pace=0.5)
    with running(engine, drain_seconds=0.2) as server, asked(server.url, response_format="pcm") as client:
        client.read(1000)
        server.call(server.host.stop)
        assert not client.read(10**9).endswith(b"0\r\n\r\n")
        assert engine.idle.wait(10)
    assert engine.closed
    assert not engine.moved


def test_streams_that_end_in_time_end_well_and_nobody_new_is_let_in() -> None:
    engine = ToneEngine(chunks=20, hold_at=3)
    with running(engine) as server, asked(server.url, response_format="pcm") as client:
        client.read(1000)
        server.call(server.host.stop)
        until(lambda: server.service.admission.draining)
        late = httpx.post(server.url + SPEECH, json=FIELDS)
        assert (late.status_code, late.json()["error"]["code"]) == (503, "draining")
        assert httpx.get(server.url + "/readyz").json() == {"status": "draining"}
        engine.go.set()
        assert client.read(10**9).endswith(b"0\r\n\r\n")
    assert engine.closed


def test_a_client_that_keeps_its_connection_does_not_keep_the_server() -> None:
    with running(ToneEngine()) as server, httpx.Client(base_url=server.url) as client, connected(server.url):
        assert client.get("/livez").status_code == 200
        started = time.monotonic()
        server.call(server.host.stop)
        until(lambda: not server.loop.is_running())
        assert time.monotonic() - started < 5


@pytest.mark.anyio
async def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(tmp_path: Path) -> None:
    def broken() -> ToneEngine:
        raise ModelError("It is damaged.")

    settings = ServerSettings(port=0, voices=tmp_path)
    service = Service(settings, VoiceLibrary(tmp_path), ModelLifecycle("x", broken, settings))
    with open_socket(settings) as sock, pytest.raises(ModelError, match="damaged"):
        await Host(create_app(service), service, sock).run(lambda: None)


def test_an_engine_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    engine = ToneEngine(chunks=9, hold_at=3)
    with running(engine, drain_seconds=0.1) as server, asked(server.url, response_format="pcm") as client:
        client.read(1000)
        server.call(server.host.stop)
        until(lambda: not server.loop.is_running(), 20)
        assert not engine.idle.is_set()
    assert "Traceback" not in caplog.text
    assert "aborted 1 streams" in caplog.text


def test_the_connection_of_a_client_that_reads_nothing_is_closed_with_the_server() -> None:
    # A socket that is left open is a ResourceWarning when it is collected, which fails the test.
    with (
        running(ToneEngine(chunks=400, chunk_seconds=1.0), drain_seconds=0.1) as server,
        asked(server.url, path="/tts", window=4096, streaming_mode=0) as client,
    ):
        client.read(100)
        server.call(server.host.stop)
        until(lambda: not server.loop.is_running(), 20)
    gc.collect()


def test_a_body_that_does_not_come_is_not_waited_for_long() -> None:
    with running(ToneEngine(), receive_seconds=0.2) as server, connected(server.url) as client:
        head = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.send(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert client.read(12).endswith(b" 408")


def whole(path: str, body: str = "", method: str = "POST", *, connection: str = "keep-alive") -> bytes:
    """Return the bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n"
    kind = "Content-Type: application/json\r\n" if body else ""
    return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


SPOKEN = whole(SPEECH, json.dumps(FIELDS))


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"G", b"HTTP/1.1 408"),
        (b"GET /livez HTTP/1.1\r\nHost: local", b"HTTP/1.1 408"),
        (SPOKEN[:-20], b"HTTP/1.1 408"),
        (
            f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{".encode(),
            b"HTTP/1.1 408",
        ),
    ],
    ids=["silence", "letter", "head", "body", "chunk"],
)
def test_a_client_that_does_not_finish_its_request_is_left(sent: bytes, answered: bytes) -> None:
    with running(ToneEngine(), receive_seconds=0.3) as server, connected(server.url) as client:
        client.send(sent)
        assert client.read(10**6).startswith(answered)
        assert not server.service.admission.used


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (whole("/livez", method="GET"), b"GET /liv"),
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", b"a"),
    ],
    ids=["head", "body-that-nobody-wants"],
)
def test_a_client_that_does_not_finish_its_second_request_is_left(first: bytes, then: bytes) -> None:
    with running(ToneEngine(), receive_seconds=0.3) as server, connected(server.url) as client:
        client.send(first)
        client.read(12)
        client.send(then)
        client.read(10**6)


@pytest.mark.parametrize("sent", [b"GET /livez HTTP/1.1\r\nX-A: ", SPOKEN[:-30]], ids=["head", "body"])
def test_a_client_that_sends_a_byte_now_and_then_is_left_too(sent: bytes) -> None:
    with running(ToneEngine(), receive_seconds=0.3) as server, connected(server.url) as client:
        client.send(sent)
        client.connection.settimeout(0.05)
        for _ in range(29):
            try:
                client.send(b"a")
                if client.connection.recv(100).startswith(b"HTTP/1.1 408"):
                    return
            except TimeoutError:
                continue
        pytest.fail("it is still listened to")


def test_a_connection_is_kept_for_the_next_request_and_for_answers_that_take_long() -> None:
    engine = ToneEngine(hold_at=1)
    with running(engine, receive_seconds=0.2) as server, httpx.Client(base_url=server.url) as client:
        opened = []

        def request() -> int:
            return client.get("/livez", extensions={"trace": lambda name, _: opened.append(name)}).status_code

        assert [request() for _ in range(3)] == [200] * 3
        time.sleep(0.5)  # longer than a request may take to arrive, and shorter than connections are kept
        assert request() == 200
        assert opened.count("connection.connect_tcp.complete") == 1
        with connected(server.url) as patient:
            patient.send(SPOKEN)
            patient.read(1)
            time.sleep(0.5)
            engine.go.set()
            while not patient.received.endswith(b"0\r\n\r\n"):
                assert patient.read(len(patient.received) + 1)


@pytest.mark.parametrize("path", [SPEECH, "/livez", "/nowhere", "/tts"])
def test_a_client_that_only_stops_sending_gets_its_answer(path: str) -> None:
    """As with `nc -N`, or a shell whose input has ended."""
    bodies = {SPEECH: json.dumps(FIELDS), "/tts": json.dumps({"text": "Hi.", "text_lang": "en", "prompt_lang": "en"})}
    with running(ToneEngine()) as server, connected(server.url) as client, connected(server.url) as other:
        request = whole(path, bodies.get(path, ""), "POST" if path in bodies else "GET")
        client.send(request)
        client.connection.shutdown(socket.SHUT_WR)
        other.send(request.replace(b"keep-alive", b"close"))
        assert without_differences(client.read(10**7)) == without_differences(other.read(10**7))


def without_differences(answer: bytes) -> list[bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"x-request-id", b"date", b"conn"))]
    return [*lines, body]


def test_a_client_that_stops_sending_gets_its_answer_while_it_waits_and_listens() -> None:
    engine = ToneEngine(slots=1, hold_at=2)
    with running(engine) as server, connected(server.url) as first, connected(server.url) as second:
        first.send(SPOKEN)
        first.read(100)
        first.connection.shutdown(socket.SHUT_WR)  # in the middle of its answer
        second.send(SPOKEN)
        until(lambda: server.service.admission.depth == 1)
        second.connection.shutdown(socket.SHUT_WR)  # in the queue
        time.sleep(0.2)  # in which it could be taken for one that has left
        assert server.service.admission.depth == 1
        engine.go.set()
        for client in (first, second):
            assert client.read(10**7).startswith(b"HTTP/1.1 200 OK\r\n")
            assert client.received.endswith(b"0\r\n\r\n")


def test_two_requests_at_once_are_answered_before_the_connection_ends() -> None:
    with running(ToneEngine()) as server, connected(server.url) as client:
        client.send(whole("/livez", method="GET") * 2)
        client.connection.shutdown(socket.SHUT_WR)
        assert client.read(10**6).count(b'{"status":"alive"}') == 2


@pytest.mark.parametrize("reading", [0, 1], ids=["in-the-queue", "before-the-first-sound"])
def test_a_client_that_closes_its_connection_is_not_served(reading: int) -> None:
    """Unlike one that is killed, it looks at first as if it had only stopped sending."""
    engine = ToneEngine(slots=1, hold_at=0, chunks=10**6, pace=1.0)
    with running(engine) as server, asked(server.url) as holder:
        until(lambda: engine.running == 1)
        if reading:
            holder.connection.close()
            engine.go.set()
            assert engine.idle.wait(10)
        else:
            with asked(server.url, input="Never mind."):
                until(lambda: server.service.admission.depth == 1)
            until(lambda: server.service.admission.depth == 0)
        holder.connection.close()
        engine.go.set()
        until(lambda: not server.service.admission.used)
        assert engine.made < 10
    assert [request.text for request in engine.requests] == ["Hello."]


@pytest.mark.parametrize("path", [SPEECH, "/api/tts/stream"])
def test_a_client_that_closes_its_connection_stops_the_engine_within_a_few_chunks(path: str) -> None:
    engine = ToneEngine(slots=1, chunks=10**6, pace=1.0)
    with running(engine) as server, asked(server.url, path=path) as client:
        client.read(1000)
        while not engine.made > 3:
            client.read(len(client.received) + 1)
        client.connection.settimeout(0)
        with suppress(BlockingIOError):  # nothing unread: with it, the system would tell the server at once
            client.read(10**7)
        made = engine.made
        client.connection.close()
        assert engine.idle.wait(10)
        assert engine.made - made < 6
        until(lambda: not server.service.admission.used)
