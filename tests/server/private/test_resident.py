"""A resident engine: what its clients get, what they are told, and what is left of them."""

import gc
import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings

import voxcli
from tests.protocols.test_voxcpm import requests
from tests.server.private.resident import HELLO, SPEECH, Resident, client_of, connected, resident, speak
from tests.server.test_chaos import held
from tests.server.tone import ToneEngine, until
from voxcli.errors import ModelError, NotFound, RequestError, VoxError
from voxcli.protocols.voxcpm.exact import exact_form
from voxcli.server.private.clips import ClipStore
from voxcli.synthesis.request import Clip, Prompt, Speech, SynthesisRequest, Voice

HEAD = "POST /api/tts/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def server(engine: ToneEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resident]:
    with resident(engine, tmp_path_factory.mktemp("s"), about={"folder": "/models/tone"}) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Resident) -> Iterator[httpx.Client]:
    with client_of(server.path) as client:
        yield client


def without_names(request: SynthesisRequest) -> SynthesisRequest:
    """Leave out the names of clips, which are for messages."""
    voice = request.voice
    reference = voice.reference and Clip(voice.reference.data)
    prompt = voice.prompt and Prompt(Clip(voice.prompt.clip.data), voice.prompt.transcript)
    return replace(request, voice=replace(voice, reference=reference, prompt=prompt))


@settings(max_examples=25)
@given(spoken=requests)
def test_every_request_reaches_the_engine_exactly(
    client: httpx.Client, engine: ToneEngine, spoken: SynthesisRequest
) -> None:
    answer = speak(client, spoken)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/x-f32le; rate=16000"
    asked = engine.requests[-1]
    assert without_names(asked) == without_names(spoken)
    assert asked.text_language == spoken.text_language
    assert answer.content == engine.sound(asked).astype("<f4").tobytes()


def test_texts_are_as_long_as_memory_allows(client: httpx.Client, engine: ToneEngine) -> None:
    long = "词 " * 700_000
    voice = Voice(style=long, prompt=Prompt(Clip(b"x"), long))
    assert speak(client, SynthesisRequest(text=long, voice=voice, language=long)).status_code == 200
    assert engine.requests[-1].text == long
    assert engine.requests[-1].voice.style == long


def test_an_engine_that_makes_no_sound_is_no_error(tmp_path: Path) -> None:
    with resident(ToneEngine(chunks=0), tmp_path) as server, client_of(server.path) as client:
        answer = speak(client, HELLO)
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_clip_is_sent_once(client: httpx.Client, engine: ToneEngine) -> None:
    clip = Clip(b"recorded", "anna.wav")
    reference = f"sha256:{hashlib.sha256(clip.data).hexdigest()}"
    form = exact_form(HELLO)[0]
    for field in ("reference_audio", "prompt_audio"):
        unknown = client.post(SPEECH, data={**form, field: reference})
        assert unknown.status_code == 409
        assert unknown.json()["error"] | {"message": ""} == {
            "kind": None,
            "message": "",
            "on_command_line": "",
            "code": "unknown_clip",
            "field": field,
        }
    speak(client, replace(HELLO, voice=Voice(reference=clip)))
    named = client.post(SPEECH, data={**form, "reference_audio": f"{reference} bert.wav", "prompt_audio": reference})
    assert named.status_code == 200
    voice = Voice(reference=Clip(clip.data, "bert.wav"), prompt=Prompt(clip, ""))
    assert engine.requests[-1] == replace(HELLO, voice=voice)


def test_nothing_that_is_sent_is_written_to_disk(
    client: httpx.Client, engine: ToneEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**settings: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    clip = Clip(bytes(3 << 20), "long.wav")
    assert speak(client, replace(HELLO, voice=Voice(reference=clip))).status_code == 200
    assert engine.requests[-1].voice.reference == clip


@pytest.mark.parametrize(
    "error",
    [
        RequestError("It cannot sing.", on_command_line="Leave out --sing."),
        NotFound("There is no voice 'x'.", on_command_line="See: voxcli voices"),
        ModelError("It broke."),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("fail_at", [0, 2], ids=["before-the-sound", "after-it"])
def test_an_error_is_told_as_the_engine_raised_it(tmp_path: Path, error: VoxError, fail_at: int) -> None:
    with (
        resident(ToneEngine(fail_at=fail_at, error=error), tmp_path) as server,
        client_of(server.path) as client,
        client_of(server.path) as other,
    ):
        if fail_at:
            with pytest.raises(httpx.RemoteProtocolError):
                speak(client, HELLO, x_request_id="one")
            told = other.get("/private/errors/one").json()
            assert other.get("/private/errors/one").status_code == 404
        else:
            told = speak(client, HELLO).json()["error"]
    assert (told["kind"], told["message"]) == (type(error).__name__, str(error))
    assert f"{told['message']} {told['on_command_line']}".strip() == error.for_command_line


def test_a_fault_of_the_program_is_told_with_its_kind(tmp_path: Path) -> None:
    class Faulty(ToneEngine):
        def stream(self, request: SynthesisRequest) -> Speech:
            raise ZeroDivisionError("of a bug")
            yield

    with resident(Faulty(), tmp_path) as server, client_of(server.path) as client:
        answer = speak(client, HELLO)
    assert answer.status_code == 500
    assert answer.json()["error"]["kind"] is None
    assert answer.json()["error"]["message"] == "ZeroDivisionError: of a bug"


def test_the_state_tells_what_it_is_and_does(tmp_path: Path) -> None:
    engine = ToneEngine(slots=1, hold_at=1)
    with (
        resident(engine, tmp_path, about={"folder": "/m", "identity": {"threads": 2}}) as server,
        client_of(server.path) as client,
        client_of(server.path) as speaking,
    ):
        before = client.get("/private/state").json()
        form = exact_form(HELLO)[0]
        with speaking.stream("POST", SPEECH, data=form, headers={"x-voxcli-keep-alive": "90"}) as answer:
            during = client.get("/private/state").json()
            engine.go.set()
            answer.read()
        until(lambda: not server.service.admission.used)
        after = client.get("/private/state").json()
    assert before["folder"] == "/m"
    assert before["identity"] == {"threads": 2}
    assert before["version"] == voxcli.__version__
    assert (before["model"], before["state"], before["serves"]) == ("tone", "ready", None)
    assert (before["keep_alive"], before["remaining_seconds"]) == (-1, -1)
    assert before["memory_bytes"] > 10**6
    assert before["sample_rate"] is None
    assert before["abilities"]["tags"] == []
    assert (during["streams"], during["idle_seconds"], during["keep_alive"]) == (1, 0, 90)
    assert after["streams"] == 0
    assert 80 < after["remaining_seconds"] <= 90


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/private/keep-alive", {}),
        ("/private/keep-alive", {"seconds": "long"}),
        ("/private/keep-alive", {"seconds": -2}),
        ("/private/stop", {"now": "perhaps"}),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    client: httpx.Client, server: Resident, path: str, body: dict[str, object]
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["kind"] == "RequestError"
    state = client.get("/private/state").json()
    assert (state["keep_alive"], state["state"]) == (-1, "ready")


@pytest.mark.parametrize("header", ["soon", "nan", "inf", ""])
def test_a_keep_alive_that_is_no_number_is_refused(client: httpx.Client, header: str) -> None:
    assert speak(client, HELLO, x_voxcli_keep_alive=header).status_code == 400


def request_of(request: SynthesisRequest) -> bytes:
    body = urlencode(exact_form(request)[0])
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("when", ["queued", "before-the-sound", "speaking", "unread"])
def test_a_client_that_closes_its_socket_is_gone_at_once(tmp_path: Path, when: str) -> None:
    """The engine holds still, so that no write can tell: the system has to."""
    engine = ToneEngine(slots=1, hold_at={"speaking": 2, "unread": 2}.get(when, 0), chunks=10**6)
    with resident(engine, tmp_path) as server:
        first = connected(server.path)
        first.sendall(request_of(HELLO))
        until(lambda: engine.running == 1)
        leaving = first
        if when == "queued":
            leaving = connected(server.path)
            leaving.sendall(request_of(SynthesisRequest(text="Never mind.")))
            until(lambda: server.service.admission.depth == 1)
        if when == "speaking":
            while len(first.recv(1 << 20)) < 1000:
                pass
        leaving.close()
        if when == "queued":
            until(lambda: server.service.admission.depth == 0)
            first.close()
        watchers = server.service._watchers
        until(lambda: all(watcher._gone.done() for watcher in list(watchers)))
        made = engine.made
        engine.go.set()
        assert engine.idle.wait(10)
        until(lambda: not server.service.admission.used)
        assert engine.made - made <= 1
    assert [request.text for request in engine.requests] == ["Hello."]


def test_a_client_that_only_stops_sending_gets_its_answer(tmp_path: Path) -> None:
    engine = ToneEngine(hold_at=1)
    with resident(engine, tmp_path) as server, connected(server.path) as client:
        client.sendall(request_of(HELLO).replace(b"Host", b"Connection: close\r\nHost"))
        client.shutdown(socket.SHUT_WR)
        until(lambda: engine.running == 1)
        engine.go.set()
        received = b""
        while data := client.recv(1 << 16):
            received += data
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"0\r\n\r\n")


def test_a_thousand_calls_leave_nothing_behind(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=1, chunk_seconds=0.04)
    with resident(engine, tmp_path) as server, client_of(server.path) as client:
        server.service.clips = ClipStore(1 << 20)

        def call(number: int) -> None:
            clip = Clip(bytes(1 << 17) + str(number).encode(), "a.wav") if number % 10 == 0 else None
            if number % 10 == 9:
                with connected(server.path) as leaving:
                    leaving.sendall(request_of(HELLO))
                    leaving.recv(1)
            else:
                speak(client, replace(HELLO, voice=Voice(reference=clip)), x_request_id=f"r{number}").raise_for_status()
                engine.requests.clear()

        for number in range(150):  # until as many clips are kept as may be
            call(number)
        until(lambda: not server.service.admission.used)
        gc.collect()
        before = held()
        for number in range(150, 1150):
            call(number)
        until(lambda: not server.service.admission.used)
        gc.collect()
        threads, files, memory = (after - start for after, start in zip(held(), before, strict=True))
        assert 1 << 19 < server.service.clips.used_bytes <= 1 << 20
    assert threads <= 1
    assert files <= 2
    assert memory < 10e6


CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(sys.stdin.buffer.read())
client.recv(1 << 20)
print(flush=True)
while client.recv(1 << 20):
    pass
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["reading", "stopped-first"])
def test_a_client_that_is_killed_frees_its_slot_within_a_chunk(tmp_path: Path, stopped: bool) -> None:
    engine = ToneEngine(slots=1, chunks=10**6, pace=0.5)
    with resident(engine, tmp_path) as server:
        command = [sys.executable, "-ISc", CLIENT, str(server.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.stdin
            assert client.stdout
            client.stdin.write(request_of(HELLO))
            client.stdin.close()
            client.stdout.readline()
            if stopped:  # with samples that it has not read
                client.send_signal(signal.SIGSTOP)
                made = engine.made
                until(lambda: engine.made > made + 1)
            client.kill()
            client.wait()
            made = engine.made
            assert engine.idle.wait(10)
        until(lambda: not server.service.admission.used)
        assert engine.made - made <= 2
