"""Chat: text and speech of a language model's answer, and every way in which one of them fails."""

import io
import json
import socket
import wave
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.language_model import Exchange, LanguageModelStub, Script, language_model, writing
from tests.server.raw import RawClient, connected
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.errors import ModelError
from voxcli.protocols.gptsovits.chat import PATH
from voxcli.server.settings import LanguageModelSettings

Event = dict[str, Any]


@contextmanager
def chatting(
    script: Script, engine: ToneEngine | None = None, **settings: Any
) -> Iterator[tuple[Running, LanguageModelStub]]:
    with language_model(script) as stub:
        chosen = LanguageModelSettings(url=stub.url, seconds=settings.pop("seconds", 10.0))
        with running(engine or ToneEngine(), language_model=chosen, **settings) as server:
            yield server, stub


def events_of(body: str) -> list[Event]:
    assert body.endswith("\n\n") or not body
    return [json.loads(line.removeprefix("data: ")) for line in body.split("\n\n") if line.startswith("data: ")]


def chat(server: Running, message: str = "Hi", **fields: Any) -> list[Event]:
    answer = httpx.post(server.url + PATH, json={"message": message, **fields}, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return events_of(answer.text)


def kinds(events: list[Event]) -> list[str]:
    """Return the types of events, each once where it repeats."""
    found = [event["type"] for event in events]
    return [kind for at, kind in enumerate(found) if not at or found[at - 1] != kind]


def sound(events: list[Event]) -> bytes:
    chunks = [event for event in events if event["type"] == "audio_chunk"]
    assert [chunk["index"] for chunk in chunks] == list(range(len(chunks)))
    data = [b64decode(chunk["data"]) for chunk in chunks]
    assert [chunk["size"] for chunk in chunks] == [len(piece) for piece in data]
    return b"".join(data)


def only(events: list[Event], kind: str) -> Event:
    (event,) = [event for event in events if event["type"] == kind]
    return event


def texts(engine: ToneEngine) -> list[str]:
    return [str(request.text) for request in engine.requests]


def test_an_answer_is_text_and_speech() -> None:
    engine = ToneEngine()
    with chatting(writing("Hello ", "there. ", "How are you?"), engine) as (server, stub):
        events = chat(server, "Hi", history=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    assert [event["content"] for event in events if event["type"] == "text"] == ["Hello ", "there. ", "How are you?"]
    assert only(events, "complete") == {"type": "complete", "text": "Hello there. How are you?"}
    assert only(events, "audio_start") == {"type": "audio_start", "media_type": "wav", "sample_rate": 16000}
    chunks = [event for event in events if event["type"] == "audio_chunk"]
    assert chunks[0]["size"] == 44
    assert only(events, "audio_complete") == {"type": "audio_complete", "total_chunks": len(chunks)}
    assert events[-1]["type"] == "audio_complete"
    with wave.open(io.BytesIO(sound(events))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
    said = stub.exchanges[0].fields["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in said[1:]] == ["a", "b", "Hi"]
    assert "read aloud" in said[0]["content"]


def test_the_speech_is_that_of_the_same_text_sent_to_the_speech_route() -> None:
    text = "Hello there. How are you? I am well."
    with chatting(writing(*(f"{word} " for word in text.split()))) as (server, _):
        spoken = sound(chat(server, config={"media_type": "raw"}))
        fields = {"text": text, "text_lang": "auto", "prompt_lang": "auto", "ref_audio_path": "default"}
        whole = httpx.post(
            server.url + "/tts", json={**fields, "media_type": "raw", "text_split_method": "cut0"}, timeout=20
        )
    assert spoken == whole.content


def test_speech_begins_while_the_model_is_still_writing() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write("This is the first sentence. And ")
        assert exchange.left.wait(20), "the first sound did not come"
        exchange.write("the second.")
        exchange.done()

    events: list[Event] = []
    with (
        chatting(script) as (server, stub),
        httpx.stream("POST", server.url + PATH, json={"message": "Hi"}, timeout=20) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["type"] == "audio_chunk" and events[-1]["index"] == 1:
                    assert "complete" not in kinds(events)
                    stub.exchanges[0].left.set()
    assert events[-1]["type"] == "audio_complete"
    assert only(events, "complete")["text"] == "This is the first sentence. And the second."


def test_reasoning_is_neither_shown_nor_spoken_and_markdown_is_read() -> None:
    engine = ToneEngine()
    answer = ("<th", "ink>They want a list.</think>\n", "# Fruit\n\n- **Red** apples\n- [Pears](http://x.org/?a=b)\n")
    with chatting(writing(*answer), engine) as (server, _):
        events = chat(server)
    shown = only(events, "complete")["text"]
    assert "They want" not in shown
    assert "**Red**" in shown
    assert " ".join(texts(engine)).split() == ["Fruit", "Red", "apples", "Pears"]


def test_an_answer_without_words_has_no_chunks() -> None:
    with chatting(writing("👍")) as (server, _):
        events = chat(server)
    assert kinds(events) == ["text", "complete", "audio_start", "audio_complete"]
    assert only(events, "audio_complete")["total_chunks"] == 0


def test_why_the_model_stopped_is_told_if_it_had_not_finished() -> None:
    with chatting(writing("One. Two", reason="length")) as (server, _):
        assert only(chat(server), "complete")["finish_reason"] == "length"


def test_the_voice_and_its_manner_are_chosen_as_for_tts() -> None:
    engine = ToneEngine()
    config = {"ref_audio_path": "voices/alloy.wav", "text_lang": "EN", "speed_factor": 2.0, "top_k": 5}
    with chatting(writing("Yes."), engine, knows_voice=lambda name: name == "alloy") as (server, _):
        answer = httpx.post(server.url + PATH, json={"message": "Hi", "config": config, "user_id": "u"}, timeout=20)
        refused = httpx.post(
            server.url + PATH, json={"message": "Hi", "config": {"ref_audio_path": "bert"}}, timeout=20
        )
    (request,) = engine.requests
    assert (request.voice.name, request.language, request.speed) == ("alloy", "en", 2.0)
    assert answer.headers["x-voxcli-ignored"] == "top_k, user_id"
    assert refused.status_code == 400
    assert "The voices here, without a path: default" in refused.json()["detail"]


def test_chunks_are_short_enough_for_clients_that_read_lines() -> None:
    with chatting(writing("Yes."), ToneEngine(chunks=1, chunk_seconds=10.0)) as (server, _):
        events = chat(server)
    assert max(len(json.dumps(event)) for event in events) < 1 << 16
    assert len(sound(events)) == 44 + 10 * 2 * 16000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"message": " "}, 400),
        ({"message": "a", "history": [{"role": "tool", "content": "b"}]}, 422),
        ({"message": "a", "config": {"media_type": "ogg"}}, 400),
        ({"message": "a" * 5000}, 422),
    ],
)
def test_bad_requests_are_refused_before_the_model_is_asked(fields: dict[str, Any], status: int) -> None:
    with chatting(writing("Yes.")) as (server, stub):
        answer = httpx.post(server.url + PATH, json=fields, timeout=20)
        assert (answer.status_code, stub.exchanges) == (status, [])
        assert answer.json()["detail"]


def test_without_a_language_model_there_is_no_chat() -> None:
    with running(ToneEngine()) as server:
        answer = httpx.post(server.url + PATH, json={"message": "Hi"}, timeout=20)
        assert answer.status_code == 404
        assert "no language model" in answer.json()["detail"]


def test_keys_are_required_as_elsewhere() -> None:
    with chatting(writing("Yes."), keys=frozenset({"k"})) as (server, stub):
        assert httpx.post(server.url + PATH, json={"message": "Hi"}, timeout=20).status_code == 401
        assert stub.exchanges == []


def dying_after(text: str) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.head(transfer_encoding="chunked")
        data = f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()
        exchange.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return script


def stalling_after(text: str) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write(text)
        exchange.wait_until_left()

    return script


def sending_garbage_after(text: str) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write(text)
        exchange.send(b"data: \xff\xfe{]\n\n")

    return script


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (dying_after, "stopped in the middle of its answer"),
        (stalling_after, "has written nothing for 1.5 s"),
        (sending_garbage_after, "not JSON"),
    ],
)
def test_what_was_written_before_a_failure_is_spoken_and_the_failure_comes_last(after: Any, said: str) -> None:
    engine = ToneEngine()
    with chatting(after("This is a sentence. And this is"), engine, seconds=1.5) as (server, stub):
        events = chat(server)
        until(lambda: server.service.admission.used == 0)
    assert texts(engine)[0] == "This is a sentence."
    assert kinds(events)[-2:] == ["audio_complete", "error"]
    assert "complete" not in kinds(events)
    assert said in events[-1]["error"]
    assert stub.url in events[-1]["error"]


def test_a_failure_before_the_first_word_is_the_only_event() -> None:
    def script(exchange: Exchange) -> None:
        exchange.document({"error": {"message": "model is loading"}}, 503)

    engine = ToneEngine()
    with chatting(script, engine) as (server, _):
        events = chat(server)
    assert kinds(events) == ["error"]
    assert "model is loading" in events[0]["error"]
    assert engine.requests == []


def test_the_text_is_complete_though_the_engine_fails() -> None:
    engine = ToneEngine(fail_at=2, error=ModelError("The tone engine broke."))
    with chatting(writing("One sentence. ", "Another sentence."), engine) as (server, _):
        events = chat(server)
        until(lambda: server.service.admission.used == 0)
    assert only(events, "complete")["text"] == "One sentence. Another sentence."
    assert "audio_complete" not in kinds(events)
    assert events[-1] == {"type": "error", "error": "The model failed. See the server log."}


def test_a_busy_server_refuses_before_the_model_is_asked() -> None:
    engine = ToneEngine(slots=1, hold_at=1)
    with chatting(writing("Yes."), engine, queue=0) as (server, stub), connected(server.url) as client:
        client.send(_post("/v1/audio/speech", SPEECH))
        until(lambda: server.service.admission.used == 1)
        answer = httpx.post(server.url + PATH, json={"message": "Hi"}, timeout=20)
        engine.go.set()
    assert (answer.status_code, stub.exchanges) == (503, [])
    assert int(answer.headers["retry-after"]) >= 1


def test_the_text_is_complete_though_others_took_the_slot() -> None:
    engine = ToneEngine(slots=1, hold_at=1)

    def script(exchange: Exchange) -> None:
        client.send(_post("/v1/audio/speech", SPEECH))
        until(lambda: server.service.admission.used == 1)
        writing("Yes.")(exchange)

    with chatting(script, engine, queue=0) as (server, _), connected(server.url) as client:
        events = chat(server)
        engine.go.set()
    assert only(events, "complete")["text"] == "Yes."
    assert events[-1]["type"] == "error"
    assert "All slots are in use" in events[-1]["error"]


SPEECH = json.dumps({"model": "tone", "input": "One.", "voice": "alloy", "response_format": "pcm"})


def _post(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def asked(client: RawClient, message: str = "Hi") -> None:
    client.send(_post(PATH, json.dumps({"message": message})))


@pytest.mark.parametrize("leave", ["kill", "close"])
def test_a_client_that_leaves_stops_the_model_and_the_speech(leave: str) -> None:
    engine = ToneEngine(chunks=10_000, pace=0.2)
    with chatting(stalling_after("This is a sentence. And this"), engine) as (server, stub):
        with connected(server.url) as client:
            asked(client)
            client.read(6000)
            if leave == "kill":
                client.kill()
        assert stub.exchanges[0].left.wait(10)
        assert engine.idle.wait(10)
        until(lambda: server.service.admission.used == 0)
        assert engine.made < 10_000
        assert b'utterances_total{ending="client_left",protocol="chat"} 1.0' in server.service.metrics.text()
        stub.script = writing("👍")
        assert only(chat(server), "complete")["text"] == "👍"


def test_a_client_that_leaves_before_the_first_word_stops_the_model() -> None:
    def script(exchange: Exchange) -> None:
        exchange.wait_until_left()

    with chatting(script) as (server, stub):
        with connected(server.url) as client:
            asked(client)
            until(lambda: bool(stub.exchanges))
        assert stub.exchanges[0].left.wait(10)


def test_a_client_that_does_not_read_is_cut_off() -> None:
    engine = ToneEngine(chunks=2000, chunk_seconds=1.0)
    with (
        chatting(stalling_after("This is a sentence. And"), engine, send_seconds=0.3, send_buffer=4096) as (
            server,
            stub,
        ),
        connected(server.url, window=4096) as client,
    ):
        asked(client)
        until(lambda: bool(stub.exchanges))
        assert stub.exchanges[0].left.wait(10)
        until(lambda: server.service.admission.used == 0)
        assert engine.made < 2000


def test_comments_keep_the_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcli.server.routes.gptsovits_chat._SILENT_SECONDS", 0.05)

    def script(exchange: Exchange) -> None:
        exchange.head()
        assert not exchange.left.wait(0.3)
        exchange.write("👍")
        exchange.done()

    with chatting(script) as (server, _):
        answer = httpx.post(server.url + PATH, json={"message": "Hi"}, timeout=20)
    assert answer.text.startswith(": waiting\n\n: waiting\n\n")
    assert kinds(events_of(answer.text))[0] == "text"


def test_an_answer_of_reasoning_alone_is_an_error() -> None:
    with chatting(writing("<think>They want", " a list.", reason="length")) as (server, _):
        (event,) = chat(server)
    assert "wrote an empty answer (it stopped because of 'length')" in event["error"]


ACTIONS = st.sampled_from(
    [
        *("One sentence. ", "And half", " of another", "```\ncode\n", "<think>", "</think>", "👍", "\n\n# Title\n\n"),
        *("*reason", "*garbage", "*comment", "*error", "*done", "*die", "*stall"),
    ]
)


def acting(actions: list[str]) -> Script:
    """Do one thing after another; what does not begin with a star is written."""

    def script(exchange: Exchange) -> None:
        exchange.head()
        for action in actions:
            match action:
                case "*reason":
                    exchange.event({"choices": [{"delta": {"reasoning_content": "Hm."}}]})
                case "*garbage":
                    exchange.send(b"data: \xff{\n\n")
                case "*comment":
                    exchange.send(b": busy\n\n")
                case "*error":
                    exchange.event({"error": {"message": "It broke."}})
                case "*done":
                    exchange.done()
                case "*die":
                    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                case "*stall":
                    exchange.wait_until_left()
                    return
                case _:
                    exchange.write(action)

    return script


@pytest.fixture(scope="module")
def any_chat() -> Iterator[tuple[Running, LanguageModelStub]]:
    with chatting(writing("Yes."), ToneEngine(chunks=2, chunk_seconds=0.02, slots=4), seconds=0.2) as both:
        yield both


@given(actions=st.lists(ACTIONS, max_size=8), read=st.one_of(st.none(), st.integers(0, 3000)), kill=st.booleans())
@settings(max_examples=40)
def test_whatever_the_model_and_the_client_do_it_ends_and_nothing_is_left(
    any_chat: tuple[Running, LanguageModelStub], actions: list[str], read: int | None, kill: bool
) -> None:
    server, stub = any_chat
    stub.script = acting(actions)
    if read is None:
        events = chat(server)
        ends = [event["type"] for event in events if event["type"] in ("complete", "error")]
        assert len(ends) == 1
        assert [event["type"] for event in events][-1] in ("audio_complete", "error")
    else:
        with connected(server.url) as client:
            asked(client)
            client.read(read)
            if kill:
                client.kill()
    until(lambda: server.service.admission.used == 0 and len(server.service.utterances) == 0)
    assert all(exchange.left.wait(10) for exchange in stub.exchanges if exchange.fields and actions[-1:] == ["*stall"])
    stub.exchanges.clear()


def test_chats_leave_nothing_behind() -> None:
    with chatting(writing("One. ", "Two. ", "Three.")) as (server, _):
        for _ in range(3):
            assert np.frombuffer(sound(chat(server))[44:], "<i2").any()
        assert server.service.admission.used == 0
        assert len(server.service.utterances) == 0
