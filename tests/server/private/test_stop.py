"""End of a resident engine: when it is told to stop, when it is held, and when it is idle."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.server.private.resident import HELLO, SPEECH, client_of, connected, resident, speak
from tests.server.tone import ToneEngine, until
from voxcli.protocols.voxcpm.exact import exact_form
from voxcli.synthesis.request import SynthesisRequest

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")


def test_stop_waits_for_what_is_spoken_and_refuses_what_comes(tmp_path: Path) -> None:
    engine = ToneEngine(hold_at=2)
    with resident(engine, tmp_path) as server, client_of(server.path) as client, client_of(server.path) as speaking:
        with speaking.stream("POST", SPEECH, data=exact_form(HELLO)[0]) as answer:
            assert client.post("/private/stop", json={}).json()["state"] == "stopping"
            late = speak(client, HELLO)
            assert (late.status_code, late.json()["error"]["code"]) == (503, "stopping")
            renewed = client.post("/private/keep-alive", json={"seconds": 60})
            assert (renewed.status_code, renewed.json()["error"]["code"]) == (503, "stopping")
            engine.go.set()
            assert len(answer.read()) == 4 * len(engine.sound(HELLO))
        assert server.ends()
        assert not server.path.exists()
    assert engine.closed


def test_stop_now_cuts_off_what_is_spoken(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=10**6, pace=0.5)
    with resident(engine, tmp_path) as server, client_of(server.path) as client, client_of(server.path) as speaking:
        with speaking.stream("POST", SPEECH, data=exact_form(HELLO)[0]) as answer:
            client.post("/private/stop", json={"now": True})
            with pytest.raises(httpx.TransportError):
                answer.read()
        assert server.ends()
    assert engine.closed
    assert not engine.moved


def hold(path: Path, name: str) -> socket.socket:
    connection = connected(path)
    head = f"POST /private/hold HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {name}\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    return connection


def test_a_server_that_is_held_ends_after_the_whole_text(tmp_path: Path) -> None:
    engine = ToneEngine()
    with resident(engine, tmp_path, keep_alive=3600) as server, client_of(server.path) as client:
        with hold(server.path, "one") as holding:
            assert client.get("/private/state").json()["holds"] == 1
            assert speak(client, HELLO, x_voxcli_keep_alive="0").status_code == 200  # which does not end it yet
            client.post("/private/stop", json={})
            for number in range(2):
                part = SynthesisRequest(text=f"Part {number}.")
                assert speak(client, part, x_voxcli_hold="one").status_code == 200
            for other in ({}, {"x_voxcli_hold": "two"}, {"x_voxcli_hold": ""}):
                assert speak(client, HELLO, **other).json()["error"]["code"] == "stopping"
            assert client.post("/private/hold").status_code == 503
            assert server.thread.is_alive()
            holding.close()
        assert server.ends()
    assert [request.text for request in engine.requests] == ["Hello.", "Part 0.", "Part 1."]


def test_stop_now_waits_for_no_hold(tmp_path: Path) -> None:
    with (
        resident(ToneEngine(), tmp_path) as server,
        client_of(server.path) as client,
        hold(server.path, "one") as holding,
    ):
        client.post("/private/stop", json={"now": True})
        assert server.ends()
        assert holding.recv(1000) == b"0\r\n\r\n"


def test_a_part_of_a_held_text_keeps_its_place_in_the_queue(tmp_path: Path) -> None:
    engine = ToneEngine(slots=1, hold_at=0)
    with resident(engine, tmp_path) as server, client_of(server.path) as client:
        with hold(server.path, "one"), ThreadPoolExecutor(3) as pool:
            asked = []
            for name in ("one", "other", "one"):
                asked.append(pool.submit(speak, client, HELLO, x_voxcli_hold=name))
                until(lambda: server.service.admission.used + server.service.admission.depth == len(asked))
            client.post("/private/stop", json={})
            engine.go.set()
            assert [answer.result().status_code for answer in asked] == [200, 503, 200]
        assert server.ends()


def test_it_ends_when_its_last_request_allows_it(tmp_path: Path) -> None:
    engine = ToneEngine()
    with resident(engine, tmp_path, keep_alive=3600) as server, client_of(server.path) as client:
        assert speak(client, HELLO, x_voxcli_keep_alive="60").status_code == 200
        assert client.get("/private/state").json()["keep_alive"] == 60
        assert speak(client, HELLO, x_voxcli_keep_alive="0").status_code == 200
        assert server.ends()
    assert engine.closed


def test_it_ends_when_it_is_idle_for_long(tmp_path: Path) -> None:
    with resident(ToneEngine(), tmp_path, keep_alive=0.1) as server:
        assert server.ends()
