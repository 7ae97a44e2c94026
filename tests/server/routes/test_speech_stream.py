"""The speech stream: what clients of vLLM-Omni, of SGLang-Omni and our own send, and what they get."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until

PATH = "/v1/audio/speech/stream"
TEXT = "Hello there, you. The second one."
SENTENCES = ["Hello there, you.", "The second one."]
STREAMED = {"type": "session.config", "stream_audio": True, "response_format": "pcm", "split_granularity": "clause"}
CHUNK = round(0.08 * 16000)
"""Samples."""
SPOKEN = 5 * CHUNK
"""Samples of a sentence."""


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(slots=4), knows_voice=lambda name: name == "tone") as server:
        yield server


class Client:
    """One socket, with the messages as they come."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, *messages: dict[str, Any] | str) -> None:
        """Send messages; plain text is `input.text`, and a word with a dot a message without fields."""
        for message in messages:
            if isinstance(message, str):
                is_type = message.startswith(("input.", "session."))
                message = {"type": message} if is_type else {"type": "input.text", "text": message}
            self.socket.send(json.dumps(message))

    def next(self) -> dict[str, Any] | bytes:
        """Return the next message; audio is bytes."""
        data = self.socket.recv(10)
        return data if isinstance(data, bytes) else dict(json.loads(data))

    def until(self, kind: str) -> list[dict[str, Any] | bytes]:
        """Return the messages up to one of a type."""
        got = []
        while True:
            got.append(self.next())
            if not isinstance(got[-1], bytes) and got[-1]["type"] == kind:
                return got


@contextmanager
def talking(server: Running, query: str = "") -> Iterator[Client]:
    with connect(server.url.replace("http", "ws") + PATH + query, proxy=None) as socket:
        yield Client(socket)


def audio_in(messages: list[Any]) -> bytes:
    return b"".join(message for message in messages if isinstance(message, bytes))


def of_type(messages: list[Any], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if not isinstance(message, bytes) and message["type"] == kind]


def over_http(server: Running, text: str = TEXT) -> bytes:
    fields = {"input": text, "voice": "default", "response_format": "pcm", "sample_rate": 16000}
    return httpx.post(f"{server.url}/v1/audio/speech", json=fields).content


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_streamed_text_sounds_as_over_http_and_its_sentences_are_told(server: Running, cut: int) -> None:
    with talking(server) as client:
        client.say(STREAMED, *(TEXT[at : at + cut] for at in range(0, len(TEXT), cut)), "input.done")
        got = client.until("session.done")
    assert audio_in(got) == over_http(server)
    starts, dones = of_type(got, "audio.start"), of_type(got, "audio.done")
    assert [start["sentence_text"] for start in starts] == SENTENCES
    assert [TEXT[start["text_start"] : start["text_end"]] for start in starts] == SENTENCES
    assert {(start["sample_rate"], start["channels"], start["format"]) for start in starts} == {(16000, 1, "pcm")}
    assert [done["total_bytes"] for done in dones] == [2 * SPOKEN] * 2
    assert [(done["start_ms"], done["end_ms"]) for done in dones] == [(0, 400), (400, 800)]
    assert [start["id"] for start in starts] == [done["id"] for done in dones]
    assert dones[0]["spoken"] == {"position": len(SENTENCES[0]), "text": SENTENCES[0], "samples": SPOKEN}
    assert got[-1]["spoken"]["position"] == len(TEXT)  # type: ignore[index,call-overload]
    assert got[-1]["total_sentences"] == 2  # type: ignore[index,call-overload]


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "opus", "pcm", "aac"])
def test_each_sentence_is_a_file_of_its_own_unless_it_is_streamed(server: Running, format: str) -> None:
    with talking(server) as client:
        client.say({"type": "session.config", "response_format": format}, TEXT, "input.done")
        got = client.until("session.done")
        files = [message for message in got if isinstance(message, bytes)]
        client.say({"type": "session.config", "response_format": format, "stream_audio": True}, TEXT, "input.done")
        streamed = client.until("session.done")
    assert len(files) == 2
    assert [done["total_bytes"] for done in of_type(got, "audio.done")] == [len(file) for file in files]
    assert sum(done["total_bytes"] for done in of_type(streamed, "audio.done")) == len(audio_in(streamed))
    if format in ("wav", "flac", "opus"):
        for file in files:
            samples, rate = soundfile.read(io.BytesIO(file))
            assert len(samples) / rate == pytest.approx(0.4, abs=0.05)


def test_utterances_follow_one_another_on_one_socket(server: Running) -> None:
    with talking(server) as client:
        client.say(STREAMED, "First. ", "input.done", "Second.", "input.done", "Third.")
        client.say("input.done")
        got = [*client.until("session.done"), *client.until("session.done"), *client.until("session.done")]
    assert [(one["utterance_index"], one["sentence_text"]) for one in of_type(got, "audio.start")] == [
        (0, "First."),
        (1, "Second."),
        (2, "Third."),
    ]


def test_an_utterance_that_was_committed_goes_on_with_one_admission_and_one_voice() -> None:
    engine = ToneEngine()
    engine.draws_voices = True
    with running(engine, probe=None) as server, talking(server, "?on_done=keep") as client:
        client.say(STREAMED, "First part", "input.commit")
        got = client.until("input.committed")
        client.say(" and the second", "input.commit", " and a third.", "input.done")
        got += client.until("session.done")
        assert server.service.metrics.text().count(b"voxcli_queue_wait_seconds_count 1.0") == 1
    committed = of_type(got, "input.committed")
    assert [(one["segment_index"], one["segment_sentences"], one["total_sentences"]) for one in committed] == [
        (0, 1, 1),
        (1, 1, 2),
    ]
    assert [one["sentence_text"] for one in of_type(got, "audio.start")] == [
        "First part",
        "and the second",
        "and a third.",
    ]
    assert [bool(request.voice.prompt) for request in engine.requests] == [False, True, True]


def test_a_client_of_sglang_is_closed_when_it_is_done(server: Running) -> None:
    with talking(server) as client:
        client.say({"type": "session.config", "session": {"voice": "default", "split_granularity": "sentence"}})
        configured = client.next()
        assert isinstance(configured, dict)
        assert (configured["type"], configured["response_format"]) == ("session.configured", "pcm")
        client.say(TEXT, "input.done")
        got = client.until("session.done")
        assert len(of_type(got, "audio.done")) == 2
        with pytest.raises(ConnectionClosed) as closed:
            client.next()
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1000


def test_text_that_is_not_to_be_split_is_one_sentence(server: Running) -> None:
    with talking(server) as client:
        client.say({"type": "session.config", "split_granularity": "none"}, *TEXT.split("|"), "input.done")
        got = client.until("session.done")
    assert [start["sentence_text"] for start in of_type(got, "audio.start")] == [TEXT]
    (file,) = (message for message in got if isinstance(message, bytes))
    assert len(soundfile.read(io.BytesIO(file))[0]) == 2 * SPOKEN


def test_words_have_times_inside_their_sentence(server: Running) -> None:
    with talking(server) as client:
        client.say({**STREAMED, "word_timestamps": True}, TEXT, "input.done")
        got = client.until("session.done")
    assert not audio_in(got)
    chunks = of_type(got, "audio.chunk")
    assert b"".join(base64.b64decode(chunk["audio_b64"]) for chunk in chunks) == over_http(server)
    first, second = (chunk for chunk in chunks if chunk["timestamps"] is not None)
    assert [word["word"] for word in first["timestamps"]] == ["Hello", "there,", "you."]
    assert (first["timestamps"][0]["start_ms"], first["timestamps"][-1]["end_ms"]) == (0, 400)
    assert second["timestamps"][-1]["end_ms"] == 400
    assert [chunk["chunk_id"] for chunk in chunks if chunk["sentence_index"] == 0] == list(range(6))


def test_a_cancelled_utterance_tells_what_was_spoken_and_the_socket_goes_on() -> None:
    engine = ToneEngine(chunks=50, hold_at=10)
    with running(engine, probe=None, slots=1) as server, talking(server) as client:
        client.say(STREAMED, "A sentence that has no end for a while. And more text.")
        until(lambda: engine.made == 10)
        client.say("input.cancel")
        until(lambda: any(one.cancelled for one in server.service.utterances._open))
        engine.go.set()
        got = client.until("audio.cancelled")
        told = got[-1]
        assert isinstance(told, dict)
        assert (told["reason"], told["utterance_index"], told["sentence_index"]) == ("client_cancel", 0, 0)
        assert 0 < told["spoken"]["samples"] <= 11 * CHUNK
        assert server.service.admission.used == 0
        client.say("Next.", "input.done")
        assert of_type(client.until("session.done"), "audio.start")[0]["utterance_index"] == 1


def test_a_cancellation_reaches_an_utterance_that_waits_for_its_slot(server: Running) -> None:
    engine = ToneEngine(hold_at=1)
    with running(engine, probe=None, slots=1) as server, talking(server) as first, talking(server) as second:
        first.say(STREAMED, "Spoken.")
        until(lambda: engine.running == 1)
        second.say(STREAMED, "Waits.", "input.done", "Waits too.", "input.cancel")
        got = [*second.until("audio.cancelled"), *second.until("audio.cancelled")]
        assert [one["utterance_index"] for one in of_type(got, "audio.cancelled")] == [0, 1]
        assert server.service.admission.depth == 0


def test_what_was_heard_is_told(server: Running) -> None:
    text = "One two three four five. Six seven."
    with talking(server) as client:
        client.say(STREAMED, text, "input.done")
        client.until("session.done")
        client.say({"type": "playback.position", "samples": SPOKEN // 2}, {"type": "playback.truncate"})
        (told,) = of_type(client.until("playback.truncated"), "playback.truncated")
        assert told["played"] == {"position": len("One two"), "text": "One two", "samples": SPOKEN // 2}
        client.say({"type": "playback.truncate", "samples": 10**9})
        (told,) = of_type(client.until("playback.truncated"), "playback.truncated")
        assert told["played"]["text"] == text


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "json_invalid"),
        ("[" * 5000, "json_invalid"),
        ("[1]", "json_type"),
        (b"\0\1", "binary"),
        ('{"text":"a"}', "unknown_message"),
        ('{"type":"input.audio"}', "unknown_message"),
        ('{"type":"input.text"}', "missing"),
        ('{"type":"input.text","text":5}', "string_type"),
        ('{"type":"playback.position","samples":-1}', "invalid_value"),
        ('{"type":"session.config","voice":"nobody"}', "voice_not_found"),
        ('{"type":"session.config","response_format":"midi"}', "enum"),
        ('{"type":"session.config","speed":9}', "invalid_value"),
        ('{"type":"session.config","ref_audio":"http://127.0.0.1/secret"}', "invalid_clip"),
        ('{"type":"session.config","ref_audio":"AAAA"}', "invalid_clip"),
        ('{"type":"session.config","speaker_embedding":[1]}', "invalid_value"),
        (json.dumps({"type": "input.text", "text": "a" * 10_000_000}), "text_too_long"),
    ],
)
def test_bad_messages_are_answered_and_the_socket_goes_on(server: Running, message: str | bytes, code: str) -> None:
    with talking(server) as client:
        client.socket.send(message)
        (error,) = of_type([client.next()], "error")
        assert error["code"] == code
        assert error["message"].endswith(".")
        client.say("input.cancel", STREAMED, "Hello.", "input.done")
        assert audio_in(client.until("session.done"))


def test_settings_cannot_change_while_an_utterance_is_open(server: Running) -> None:
    with talking(server) as client:
        client.say(STREAMED, "Hello")
        client.next()
        client.say({"type": "session.config", "response_format": "wav"})
        assert of_type(client.until("error"), "error")[0]["code"] == "utterance_open"
        client.say(" there.", "input.done")
        assert of_type(client.until("session.done"), "audio.start")[0]["format"] == "pcm"


def test_an_engine_that_breaks_ends_its_utterance_and_text_of_it_is_passed_over() -> None:
    with running(ToneEngine(fail_at=2), probe=None) as server, talking(server) as client:
        client.say(STREAMED, "This breaks. And")
        got = client.until("error")
        assert got[-1]["partial_audio"]  # type: ignore[index,call-overload]
        assert of_type(got, "audio.done")[0]["error"]
        client.say(" the rest of it.", "input.done")
        (done,) = of_type([client.next()], "session.done")
        assert done["error"]
        assert server.service.admission.used == 0


def test_a_busy_server_says_so() -> None:
    engine = ToneEngine(hold_at=1)
    with running(engine, probe=None, slots=1, queue=0) as server, talking(server) as first, talking(server) as second:
        first.say(STREAMED, "Spoken.")
        until(lambda: engine.running == 1)
        second.say(STREAMED, "Refused.", "input.done")
        got = second.until("session.done")
        assert of_type(got, "error")[0]["code"] == "busy"
        assert of_type(got, "error")[0]["retry_after"] >= 1


def test_a_text_without_words_is_told_and_no_text_is_no_error(server: Running) -> None:
    with talking(server) as client:
        client.say(STREAMED, "🙂", "input.done")
        assert of_type(client.until("session.done"), "error")[0]["code"] == "no_words"
        client.say("input.done")
        assert isinstance(done := client.next(), dict)
        assert (done["type"], done["total_sentences"], done.get("error")) == ("session.done", 0, None)


def test_a_writer_that_falls_silent_loses_its_slot() -> None:
    with running(ToneEngine(), probe=None, writer_seconds=0.1) as server, talking(server) as client:
        client.say(STREAMED, "Never")
        assert of_type(client.until("error"), "error")[0]["code"] == "idle_timeout"
        with pytest.raises(ConnectionClosed):
            client.until("session.done")
        until(lambda: server.service.admission.used == 0)


def test_a_client_that_leaves_frees_its_slot() -> None:
    engine = ToneEngine(chunks=10_000)
    with running(engine, probe=None) as server:
        with talking(server) as client:
            client.say(STREAMED, "A very long sentence.")
            client.until("audio.start")
            client.socket.socket.close()
        until(lambda: server.service.admission.used == 0)
        assert b'voxcli_utterances_total{ending="client_left",protocol="speech_stream"} 1.0' in (
            server.service.metrics.text()
        )


def test_settings_without_effect_are_named(server: Running) -> None:
    with talking(server) as client:
        client.say({"type": "session.config", "temperature": 0.5, "task_type": "CustomVoice", "wonder": 1})
        (configured,) = of_type([client.next()], "session.configured")
        assert configured["ignored"] == ["task_type", "temperature", "wonder"]
