"""Connections: through the right proxy or none, and a failure in words, at once where waiting changes nothing."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest

from tests.engines.remote.replay import Answer, Asked, Replay, replaying, said, streamed
from tests.engines.remote.sounds import HELLO, SOUND, heard, remote, wav
from voxcli.connections import Proxy, explain_failure, find_proxy
from voxcli.errors import RemoteError, RemoteRefused

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def sound(asked: Asked) -> Answer:
    return streamed([wav(SOUND)])


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://box:8000", {}, None),
        ("http://box:8000", {"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("http://box:8000", {"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("http://box:8000", {"HTTPS_PROXY": "http://proxy:3128"}, None),
        ("https://box", {"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("https://box", {"ALL_PROXY": "socks5://proxy:1080"}, "socks5://proxy:1080"),
        ("https://box", {"ALL_PROXY": "socks://proxy:1080/"}, "socks5://proxy:1080/"),
        ("http://box:8000", {"HTTP_PROXY": "http://me:secret@proxy:1"}, "http://me:secret@proxy:1"),
        ("http://box:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "box"}, None),
        ("http://a.box:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "x, .box"}, None),
        ("http://a.box:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "*.box"}, None),
        ("http://box:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "box:8000"}, None),
        ("http://box:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "box:80"}, "http://proxy:1"),
        ("http://10.1.2.3:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://[fd00::1]:8000", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "[fd00::1]:8000"}, None),
        ("http://11.1.2.3", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8"}, "http://proxy:1"),
        ("http://box", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ("http://localhost:1", {"ALL_PROXY": "http://proxy:1"}, None),
        ("http://voice.localhost:1", {"ALL_PROXY": "http://proxy:1"}, None),
        ("http://127.8.8.8:1", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://[::1]:1", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://0.0.0.0:1", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://localhost:1", {"ALL_PROXY": "nonsense://here"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    url: str, environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = find_proxy(url)
    assert (found and found.url) == proxy


@pytest.mark.parametrize(
    "value", ["nonsense://here", "http://", "http://a b", "http://box:port", "socks4://x:1", "://"]
)
def test_a_setting_that_is_no_proxy_is_a_sentence(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(RemoteError, match=r"ALL_PROXY.*unset it"):
        find_proxy("http://box")
    with pytest.raises(RemoteError, match="ALL_PROXY"):
        remote("http://box")


def test_the_password_of_a_proxy_is_not_shown() -> None:
    assert str(Proxy("http://me:secret@proxy:1", "HTTP_PROXY")) == "http://…@proxy:1 (set in HTTP_PROXY)"


def test_this_machine_is_reached_past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", "nonsense://here")
    with replaying(sound) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)


def test_a_server_elsewhere_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with replaying(sound) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert np.array_equal(heard(remote("http://box.test:8000")), SOUND)
        assert proxy.of("POST")[0].path == "http://box.test:8000/v1/audio/speech"


def test_a_socks_proxy_is_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with replaying(sound) as server, socks_proxy(server) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{port}")
        assert np.array_equal(heard(remote("http://box.test:8000")), SOUND)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there_is_named_and_tried_once(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    proxy = f"{scheme}://127.0.0.1:{free_port()}"
    monkeypatch.setenv("ALL_PROXY", proxy)
    with closing(remote("http://box.test:8000")) as engine, pytest.raises(RemoteError) as caught:
        next(engine.stream(HELLO))
    assert f"through the proxy {proxy} (set in ALL_PROXY): nothing listens on that port" in str(caught.value)
    assert "NO_PROXY" in caught.value.for_command_line
    assert "Trying again" not in caplog.text


def test_a_refusal_of_the_proxy_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with replaying(lambda asked: said({"error": "no such host"}, 403)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with closing(remote("http://box.test:8000")) as engine, pytest.raises(RemoteRefused, match=proxy.url):
            next(engine.stream(HELLO))


@pytest.mark.parametrize("url", ["http://nowhere.invalid:8000", "https://nowhere.invalid"])
def test_a_host_that_is_not_there_is_named_at_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(remote(url)) as engine, pytest.raises(RemoteError, match=r"nowhere\.invalid") as caught:
        next(engine.stream(HELLO))
    assert "Errno" not in str(caught.value)
    assert "Trying again" not in caplog.text


def test_a_port_where_nothing_listens_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with closing(remote(url)) as engine, pytest.raises(RemoteError, match=f"Cannot reach {url}: nothing listens"):
        next(engine.stream(HELLO))
    assert "Trying again" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", r"does not speak TLS\. Write http://"),
        (b"", r"instead of beginning TLS\. Perhaps it needs http://"),
    ],
)
def test_tls_where_none_is_spoken_is_told_at_once(answer: bytes, words: str, caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with closing(remote(url)) as engine, pytest.raises(RemoteError, match=words):
        next(engine.stream(HELLO))
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)
    assert not thread.is_alive()
    assert "Trying again" not in caplog.text


@pytest.mark.parametrize(
    ("code", "words"),
    [(10, "has expired"), (18, "is self-signed"), (20, "unknown authority"), (62, "belongs to another host"), (3, "x")],
)
def test_a_certificate_that_is_not_trusted_says_why(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)")
    error.verify_code, error.verify_message = code, "x y"
    failure = explain_failure(error, "box")
    assert failure.is_final
    assert words in failure.reason
    assert failure.advice
    assert "_ssl.c" not in failure.reason


def test_a_server_that_is_started_again_is_waited_for() -> None:
    """It has been there before, so that it may come back."""
    first = Replay(lambda asked: Answer(sound(asked).pieces, hang_up=True))
    port = int(first.url.rpartition(":")[2])
    late: list[Replay] = []

    class Starter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert "Trying again" in record.getMessage()
            if not late:
                late.append(Replay(sound, port))

    logger, starter = logging.getLogger("voxcli.backoff"), Starter()
    logger.addHandler(starter)
    try:
        with closing(remote(first.url)) as engine:
            assert sum(len(chunk.samples) for chunk in engine.stream(HELLO)) == len(SOUND)
            first.close()
            assert sum(len(chunk.samples) for chunk in engine.stream(HELLO)) == len(SOUND)
    finally:
        logger.removeHandler(starter)
        for replay in late:
            replay.close()
    assert late


@contextmanager
def socks_proxy(server: Replay) -> Iterator[int]:
    """A SOCKS5 proxy (RFC 1928) that connects to one server, whatever host it is asked for."""
    listener = socket.create_server(("127.0.0.1", 0))
    target = ("127.0.0.1", int(server.url.rpartition(":")[2]))

    def serve() -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            with client, socket.create_connection(target) as upstream:
                client.recv(1 + 1 + 255)
                client.sendall(b"\x05\x00")
                client.recv(512)
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                back = threading.Thread(target=_copy, args=(upstream, client))
                back.start()
                _copy(client, upstream)
                back.join(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
