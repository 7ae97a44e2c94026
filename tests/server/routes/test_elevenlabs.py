"""ElevenLabs' sockets: what its own package, LiveKit's and Pipecat's clients send, and what they get."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from voxcli.audio.decode import decode

TEXT = "Hello there, you. The second one."
SINGLE = "/v1/text-to-speech/tone/stream-input?output_format=pcm_16000"
MULTI = "/v1/text-to-speech/tone/multi-stream-input?output_format=pcm_16000&auto_mode=true"
FIRST = {"text": " ", "voice_settings": {"stability": 0.5, "speed": 1.0}, "generation_config": {}}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(slots=4), knows_voice=lambda name: name == "tone") as server:
        yield server


class Client:
    """One socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.socket.send(json.dumps(message))

    def until_final(self, context: str | None = None) -> list[dict[str, Any]]:
        got = []
        while True:
            got.append(json.loads(self.socket.recv(10)))
            if got[-1].get("isFinal") and got[-1].get("contextId") == context:
                return got

    def until_closed(self) -> tuple[list[dict[str, Any]], int]:
        got = []
        try:
            while True:
                got.append(json.loads(self.socket.recv(10)))
        except ConnectionClosed as closed:
            return got, closed.rcvd.code if closed.rcvd else 0


@contextmanager
def talking(server: Running, path: str = SINGLE) -> Iterator[Client]:
    with connect(server.url.replace("http", "ws") + path, proxy=None) as socket:
        yield Client(socket)


def audio_of(messages: list[dict[str, Any]], context: str | None = None) -> bytes:
    ours = [message for message in messages if message.get("contextId") == context]
    return b"".join(base64.b64decode(message["audio"]) for message in ours if message.get("audio"))


def characters_of(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the characters with the milliseconds at which they are heard, as Pipecat adds them up."""
    heard, passed = [], 0
    for message in messages:
        if alignment := message.get("alignment"):
            starts, durations = alignment["charStartTimesMs"], alignment["charDurationsMs"]
            heard += [(one, passed + start) for one, start in zip(alignment["chars"], starts, strict=True)]
            passed += starts[-1] + durations[-1]
    return heard


def over_http(server: Running, text: str = TEXT, **more: Any) -> bytes:
    fields = {"input": text, "voice": "tone", "response_format": "pcm", "sample_rate": 16000, **more}
    return httpx.post(f"{server.url}/v1/audio/speech", json=fields).content


@pytest.mark.parametrize("cut", [1, 6, 100])
def test_a_text_in_pieces_sounds_as_over_http_and_the_socket_is_closed(server: Running, cut: int) -> None:
    pieces = [TEXT[at : at + cut] for at in range(0, len(TEXT), cut)]
    with talking(server) as client:
        client.send(FIRST, *({"text": piece, "try_trigger_generation": True} for piece in pieces), {"text": ""})
        got, code = client.until_closed()
    assert code == 1000
    assert audio_of(got) == over_http(server)
    assert got[-1] == {"audio": None, "alignment": None, "normalizedAlignment": None, "isFinal": True}


def test_every_character_is_told_once_in_order_at_the_time_of_its_sentence(server: Running) -> None:
    with talking(server) as client:
        client.send(FIRST, {"text": TEXT + " 你好，世界。"}, {"text": ""})
        heard = characters_of(client.until_closed()[0])
    assert "".join(character for character, _ in heard) == TEXT + " 你好，世界。"
    times = [at for _, at in heard]
    assert times == sorted(times)
    assert times[0] == 0
    for sentence, begins in (("The", 400), ("你", 800)):
        at = "".join(character for character, _ in heard).index(sentence)
        assert times[at] == pytest.approx(begins, abs=90)  # one chunk is 80 ms


def test_speech_starts_before_the_text_ends_and_a_flush_speaks_what_is_incomplete(server: Running) -> None:
    with talking(server) as client:
        client.send(FIRST, {"text": "Hello there", "flush": True})
        assert json.loads(client.socket.recv(10))["audio"]
        client.send({"text": ", you."}, {"text": ""})
        assert client.until_closed()[1] == 1000


def test_contexts_share_a_socket_and_each_is_spoken_whole(server: Running) -> None:
    with talking(server, MULTI) as client:
        for name in "ab":
            client.send({**FIRST, "context_id": name})
        for piece in ("Hello there, you. ", "The second one."):
            client.send({"text": piece, "context_id": "a"}, {"text": piece, "context_id": "b", "flush": False})
        for name in "ab":
            client.send({"text": "", "context_id": name, "flush": True}, {"close_context": True, "context_id": name})
        got = client.until_final("a")
        if not any(message.get("isFinal") and message["contextId"] == "b" for message in got):
            got += client.until_final("b")
        client.send({"text": "", "context_id": "c"}, {**FIRST, "context_id": "a"})
        client.send({"text": TEXT, "context_id": "a", "flush": True}, {"close_context": True, "context_id": "a"})
        again = client.until_final("a")
        client.send({"close_socket": True})
        assert client.until_closed() == ([], 1000)
    assert audio_of(got, "a") == audio_of(got, "b") == audio_of(again, "a") == over_http(server)


def test_closing_a_context_that_was_not_flushed_interrupts_it() -> None:
    engine = ToneEngine(slots=1, chunks=500, pace=1.0)
    with running(engine, knows_voice=lambda name: name == "tone") as server, talking(server, MULTI) as client:
        client.send({"text": TEXT + " And more of it.", "context_id": "a"})
        assert json.loads(client.socket.recv(10))["contextId"] == "a"
        client.send({"close_context": True, "context_id": "a"})
        assert len(audio_of(client.until_final("a"), "a")) < 2 * 16000 * 20
        client.send({"text": "Another.", "context_id": "b", "flush": True})
        assert json.loads(client.socket.recv(10))["contextId"] == "b"
    assert [request.text for request in engine.requests] == ["Hello there, you.", "Another."]


@pytest.mark.parametrize("format", ["mp3_44100_128", "mp3_22050_32", "pcm_24000", "opus_48000_64", "wav_16000"])
def test_each_format_is_one_stream_at_its_rate(server: Running, format: str) -> None:
    with talking(server, SINGLE.replace("pcm_16000", format)) as client:
        client.send(FIRST, {"text": TEXT}, {"text": ""})
        data = audio_of(client.until_closed()[0])
    codec, _, rate = format.partition("_")
    if codec == "pcm":
        assert len(data) == 2 * 24000 * 0.8
    else:
        # A whole answer has a mark of its own in its container.
        whole = over_http(server, response_format=codec, sample_rate=int(rate.partition("_")[0]))
        assert decode(data).samples.tobytes() == decode(whole).samples.tobytes()


@pytest.mark.parametrize("format", ["ulaw_8000", "alaw_8000"])
def test_telephone_formats_have_one_byte_a_sample(server: Running, format: str) -> None:
    with talking(server, SINGLE.replace("pcm_16000", format)) as client:
        client.send(FIRST, {"text": TEXT}, {"text": ""})
        data = audio_of(client.until_closed()[0])
    assert len(data) == 8000 * 0.8
    assert len(np.unique(np.frombuffer(data, np.uint8))) > 16


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (SINGLE.replace("tone", "nobody"), "There is no voice 'nobody'"),
        (SINGLE.replace("pcm_16000", "pcm_12345"), "There is no output_format 'pcm_12345'"),
        (SINGLE + "&enable_ssml_parsing=true", "SSML is not read here"),
        (MULTI.replace("tone", "nobody"), "There is no voice 'nobody'"),
    ],
)
def test_what_the_address_cannot_ask_for_is_told_before_the_socket_is_closed(
    server: Running, path: str, says: str
) -> None:
    with talking(server, path) as client:
        got, code = client.until_closed()
    assert code == 1008
    assert says in got[0]["message"]
    assert got[0]["error"]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("{", "not valid JSON"),
        (b"\0", "Binary messages have no meaning here"),
        ({"text": 1}, "'text' must be a string"),
        ({"text": "a" * 200_000}, "too long"),
        ({"text": " ", "pronunciation_dictionary_locators": [{"id": "x"}]}, "no pronunciation dictionaries"),
        ({"text": " ", "voice_settings": {"speed": 9}}, "'voice_settings.speed' must"),
    ],
)
def test_a_wrong_message_ends_a_single_text_and_leaves_the_other_contexts_of_a_socket(
    server: Running, sent: Any, says: str
) -> None:
    raw = sent if isinstance(sent, str | bytes) else json.dumps(sent)
    with talking(server) as client:
        client.send(FIRST)
        client.socket.send(raw)
        got, code = client.until_closed()
        assert (len(got), code) == (1, 1008)
        assert says in got[0]["message"]
    with talking(server, MULTI) as client:
        client.send({"text": "Hello there, you.", "context_id": "a"})
        client.socket.send(raw)
        client.send({"text": " The second one.", "context_id": "a", "flush": True})
        client.send({"close_context": True, "context_id": "a"})
        got = client.until_final("a")
    assert any(says in message.get("message", "") for message in got)
    assert audio_of(got, "a") == over_http(server)


def test_an_engine_that_fails_is_an_error_of_its_context_and_the_socket_goes_on() -> None:
    engine = ToneEngine(slots=1, fail_at=1)
    with running(engine, knows_voice=lambda name: name == "tone") as server, talking(server, MULTI) as client:
        client.send({"text": TEXT, "context_id": "a", "flush": True})
        got = []
        while not (got and got[-1].get("error")):
            got.append(json.loads(client.socket.recv(10)))
        assert got[-1]["contextId"] == "a"
        client.send({"text": "More.", "context_id": "a"}, {"close_context": True, "context_id": "a"})
        client.send({"close_context": True, "context_id": "unknown"})
        assert client.until_final("unknown")
