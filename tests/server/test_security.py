"""What a stranger may send without any harm."""

import io
import os
import socket
import tempfile
import wave
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.server.raw import SPEECH, connected
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import silence

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
MOST = 2**20
"""Bytes of an upload."""


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine(slots=8)


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine, max_upload_bytes=MOST, max_clip_seconds=5.0, max_characters=100) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def sent(client: httpx.Client, data: bytes, name: str = "me.wav") -> httpx.Response:
    """Have a clip imitated, by the dialect that takes clips."""
    return client.post("/api/tts", data={"text": "Hello."}, files={"reference_audio": (name, data)})


def wav(seconds: float, sample_rate: int = 16000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, sample_rate, 0, "NONE", ""))
        writer.writeframes(bytes(2 * round(seconds * sample_rate)))
    return file.getvalue()


def test_a_clip_is_taken_up_to_its_limits_and_not_beyond(client: httpx.Client) -> None:
    assert sent(client, wav(4.9)).status_code == 200
    assert sent(client, wav(5.1)).status_code == 400
    assert sent(client, wav(4.0) + bytes(MOST)).status_code == 413


def test_a_small_file_that_unpacks_into_hours_is_refused_while_it_is_unpacked(client: httpx.Client) -> None:
    bomb = b"".join(encoded(iter([silence(1800.0, 8000)]), AudioFormat.FLAC))
    assert len(bomb) < MOST
    assert sent(client, bomb, "bomb.flac").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"ffconcat version 1.0\nfile '{secret}'\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n",
        b"#!AMR\n",
        b"[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{secret}</BaseURL></MPD>",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\na=control:{secret}\n",
        b"<html>not found</html>",
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
        b"",
        os.urandom(4096),
    ],
)
def test_a_file_that_is_no_sound_or_names_other_files_is_refused(
    client: httpx.Client, tmp_path: Path, body: bytes
) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(1.0))
    answer = sent(client, body.replace(b"{secret}", str(secret).encode()), "list.ffconcat")
    assert 400 <= answer.status_code < 500
    assert "secret" not in answer.text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\win.ini", "a/../../b", "%2e%2e%2fx", "."])
@pytest.mark.parametrize("dialect", ["openai", "native", "gpt-sovits"])
def test_the_name_of_a_voice_is_never_a_path(client: httpx.Client, engine: ToneEngine, dialect: str, name: str) -> None:
    before = len(engine.requests)
    if dialect == "openai":
        answer = client.post(SPEECH, json=FIELDS | {"voice": name})
    elif dialect == "native":
        answer = client.post("/api/tts", data={"text": "Hello.", "voice_id": name})
    else:
        fields = {"text": "Hello.", "text_lang": "en", "prompt_lang": "en", "ref_audio_path": name}
        answer = client.post("/tts", json=fields)
    assert answer.status_code in (400, 404, 422)
    assert len(engine.requests) == before
    assert "root:" not in answer.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x.wav", "file:///etc/passwd", "data:audio/wav;base64,AAAA"])
def test_no_address_from_a_client_is_ever_opened(client: httpx.Client, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        address = url.format(port=trap.getsockname()[1])
        for body in (
            FIELDS | {"voice": address},
            FIELDS | {"voice": {"id": address}},
        ):
            assert client.post(SPEECH, json=body).status_code == 400
        fields = {"text": "Hello.", "text_lang": "en", "prompt_lang": "en", "ref_audio_path": address}
        assert client.post("/tts", json=fields).status_code in (400, 404)
        assert client.post("/api/tts", data={"text": "Hello.", "prompt_audio": address}).status_code in (400, 422)
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_body_that_says_it_is_too_large_is_not_even_waited_for(server: Running) -> None:
    with connected(server.url) as client:
        client.send(f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n".encode())
        assert client.read(12).endswith(b" 413")


def test_a_body_that_does_not_say_so_is_read_to_its_limit(client: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10_000:
            sent += 1
            yield b" " * 65536

    with suppress(httpx.TransportError):  # it may still be sending when the door closes
        assert client.post(SPEECH, content=endless(), headers={"content-type": "application/json"}).status_code == 413
    assert sent < 1000


@pytest.mark.parametrize("path", [SPEECH, "/api/tts", "/tts"], ids=["openai", "native", "gpt-sovits"])
def test_a_text_that_is_too_long_is_refused(client: httpx.Client, path: str) -> None:
    text = "a" * 101
    if path == SPEECH:
        answer = client.post(path, json=FIELDS | {"input": text})
    elif path == "/tts":
        fields = {"text": text, "text_lang": "en", "prompt_lang": "en", "ref_audio_path": "nobody"}
        answer = client.post(path, json=fields)
    else:
        answer = client.post(path, data={"text": text})
    assert answer.status_code in (400, 422)
    assert text not in answer.text


def test_a_form_with_very_many_fields_is_refused(client: httpx.Client) -> None:
    assert client.post("/api/tts", data={f"f{number}": "x" for number in range(5000)}).status_code in (400, 413, 422)


def test_json_of_any_depth_is_a_bad_request_at_worst(client: httpx.Client) -> None:
    for body in (b"[" * 100_000, b'{"input":' * 10_000, b'{"input": "\\ud800"}', b"\xff\xfe", b'{"input": 1e999}'):
        answer = client.post(SPEECH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400


def test_uploads_leave_no_files_behind(client: httpx.Client) -> None:
    before = set(Path(tempfile.gettempdir()).iterdir())
    for seconds in (1.0, 4.0, 10.0):
        sent(client, wav(seconds, 48000))
    new = set(Path(tempfile.gettempdir()).iterdir()) - before
    assert not [path for path in new if path.is_file()]


def test_a_client_that_never_sends_its_body_does_not_hold_a_slot(server: Running) -> None:
    with connected(server.url) as client:
        client.send(f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        for _ in range(10):
            assert httpx.post(server.url + SPEECH, json=FIELDS).status_code == 200
        until(lambda: not server.service.admission.used)


def test_an_error_tells_nothing_about_the_machine() -> None:
    class Faulty(ToneEngine):
        def stream(self, request):  # type: ignore[no-untyped-def]
            raise KeyError("/home/somebody/secret")

    with running(Faulty()) as server:
        for answer in (
            httpx.post(server.url + SPEECH, json=FIELDS),
            httpx.post(server.url + "/api/tts", data={"text": "Hello."}),
        ):
            assert answer.status_code == 500
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
            assert "KeyError" not in answer.text


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 999])
def test_what_is_no_http_brings_nobody_down(server: Running, junk: bytes) -> None:
    with connected(server.url) as client:
        client.send(junk)
        client.connection.shutdown(socket.SHUT_WR)
        client.read(10**6)
    assert httpx.get(server.url + "/livez").status_code == 200


def test_many_connections_that_say_nothing_keep_nobody_out(server: Running) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(server.url))
        assert httpx.post(server.url + SPEECH, json=FIELDS).status_code == 200
