"""`voxcli serve` as a user runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import typer

from tests.engines.remote.replay import posts, replaying, streamed
from tests.engines.remote.sounds import GPT_SOVITS, VOXCPM, tone, wav
from tests.program import Run, said, started
from tests.server.language_model import language_model, writing
from tests.server.raw import SPEECH, asked, connected
from tests.server.tone import until
from voxcli.cli.commands.serve.protocols import WyomingAddress, WyomingOptions
from voxcli.installation import install_command

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "wav"}
LONG = "This sentence is said again and again, until everybody has heard it. " * 50


class Served:
    """A server that answers, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.process = process
        self.words = ""
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._listening.wait(seconds), self.words
        found = re.search(r"http://\S+:\d+", self.words)
        assert found, self.words
        self.url = found[0]

    def end(self, seconds: float = 20.0) -> tuple[int, str]:
        """Wait for its end. Return its exit code and all its words."""
        code = self.process.wait(seconds)
        self._reader.join()
        return code, self.words

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.words += line.decode()
            if b"listening" in line:
                self._listening.set()
        self._listening.set()


@contextmanager
def served(environment: dict[str, str], *arguments: str, seconds: float = 30.0) -> Iterator[Served]:
    command = [sys.executable, "-m", "voxcli", "serve", "--port", "0", *arguments]
    with started(command, environment) as process:
        server = Served(process, seconds)
        yield server


def test_it_says_where_it_is_and_whom_it_lets_in(environment: dict[str, str], tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf "$1" >{opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    with served({**environment, "BROWSER": f"{browser} %s"}, "--open") as server:
        until(lambda: "ready" in server.words)
        until(opened.exists)
        assert opened.read_text() == f"{server.url}/"
        assert httpx.post(server.url + SPEECH, json=FIELDS).content[:4] == b"RIFF"
        assert httpx.post(server.url + "/mcp", json={}).json()["jsonrpc"] == "2.0"
        server.process.send_signal(signal.SIGINT)
        code, words = server.end()
    assert code == 0
    assert "/docs" in words
    assert "no API key required" in words
    assert "espeak is ready" in words
    assert "Traceback" not in words


def test_it_can_be_quiet(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "voxcli", "serve", "--quiet", "--port", str(port)]
    with started(command, environment) as process:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
            except httpx.ConnectError:
                return False

        until(answers, 30)
        process.terminate()
        assert process.wait(20) == 0
        assert process.stderr
        assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_streams_come_to_their_end_and_no_new_ones_in(
    environment: dict[str, str], number: signal.Signals
) -> None:
    with served(environment) as server:
        until(lambda: "ready" in server.words)
        # The pipe from engine to client is full long before the end of this text.
        with asked(server.url, input=LONG, response_format="wav", window=65536) as client:
            client.read(10_000)
            server.process.send_signal(number)
            until(lambda: "stopping" in server.words)
            until(lambda: httpx.get(server.url + "/readyz").status_code == 503)
            refused = httpx.post(server.url + SPEECH, json=FIELDS)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            assert int(refused.headers["retry-after"]) >= 1
            assert server.process.poll() is None
            answer = client.read(10**9)
        assert answer.endswith(b"0\r\n\r\n")
        code, words = server.end()
    assert code == 0
    assert "Traceback" not in words


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_it_at_once(environment: dict[str, str], number: signal.Signals, code: int) -> None:
    with served(environment) as server, asked(server.url, input=LONG, response_format="wav", window=4096) as client:
        client.read(1000)
        server.process.send_signal(number)
        until(lambda: "stopping" in server.words)
        server.process.send_signal(number)
        assert server.end()[0] == code


def test_it_keeps_to_itself_unless_there_are_keys_or_one_insists(run: Run, tmp_path: Path) -> None:
    done = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "--api-key-file" in said(done)
    assert "--insecure" in said(done)
    (tmp_path / "keys").write_text("# nobody\n\n")
    done = run("serve", "--host", "0.0.0.0", "--port", "0", "--api-key-file", "keys")
    assert done.returncode == 2
    assert "contains no key" in said(done)


def test_keys_open_it(environment: dict[str, str], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# two friends\nopen-sesame\n\nanother\n")
    keys.chmod(0o644)
    with served(environment, "--host", "0.0.0.0", "--api-key-file", str(keys)) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(url + "/v1/models").status_code == 401
        for key in ("open-sesame", "another"):
            assert httpx.get(url + "/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        server.process.terminate()
        code, words = server.end()
    assert code == 0
    assert "2 API keys accepted" in words
    assert "chmod 600" in words
    assert "sesame" not in words


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--trust-proxy", "localhost", "no IP address or network"),
        ("--trust-proxy", "10.0.0.0/33", "no IP address or network"),
        ("--root-path", "speech", "no path such as"),
        ("--root-path", "/a b", "no path such as"),
        ("--receive-seconds", "0", "--receive-seconds"),
    ],
)
def test_what_cannot_be_trusted_or_waited_for_is_said(run: Run, option: str, value: str, message: str) -> None:
    result = run("serve", option, value)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.decode().replace("│", " ").split())


def test_behind_a_proxy_it_knows_its_prefix_and_its_clients(environment: dict[str, str]) -> None:
    arguments = ["--trust-proxy", "127.0.0.1, 10.0.0.0/8", "--root-path", "/speech", "--receive-seconds", "0.5"]
    with served(environment, "--verbose", "--lazy", *arguments) as server:
        answer = httpx.get(server.url + "/speech/openapi.json", headers={"x-forwarded-for": "1.2.3.4, 10.1.1.1"})
        assert answer.json()["servers"] == [{"url": "/speech"}]
        with connected(server.url) as client:
            assert client.read(1) == b""
        server.process.send_signal(signal.SIGINT)
        assert " 1.2.3.4 GET /openapi.json: 200" in server.end()[1]


def test_a_port_that_is_taken_is_not_fought_for(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 5
    assert "--port" in said(done)


def test_a_model_that_is_not_there_is_missed_at_once_even_if_it_is_to_be_loaded_later(run: Run) -> None:
    done = run("serve", "--port", "0", "--model", "voxcpm-1.5", "--lazy")
    assert done.returncode == 3
    assert "voxcli models pull" in said(done)


def test_without_its_libraries_it_says_how_to_get_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'fastapi':\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    done = run("serve", env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])})
    assert done.returncode == 3
    assert f"Run: {install_command('serve')}" in said(done)


def test_a_model_is_loaded_when_it_is_first_needed(environment: dict[str, str]) -> None:
    with served(environment, "--lazy", "--idle-seconds", "0.1") as server:
        assert httpx.get(server.url + "/readyz").json() == {"status": "asleep"}
        assert httpx.post(server.url + SPEECH, json=FIELDS).status_code == 200
        until(lambda: httpx.get(server.url + "/readyz").json() == {"status": "asleep"})
        server.process.terminate()
        assert server.end()[0] == 0


def test_it_tells_everything_but_what_is_said(environment: dict[str, str]) -> None:
    with served(environment, "--verbose") as server:
        # The built-in voice warns of the characters of the second text, the reader of marks of an unknown one.
        for text in ("Zaphod.", "\u6771\u4eac\u306b\u3044\u304f", "[zarniwoop] Hello."):
            assert httpx.post(server.url + SPEECH, json=FIELDS | {"input": text}).status_code == 200
        assert httpx.get(server.url + "/tts", params={"text": "Zaphod."}).status_code == 400
        server.process.terminate()
        code, words = server.end()
    assert code == 0
    assert "POST /v1/audio/speech: 200" in words
    assert "GET /tts: 400" in words
    assert "Zaphod" not in words
    assert "zarniwoop" not in words
    assert "\u6771" not in words


def test_a_gateway_passes_on_what_another_server_says(environment: dict[str, str]) -> None:
    with served(environment) as behind, served(environment, "--remote", behind.url) as gateway:
        until(lambda: "ready" in gateway.words)
        through = httpx.post(gateway.url + SPEECH, json=FIELDS, timeout=20)
        direct = httpx.post(behind.url + SPEECH, json=FIELDS, timeout=20)
        assert through.status_code == direct.status_code == 200
        assert len(through.content) == pytest.approx(len(direct.content), rel=0.1)  # eSpeak breathes as it likes
        assert behind.url not in httpx.get(gateway.url + "/v1/models").text
        for server in (gateway, behind):
            server.process.terminate()
            assert server.end()[0] == 0


def test_a_gateway_to_gpt_sovits_speaks_like_a_recording_over_there(environment: dict[str, str]) -> None:
    recording = ("--ref-audio", "/on/it/ref.wav", "--ref-text", "Its words.", "--ref-lang", "en")
    with replaying(posts(lambda asked: streamed([wav(tone())]), GPT_SOVITS)) as behind:
        with served(environment, "--remote", behind.url, *recording) as gateway:
            until(lambda: "ready" in gateway.words)
            httpx.post(gateway.url + SPEECH, json=FIELDS, timeout=20).raise_for_status()
            httpx.post(gateway.url + "/api/tts", data={"text": "Hello."}, timeout=20).raise_for_status()
        first, second = (asked.json for asked in behind.of("POST"))
        assert "--ref-audio" not in gateway.words
    for fields in (first, second):
        assert fields["ref_audio_path"] == "/on/it/ref.wav"
        assert (fields["prompt_text"], fields["prompt_lang"]) == ("Its words.", "en")


def test_a_gateway_to_gpt_sovits_asks_for_a_recording(environment: dict[str, str]) -> None:
    with replaying(posts(lambda asked: streamed([wav(tone())]), GPT_SOVITS)) as behind:
        with served(environment, "--remote", behind.url) as gateway:
            until(lambda: "--ref-audio" in gateway.words)
            assert httpx.post(gateway.url + SPEECH, json=FIELDS, timeout=20).status_code == 400
        assert not behind.of("POST")


@pytest.mark.parametrize("option", ["--ref-audio", "--ref-text", "--ref-lang"])
def test_no_other_engine_reads_recordings_of_its_own(run: Run, option: str) -> None:
    with replaying(posts(lambda asked: streamed([wav(tone())]), VOXCPM)) as behind:
        for engine in (("--remote", behind.url), ("--model", "espeak")):
            done = run("serve", "--port", "0", *engine, option, "x")
            assert done.returncode == 2
            assert option in said(done)


def test_it_chats_with_a_language_model_and_its_key(environment: dict[str, str], run: Run) -> None:
    with language_model(writing("Hello."), ("nomic-embed", "small")) as stub:
        assert run("keys", "set", stub.url, stdin=b"sk-secret\n").returncode == 0
        with served(environment, "--llm", stub.url.removeprefix("http://").removesuffix("/v1")) as server:
            until(lambda: "ready" in server.words)
            answer = httpx.post(server.url + "/api/chat", json={"message": "Hi"}, timeout=20)
            server.process.terminate()
            _, words = server.end()
    assert f"chats with small at {stub.url}" in words
    assert '"audio_complete"' in answer.text
    assert stub.exchanges[0].headers["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in words


def test_a_language_model_that_is_not_there_is_a_warning(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
    with served(environment, "--llm", url) as server:
        until(lambda: "ready" in server.words)
        server.process.terminate()
        code, words = server.end()
    assert code == 0
    assert f"The language model at {url} cannot be reached" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--llm", "ftp://box"), "Not the address of a server"),
        (("--llm", "http://user:pw@box/v1"), "Do not put a key or a password into an address"),
        (("--llm-model", "small"), "Only for a language model"),
    ],
)
def test_a_language_model_is_named_by_its_address(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run("serve", *arguments)
    assert done.returncode == 2
    assert words in " ".join(said(done).split())


def test_it_speaks_wyoming_beside_http(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with served(environment, "--wyoming", f"unix://{path}") as server:
        until(lambda: "ready" in server.words)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(path))
            connection.sendall(b'{"type": "synthesize", "data": {"text": "Hello."}}\n')
            answer = b""
            while b'"audio-stop"' not in answer and (data := connection.recv(65536)):
                answer += data
        server.process.terminate()
        code, words = server.end()
    assert code == 0
    assert f"Wyoming for Home Assistant at unix://{path}" in words
    assert answer.startswith(b'{"type": "audio-start"')
    assert b'"audio-stop"' in answer
    assert not path.exists()


def test_wyoming_stays_on_this_machine_unless_one_insists(run: Run) -> None:
    done = run("serve", "--wyoming", "0.0.0.0:10200")
    assert done.returncode == 2
    assert "Wyoming has no API keys. Choose 127.0.0.1:10200, or allow it" in " ".join(said(done).split())
    everywhere = WyomingOptions(wyoming="0.0.0.0:10200", wyoming_insecure=True)
    assert everywhere.to_address(insecure=False) == WyomingAddress("0.0.0.0")
    assert WyomingOptions(wyoming="box:1").to_address(insecure=True) == WyomingAddress("box", 1)


@pytest.mark.parametrize("written", ["unix://relative", "http://box:1", "box:99999", "", ":", "a b:1", "user@box:1"])
def test_what_is_no_address_of_wyoming_is_refused(written: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no a"):
        WyomingOptions(wyoming=written).to_address(insecure=True)


def test_the_permission_alone_opens_nothing() -> None:
    with pytest.raises(typer.BadParameter, match="Name an address with --wyoming"):
        WyomingOptions(wyoming_insecure=True).to_address(insecure=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10300", WyomingAddress(port=10300)),
        ("127.0.0.1:0", WyomingAddress(port=0)),
        ("tcp://localhost", WyomingAddress("localhost")),
        ("tcp://[::1]:7", WyomingAddress("::1", 7)),
        ("unix:///run/a b.sock", WyomingAddress(path=Path("/run/a b.sock"))),
    ],
)
def test_the_address_of_wyoming_has_a_usual_port(written: str, read: WyomingAddress) -> None:
    assert WyomingAddress.of(written) == read
