"""What OpenAI's servers and their like say when something goes wrong, and sound as events."""

import json
from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.protocols.dialect import Problem
from voxcli.protocols.openai.events import EventFailure, EventReader, delta_event, done_event, error_event
from voxcli.protocols.openai.messages import error_body, error_message


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (400, "invalid_request_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_an_error_has_all_four_keys(status: int, type: str) -> None:
    assert error_body(Problem(status=status, message="No.")) == {
        "error": {"message": "No.", "type": type, "param": None, "code": None}
    }


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=99), st.integers(400, 599))
def test_a_client_reads_the_words_of_our_own_server(message: str, status: int) -> None:
    assert error_message(status, json.dumps(error_body(Problem(status=status, message=message))).encode()) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": {"error": "validation_error", "message": "Voice x not found"}}', "Voice x not found"),
        (b'{"detail": [{"loc": ["body", "speed"], "msg": "Too fast", "type": "x"}]}', "speed: Too fast"),
        (b'{"message": "No model", "code": 404, "type": "NotFound", "param": null}', "No model"),
        (b'{"error": "out of memory"}', "out of memory"),
        (b'{"reason": "too hot"}', '{"reason": "too hot"}'),
        (b"<html><head><title>502 Bad\n Gateway</title></head><body><p>nginx</p></body></html>", "502 Bad Gateway"),
        (b"<!DOCTYPE html><body>soup</body>", "It gave no reason (502 Bad Gateway)."),
        (b"Service Unavailable\r\n", "Service Unavailable"),
        (b"\x1b[31mred\x07", "[31mred"),
        (b"\xff\xfe\x00", "It gave no reason (502 Bad Gateway)."),
        (b"", "It gave no reason (502 Bad Gateway)."),
        (b"[" * 100_000, "[" * 300 + "…"),
    ],
)
def test_one_sentence_comes_out_of_any_error(body: bytes, message: str) -> None:
    assert error_message(502, body) == message


@given(st.binary(max_size=300), st.integers(0, 999))
def test_an_error_message_never_disturbs_a_terminal(body: bytes, status: int) -> None:
    message = error_message(status, body)

    assert message
    assert message.isprintable()
    assert len(message) <= 301


def cut(body: bytes, places: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return (body[start:end] for start, end in pairwise(edges))


def read(body: bytes, places: list[int]) -> tuple[bytes, bool]:
    reader = EventReader()
    return b"".join(sound for piece in cut(body, places) for sound in reader.feed(piece)), reader.ended


cuts = st.lists(st.integers(0, 10_000), max_size=9)


@given(st.lists(st.binary(max_size=50)), cuts, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_bring_the_same_bytes_wherever_they_are_cut(pieces: list[bytes], places: list[int], end: bytes) -> None:
    body = b"".join(delta_event(piece) for piece in pieces).replace(b"\n", end)

    assert read(body + b":", places) == (b"".join(pieces), False)
    assert read(body + done_event("Hello.", 0.5).replace(b"\n", end) + b":", places)[1]


def test_the_last_event_carries_the_usage_that_clients_expect() -> None:
    assert json.loads(done_event("x" * 9, 1.5).removeprefix(b"data: ")) == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 30, "total_tokens": 33},
    }


SOUND = b64encode(b"sound")


@pytest.mark.parametrize(
    "body",
    [
        b'event: speech.audio.delta\ndata: {"audio": "%s"}\n\nevent: speech.audio.done\ndata: {"usage": {}}\n\n',
        b'data: {"type": "audio.delta", "delta": "%s"}\n\ndata: {"type": "audio.completed"}\n\n',
        b': hello\nretry: 5\ndata: {"type": "audio.speech.chunk",\ndata: "audio": "%s"}\n\ndata: [DONE]\n\n',
        b'data:{"type":"speech.audio.info"}\n\ndata:{"type":"speech.audio.delta","audio":"%s"}\n\ndata:[DONE]\n\n',
    ],
)
def test_the_events_of_other_servers_are_read(body: bytes) -> None:
    assert read(body % SOUND, []) == (b"sound", True)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (error_event(Problem(status=500, message="The model failed.")), "The model failed"),
        (b'data: {"type": "speech.audio.error", "error": {"message": "Lost."}}\n\n', "Lost"),
        (b'event: error\ndata: {"detail": "Lost."}\n\n', "Lost"),
        (b'data: {"error": "Lost."}\n\n', "Lost"),
        (b'data: {"type": "error"}\n\n', "without a message"),
        (b"data: <html>\n\n", "not a JSON object"),
        (b"data: 7\n\n", "not a JSON object"),
        (b'data: {"type": "audio.delta", "audio": "?"}\n\n', "base64"),
        (b'data: {"type": "audio.delta", "audio": 7}\n\n', "base64"),
    ],
)
def test_an_error_among_the_events_comes_after_the_sound_before_it(event: bytes, message: str) -> None:
    reader = EventReader()
    sounds = reader.feed(delta_event(b"sound") + event)

    assert next(sounds) == b"sound"
    with pytest.raises(EventFailure, match=message):
        next(sounds)
