"""Private sockets: who can use them, and what stays hidden from all others."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.private.resident import client_of, resident
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.errors import DeviceError
from voxcli.server.private.sockets import PrivateSocket, open_keyed_socket, open_private_socket

SPEECH = "/api/tts/stream"
FIELDS = {"text": "Hello.", "as_is": "true", "format": "f32"}
KEYS = frozenset({"secret"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture(scope="module", params=["unix", "keyed"])
def private(request: pytest.FixtureRequest, folder: Path) -> PrivateSocket:
    return open_private_socket(folder / "a.sock") if request.param == "unix" else open_keyed_socket()


@pytest.fixture(scope="module")
def server(private: PrivateSocket) -> Iterator[Running]:
    with running(ToneEngine(), private=private, keys=KEYS, cors_origins=("*",)) as server:
        yield server


def test_a_private_connection_needs_no_key_of_the_server(server: Running, private: PrivateSocket) -> None:
    with client_of(private) as own:
        assert own.post(SPEECH, data=FIELDS).status_code == 200
        assert own.get("/private/state").status_code == 200
    assert httpx.post(server.url + SPEECH, data=FIELDS).status_code == 401


PRIVATE_PATHS = ("/private", "/private/state", "/private/stop", "/private/errors/x", "/private/none")


@pytest.mark.parametrize("key", ["secret", "wrong"])
def test_a_public_connection_finds_no_private_path(server: Running, key: str) -> None:
    headers = {"authorization": f"Bearer {key}", "x-request-id": "same"}
    with httpx.Client(base_url=server.url, headers=headers) as public:

        def answer(method: str, path: str) -> tuple[int, bytes, list[tuple[str, str]]]:
            response = public.request(method, path)
            told = [pair for pair in response.headers.items() if pair[0] != "date"]
            return response.status_code, response.content, told

        for method in ("GET", "POST", "DELETE"):
            unknown = answer(method, "/nothing/of/the/sort")
            assert [answer(method, path) for path in PRIVATE_PATHS] == [unknown] * len(PRIVATE_PATHS)
        assert "/private" not in public.get("/openapi.json").text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost"},
        {"origin": "null"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"referer": "http://localhost/"},
        {"host": "rebound.example"},
    ],
    ids=str,
)
def test_no_browser_gets_through(server: Running, private: PrivateSocket, headers: dict[str, str]) -> None:
    with client_of(private) as own:
        for answer in (own.get("/private/state", headers=headers), own.post(SPEECH, data=FIELDS, headers=headers)):
            assert answer.status_code in (403, 421)
            assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer secret", "Bearer wrong", "Basic x"])
def test_a_private_port_needs_its_own_key(server: Running, private: PrivateSocket, given: str) -> None:
    if private.path:
        pytest.skip("a Unix socket has none")
    for path in ("/private/state", "/health", "/livez", SPEECH):
        answer = httpx.get(f"http://127.0.0.1:{private.port}{path}", headers={"authorization": given})
        assert answer.status_code == 401
    # A key shows nothing on the public port.
    headers = {"authorization": f"Bearer {private.key}"}
    assert httpx.get(f"{server.url}/private/state", headers=headers).status_code == 401


@pytest.mark.skipif(sys.platform == "win32", reason="has no Unix sockets")
def test_a_socket_belongs_to_its_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_private_socket(tmp_path / "x.sock") as private:
            assert private.path
            assert stat.S_IMODE(private.path.stat().st_mode) == 0o600
        assert not (tmp_path / "x.sock").exists()
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # and never listened to, as after kill -9
    first = open_private_socket(path)
    with pytest.raises(DeviceError, match=r"x\.sock"):
        open_private_socket(path)
    first.close()
    with open_private_socket(path) as second, first:
        first.close()  # once more, which must not remove the file of its successor
        assert second.path == path
        assert path.exists()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    path.write_text("a file")
    with pytest.raises(DeviceError, match=r"x\.sock"):
        open_private_socket(path)
    assert path.read_text() == "a file"


def test_a_path_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="too long"):
        open_private_socket(tmp_path / ("x" * 100))


def test_a_server_for_others_too_waits_for_a_hold_no_longer_than_for_streams(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    private = open_private_socket(tmp_path / "x.sock")
    with running(ToneEngine(), private=private, drain_seconds=0.2) as server, client_of(private) as client:
        with client.stream("POST", "/private/hold") as held:
            until(lambda: len(server.service.holds) == 1)
            server.call(server.host.stop)
            assert held.read() == b""  # ended by the server, and not cut off
        until(lambda: not server.loop.is_running(), 20)
    assert "aborted" not in caplog.text


STRANGER = """
import os, socket
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.connect("x.sock")
try:
    client.sendall(b"GET /private/state HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    print(client.recv(1000))
except ConnectionError:
    print(b"")
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="cannot become another user")
def test_another_user_is_sent_away_even_if_the_modes_let_him_in(tmp_path: Path) -> None:
    with resident(ToneEngine(), tmp_path) as server:
        tmp_path.chmod(0o711)
        for mode, told in ((0o600, None), (0o666, "b''\n")):
            server.path.chmod(mode)
            command = [sys.executable, "-ISc", STRANGER]
            ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert ran.stdout == (told or "")
            assert ("PermissionError" in ran.stderr) == (told is None), ran.stderr
