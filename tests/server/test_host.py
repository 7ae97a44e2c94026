"""The server on its socket, from the beginning to the end."""

import gc
import statistics
import time
from pathlib import Path

import httpx
import pytest

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
    with open_socket(ServerSettings(port=0)) as taken, pytest.raises(DeviceError, match="--port"):
        open_socket(ServerSettings(port=taken.getsockname()[1]))
    with pytest.raises(DeviceError, match="--host"):
        open_socket(ServerSettings(host="192.0.2.1", port=0))


@pytest.mark.alone
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


def test_an_engine_that_hangs_does_not_hold_up_the_end() -> None:
    engine = ToneEngine(chunks=9, hold_at=3)
    with running(engine, drain_seconds=0.1) as server, asked(server.url, response_format="pcm") as client:
        client.read(1000)
        server.call(server.host.stop)
        until(lambda: not server.loop.is_running(), 20)
        assert not engine.idle.is_set()


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
    with running(ToneEngine(), send_seconds=0.2) as server, connected(server.url) as client:
        head = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.send(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert client.read(12).endswith(b" 408")
