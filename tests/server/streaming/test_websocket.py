"""WebSockets: who is let in, how long they stay, and how they end."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.server.errors import Refusal
from voxcli.server.guards import guarded
from voxcli.server.private.sockets import open_private_socket
from voxcli.server.service import Service
from voxcli.server.streaming.websocket import POLICY

PATH = "/v1/audio/echo"


def echo(service: Service) -> ASGIApp:
    """Build an application that answers each message, and takes "busy" and "free" for the beginning and end of use."""

    async def answer(websocket: WebSocket) -> None:
        async with service.sockets.accepted(websocket, "echo") as opened:
            if opened is None:
                return
            try:
                while True:
                    message = await opened.receive()
                    if message == "flood":
                        while True:
                            await opened.send_bytes(bytes(2**20))
                    elif message == "break":
                        raise ValueError("a fault")
                    elif message == "busy":
                        with opened.in_use():
                            await opened.send_json("busy")
                            await opened.receive()
                    await opened.send_json({"said": message} if isinstance(message, str) else {"bytes": len(message)})
            except Refusal as error:
                await opened.send_json({"error": error.problem.code})
                await opened.close(POLICY, str(error))

    return guarded(Starlette(routes=[WebSocketRoute(PATH, answer)]), service)


@contextmanager
def echoing(**settings: Any) -> Iterator[Running]:
    with running(ToneEngine(), new_app=echo, **settings) as server:
        yield server


def opened(server: Running, path: str = PATH, **options: Any) -> ClientConnection:
    return connect(server.url.replace("http", "ws") + path, proxy=None, **options)


def address_of(server: Running) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


def test_messages_pass_both_ways_and_the_socket_has_a_request_id() -> None:
    with echoing() as server, opened(server, "//v1/v1/audio/echo/") as client:
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'
        client.send(b"123")
        assert client.recv(5) == '{"bytes":3}'
        assert client.response
        assert client.response.headers["x-request-id"].startswith("req_")
        assert b'sockets_open{protocol="echo"} 1.0' in server.service.metrics.text()
    assert b'sockets_open{protocol="echo"} 0.0' in server.service.metrics.text()


def test_the_private_socket_has_them_too(tmp_path: Path) -> None:
    private = open_private_socket(tmp_path / "socket")
    with (
        running(ToneEngine(), new_app=echo, private=private, keys=frozenset({"secret"})),
        unix_connect(str(tmp_path / "socket"), uri=f"ws://localhost{PATH}") as client,
    ):
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (PATH, {"additional_headers": {"Authorization": "Bearer secret"}}),
        (PATH, {"additional_headers": {"xi-api-key": "secret"}}),
        (PATH, {"subprotocols": ["realtime", "openai-insecure-api-key.secret"]}),
        (PATH + "?api_key=secret", {}),
    ],
)
def test_a_key_is_taken_wherever_clients_can_send_it(path: str, options: dict[str, Any]) -> None:
    with echoing(keys=frozenset({"secret"})) as server, opened(server, path, **options) as client:
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'
        assert client.subprotocol in (None, "realtime")


@pytest.mark.parametrize(
    ("options", "settings", "status"),
    [
        ({}, {"keys": frozenset({"secret"})}, 401),
        ({"additional_headers": {"Authorization": "Bearer wrong"}}, {"keys": frozenset({"secret"})}, 401),
        ({"origin": "https://elsewhere.example"}, {}, 403),
        ({}, {"max_sockets": 0}, 503),
    ],
)
def test_others_are_refused_with_a_status(options: dict[str, Any], settings: dict[str, Any], status: int) -> None:
    with echoing(**settings) as server:
        with pytest.raises(InvalidStatus) as refused, opened(server, **options):
            pass
        assert refused.value.response.status_code == status
        assert b'"message"' in (refused.value.response.body or b"")


def test_another_host_name_is_refused() -> None:
    with echoing() as server, socket.create_connection(address_of(server)) as plain:
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://elsewhere.example{PATH}", sock=plain):
            pass
        assert refused.value.response.status_code == 421


def test_a_page_of_the_server_itself_may_open_one() -> None:
    with echoing() as server, opened(server, origin=server.url) as client:  # type: ignore[arg-type]
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'


def test_a_socket_outlives_the_deadline_of_requests() -> None:
    with echoing(receive_seconds=0.1) as server, opened(server) as client:
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'
        time.sleep(0.3)
        client.send("Again")
        assert client.recv(5) == '{"said":"Again"}'


def test_a_socket_ends_when_it_is_idle_for_long() -> None:
    with echoing(socket_idle_seconds=0.1) as server, opened(server) as client:
        client.send("Hello")
        assert client.recv(5) == '{"said":"Hello"}'
        assert client.recv(5) == '{"error":"idle_timeout"}'
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1008


def test_the_first_message_has_the_deadline_of_a_request() -> None:
    with echoing(receive_seconds=0.1) as server, opened(server) as client:
        assert client.recv(5) == '{"error":"idle_timeout"}'


@contextmanager
def silent_client(server: Running) -> Iterator[socket.socket]:
    """Open a WebSocket whose client does nothing by itself: it reads nothing and answers no ping."""
    with socket.create_connection(address_of(server)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        client.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 101")
        until(lambda: len(server.service.sockets) > 0)
        yield client


def test_a_client_that_is_gone_without_a_word_is_noticed() -> None:
    with echoing(ping_seconds=0.1) as server, silent_client(server):
        until(lambda: len(server.service.sockets) == 0)


def test_idle_sockets_hold_up_nobody() -> None:
    with echoing() as server, ExitStack() as idle:
        for _ in range(150):
            idle.enter_context(silent_client(server))
        with opened(server) as client:
            client.send("Hello")
            assert client.recv(5) == '{"said":"Hello"}'
        assert len(server.service.sockets) >= 150


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with echoing(send_seconds=0.3, send_buffer=2**16) as server, silent_client(server) as client:
        client.sendall(b"\x81\x85\0\0\0\0flood")
        until(lambda: len(server.service.sockets) == 0)


def test_a_message_that_is_too_large_closes_its_own_socket_only() -> None:
    with echoing() as server, opened(server) as other, opened(server) as client:
        with pytest.raises(ConnectionClosed):
            client.send(bytes(20_000_000))
            client.recv(5)
        other.send("Hello")
        assert other.recv(5) == '{"said":"Hello"}'


def test_a_fault_is_logged_and_closes_the_socket(caplog: pytest.LogCaptureFixture) -> None:
    with echoing() as server, opened(server) as client:
        client.send("break")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1011
        assert "a fault of voxcli itself" in caplog.text


def test_a_server_that_ends_closes_idle_sockets_at_once_and_others_when_they_are_free() -> None:
    with echoing() as server, opened(server) as idle, opened(server) as busy:
        busy.send("busy")
        assert busy.recv(5) == "busy"
        server.call(server.host.stop)
        with pytest.raises(ConnectionClosed) as closed:
            idle.recv(5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1001
        busy.send("free")
        assert busy.recv(5) == '{"said":"busy"}'
        with pytest.raises(ConnectionClosed):
            busy.recv(5)


def test_each_socket_has_a_line_in_the_log_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "voxcli.server.operating.access")
    with echoing() as server:
        with opened(server, PATH + "?api_key=secret"):
            pass
        until(lambda: f"WS {PATH}: 1000 after" in caplog.text)
    assert "secret" not in caplog.text


def test_sockets_leave_no_thread_and_no_task() -> None:
    threads = threading.active_count()
    with echoing() as server:
        with ExitStack() as clients:
            for number in range(20):
                client = clients.enter_context(opened(server))
                if number % 2:
                    client.socket.shutdown(socket.SHUT_RDWR)  # as if it had crashed
        until(lambda: len(server.service.sockets) == 0)
        left: list[int] = []
        server.call(lambda: left.append(len(asyncio.all_tasks())))
        until(lambda: bool(left))
        assert left[0] <= 4
    until(lambda: threading.active_count() <= threads)
