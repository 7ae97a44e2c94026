"""Caddy and nginx, as the examples set them up: pieces at once, WebSockets, prefixes, and who a client is."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.server.operating.certificates import Authority
from tests.server.raw import SPEECH
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.server.operating.access import Access

FOLDER = Path(__file__).parents[2] / "examples/deploy"
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
pytestmark = pytest.mark.benchmark


def nginx(folder: Path, port: int, upstream: int, prefix: str) -> list[str]:
    text = (FOLDER / "nginx.conf").read_text("utf-8")
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("location /", f"location {prefix}/")
    text = re.sub(r"/etc/ssl/speech.example.com.(pem|key)", rf"{folder}/one.\1", text)
    text = text.replace("127.0.0.1:7861", f"127.0.0.1:{upstream}").replace("speech.example.com", "localhost")
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n{text}}}\n"
    )
    return ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def caddy(folder: Path, port: int, upstream: int, prefix: str) -> list[str]:
    text = (FOLDER / "Caddyfile").read_text("utf-8")
    first, second = re.findall(r"^\S+ \{\n.*?^\}\n", text, re.MULTILINE | re.DOTALL)
    block = (second if prefix else first).replace("127.0.0.1:7861", f"127.0.0.1:{upstream}")
    block = re.sub(r"^\S+ \{", f"https://localhost:{port} {{\n\ttls {folder}/one.pem {folder}/one.key", block)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{block}")
    return ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


@contextmanager
def proxied(
    folder: Path, command: Callable[[Path, int, int, str], list[str]], server: Running, prefix: str
) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Run a proxy in front of a server. Give its address, and what trusts its certificate."""
    authority = Authority(folder)
    authority.issue(folder / "one.pem", folder / "one.key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    upstream = httpx.URL(server.url).port
    assert upstream
    words = command(folder, port, upstream, prefix)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)

    def answers() -> bool:
        assert process.poll() is None, (folder / "output").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(answers)
        yield f"https://localhost:{port}{prefix}", ssl.create_default_context(cafile=str(authority.file))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("prefix", ["", "/speech"])
@pytest.mark.parametrize("command", [nginx, caddy])
def test_a_proxy_passes_on_pieces_sockets_and_who_a_client_is(
    tmp_path: Path, command: Callable[[Path, int, int, str], list[str]], prefix: str
) -> None:
    if not shutil.which(command.__name__):
        pytest.skip(f"needs {command.__name__}")
    engine, seen = ToneEngine(chunks=8, hold_at=2), list[Access]()
    with (
        running(engine, trusted_proxies=("127.0.0.1",), root_path=prefix) as server,
        proxied(tmp_path, command, server, prefix) as (url, trusting),
        httpx.Client(transport=httpx.HTTPTransport(verify=trusting, local_address="127.0.0.2")) as client,
    ):
        server.service.observers.append(seen.append)
        assert client.get(url + "/health").json()["status"] == "healthy"
        assert client.get(url + "/openapi.json").json().get("servers", [{"url": ""}])[0]["url"] == prefix
        with client.stream("POST", url + SPEECH, json=FIELDS) as answer:
            pieces = answer.iter_bytes()
            assert next(pieces)  # while the engine waits
            assert engine.made <= 2
            engine.go.set()
            assert sum(map(len, pieces)) > 0
        with connect(url.replace("https", "wss") + "/v1/audio/speech/stream", ssl=trusting, proxy=None) as websocket:
            websocket.ping().wait(10)
        engine.go.clear()
        with client.stream("POST", url + SPEECH, json=FIELDS) as answer:
            next(answer.iter_bytes())
        engine.go.set()
        assert engine.idle.wait(10)
        assert client.get(url + "/livez", headers={"x-forwarded-for": "6.6.6.6"}).status_code == 200
        until(lambda: len(seen) >= 6)
    clients = {one.client for one in seen if one.method != "WS"}
    assert clients == {"127.0.0.2"}, "a client cannot make itself another"
    assert {one.method for one in seen} == {"GET", "POST", "WS"}
