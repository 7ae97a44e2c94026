"""Chat completions as they are read: cut anywhere, with what servers add, and with what they get wrong."""

import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.protocols.dialect import FieldError
from voxcli.protocols.gptsovits.chat import AudioChunkEvent, TextEvent, read_chat, to_bytes
from voxcli.protocols.openai.chat import ChatMessage, CompletionReader, completion_call, read_models
from voxcli.protocols.openai.events import EventFailure
from voxcli.synthesis.request import Voice


def chunk(delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, **more}
    return f"data: {json.dumps({'id': 'x', 'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


def read(pieces: Sequence[bytes], *, streamed: bool = True) -> tuple[str, CompletionReader]:
    reader = CompletionReader(streamed=streamed)
    text = "".join(text for piece in pieces for text in reader.feed(piece))
    return text + reader.finish(), reader


STREAM = b"".join(
    (
        b": OPENROUTER PROCESSING\r\n\r\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "They want a greeting."}),
        chunk({"reasoning": "Or not.", "content": None}),
        chunk({"content": "Grüß "}),
        b"event: message\r\ndata:" + chunk({"content": "Gott, 世界 👋."})[5:],
        chunk({"content": [{"type": "thinking", "text": "no"}, {"type": "text", "text": " Bye."}]}),
        chunk({}, finish_reason="stop"),
        b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\ndata: [DONE]\n\n',
    )
)
TEXT = "Grüß Gott, 世界 👋. Bye."


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_text_is_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    text, reader = read([STREAM[start:end] for start, end in pairwise(places)])
    assert (text, reader.finish_reason, reader.ended) == (TEXT, "stop", True)


def test_every_byte_alone_gives_the_same_text() -> None:
    assert read([STREAM[at : at + 1] for at in range(len(STREAM))])[0] == TEXT


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_read_or_refused(data: bytes, streamed: bool) -> None:
    with suppress(EventFailure):
        assert read([data], streamed=streamed)[0] == "" or b"content" in data


@pytest.mark.parametrize("size", range(0, len(STREAM), 97))
def test_a_stream_that_is_cut_off_has_not_ended(size: int) -> None:
    _, reader = read([STREAM[:size].rpartition(b"\n\n")[0] + b"\n\n"])
    assert reader.ended == (b'"stop"' in STREAM[:size].rpartition(b"\n\n")[0])


def test_the_last_event_may_lack_its_empty_line() -> None:
    text, reader = read([chunk({"content": "Hi."}), b"data: [DONE]"])
    assert (text, reader.ended) == ("Hi.", True)


def test_a_whole_answer_is_read_where_no_stream_was_to_be_had() -> None:
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}]}
    text, reader = read([json.dumps(answer).encode()], streamed=False)
    assert (text, reader.finish_reason) == ("Hello.", "stop")


def test_only_the_first_of_several_answers_is_read() -> None:
    both = {"choices": [{"index": 0, "delta": {"content": "A"}}, {"index": 1, "delta": {"content": "B"}}]}
    assert read([f"data: {json.dumps(both)}\n\n".encode()])[0] == "A"


def test_a_refusal_of_the_model_is_its_answer() -> None:
    assert read([chunk({"refusal": "I cannot help with that.", "content": None})])[0] == "I cannot help with that."


def test_half_a_character_does_not_reach_the_text() -> None:
    text, _ = read([b'data: {"choices": [{"delta": {"content": "a\\ud83db"}}]}\n\n'])
    assert text == "a?b"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'data: {"error": {"message": "out of memory", "code": 500}}\n\n', "out of memory"),
        (b'data: {"error": "model runner has stopped"}\n\n', "model runner has stopped"),
        (b"data: <html>\n\n", "not JSON"),
        (b"data: 17\n\n", "not a chat completion"),
        (b'data: {"choices": 4}\n\n', "not a chat completion"),
        (b'data: {"choices": [{"delta": {"content": 4}}]}\n\n', "not a chat completion"),
        (b"data: " + b"x" * (1 << 21), "does not end"),
    ],
)
def test_what_cannot_be_read_is_an_error_in_words(data: bytes, message: str) -> None:
    with pytest.raises(EventFailure, match=message):
        read([data])


def test_a_call_streams_and_names_a_model_if_one_is_known() -> None:
    said = [ChatMessage(role="user", content="Hi")]
    call = completion_call("small", said)
    assert (call.method, call.path) == ("POST", "/chat/completions")
    assert call.json == {"model": "small", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    assert "model" not in (completion_call(None, said).json or {})


@pytest.mark.parametrize("document", [None, [], "x", {"data": 3}, {"data": [3, {"id": 4}, {}]}])
def test_a_list_of_models_that_is_none_is_empty(document: Any) -> None:
    assert read_models(document) == []


def test_models_are_listed_in_their_order() -> None:
    assert read_models({"data": [{"id": "b"}, {"id": "a"}]}) == ["b", "a"]


def voice_of(name: str) -> Voice | None:
    return Voice(name=name) if name == "anna" else None


def test_a_message_is_enough() -> None:
    asked, speech = read_chat({"message": "Hi"}, voice_of)
    assert (asked.history, speech.request.voice, speech.request.language) == ([], Voice(), None)
    assert speech.ignored == ()


def test_the_configuration_has_the_fields_of_tts() -> None:
    config = {
        "ref_audio_path": "/data/anna.wav",
        "prompt_text": "words",
        "prompt_lang": "ZH",
        "text_lang": "EN",
        "speed_factor": 1.5,
        "seed": 7,
        "text_split_method": "cut5",
        "fragment_interval": 0.3,
        "streaming_mode": 2,
        "top_k": 5,
        "aux_ref_audio_paths": [],
    }
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "time": 3}]
    asked, speech = read_chat({"message": "Hi", "history": history, "config": config}, voice_of)
    assert [(turn.role, turn.content) for turn in asked.history] == [("user", "a"), ("assistant", "b")]
    request = speech.request
    assert (request.voice.name, request.language, request.speed, request.sampling.seed) == ("anna", "en", 1.5, 7)
    assert {"top_k", "prompt_text", "text_split_method", "fragment_interval"} <= set(speech.ignored)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": "x" * 101}, "message"),
        ({"message": 4}, "message"),
        ({"message": "a\ud83d"}, "message"),
        ({"message": "a", "history": "b"}, "history"),
        ({"message": "a", "history": [{"role": "system", "content": "b"}]}, "history.0.role"),
        ({"message": "a", "history": [{"role": "user"}]}, "history.0.content"),
        ({"message": "a", "config": 3}, "config"),
        ({"message": "a", "config": {"text": "b"}}, "config.text"),
        ({"message": "a", "config": {"media_type": "ogg"}}, "media_type"),
        ({"message": "a", "config": {"media_type": ["wav"]}}, "media_type"),
        ({"message": "a", "config": {"ref_audio_path": "bert.wav"}}, "config.ref_audio_path"),
        ({"message": "a", "config": {"text_lang": "xx"}}, "config.text_lang"),
        ({"message": "a", "config": {"text_lang": 5}}, "config.text_lang"),
        ({"message": "a", "config": {"speed_factor": 9}}, "config.speed_factor"),
        ({"message": "a", "config": {"speed_factor": "quick"}}, "config.speed_factor"),
    ],
)
def test_bad_requests_name_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_chat(fields, voice_of, max_characters=100)
    assert caught.value.field == field


def test_an_event_is_one_line_of_json() -> None:
    assert to_bytes(TextEvent(content="a\n\nb")) == b'data: {"type":"text","content":"a\\n\\nb"}\n\n'
    assert to_bytes(AudioChunkEvent.of(b"\0\1", 3)) == (
        b'data: {"type":"audio_chunk","data":"AAE=","index":3,"size":2}\n\n'
    )
