"""The line of each request in the log, and its writer."""

import json
import logging
import os
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from websockets.sync.client import connect

from tests.server.raw import SPEECH, asked
from tests.server.running import running
from tests.server.tone import ToneEngine, until
from voxcli.server.monitoring import Ending, RequestRecord
from voxcli.server.operating.access import Access, AccessLog

SECRET = "Nobody else may know this sentence"


def access(path: str = "/livez") -> Access:
    return Access("req_1", "127.0.0.1", "GET", path, Headers())


def test_a_request_is_known_by_its_answer_its_times_and_its_voice() -> None:
    seen: list[Access] = []
    with running(ToneEngine(chunks=3, pace=0.2), knows_voice=lambda name: True) as server:
        server.service.observers.append(seen.append)
        fields = {"model": "tts-1", "voice": "alloy", "input": SECRET, "response_format": "wav"}
        answer = httpx.post(f"{server.url}{SPEECH}?style={SECRET}", json=fields, headers={"x-request-id": "mine"})
        httpx.get(server.url + "/nowhere")
        with asked(server.url, input=SECRET) as client:
            client.kill()
        until(lambda: len(seen) == 3)
    spoken, missed, left = [one.to_dict() for one in seen]
    assert spoken["request_id"] == "mine"
    assert (spoken["method"], spoken["path"], spoken["status"]) == ("POST", SPEECH, 200)
    assert spoken["bytes"] == len(answer.content)
    assert 0 < spoken["first_byte_seconds"] <= spoken["seconds"]
    assert (spoken["model"], spoken["voice"], spoken["ending"]) == ("tone", "alloy", "done")
    assert (missed["status"], "model" in missed) == (404, False)
    assert left["ending"] in ("client_left", "")
    for one in seen:
        assert SECRET not in str(one) + json.dumps(one.to_dict())


def test_a_web_socket_is_one_line_with_what_was_spoken_on_it() -> None:
    seen: list[Access] = []
    with running(ToneEngine(chunks=3), knows_voice=lambda name: True) as server:
        server.service.observers.append(seen.append)
        received = 0
        with connect(
            f"{server.url.replace('http', 'ws')}/v1/audio/speech/stream?x={quote(SECRET)}", proxy=None
        ) as client:
            client.send(json.dumps({"type": "session.config", "voice": "anna"}))
            for _ in range(2):
                for message in ({"type": "input.text", "text": SECRET}, {"type": "input.done"}):
                    client.send(json.dumps(message))
                while b"session.done" not in (got := client.recv(10, decode=False)):
                    received += len(got)
                received += len(got)
        until(lambda: bool(seen))
    line = seen[0].to_dict()
    assert (line["method"], line["path"]) == ("WS", "/v1/audio/speech/stream")
    assert (line["texts"], line["model"], line["voice"], line["ending"]) == (2, "tone", "anna", "done")
    assert line["status"] in (1000, 1001, 1005)
    assert line["bytes"] == received
    assert SECRET not in str(seen[0]) + json.dumps(line)


@given(path=st.text())
def test_a_line_is_one_line_whatever_the_path(path: str) -> None:
    one = access(path)
    assert str(one).isprintable()
    read, write = os.pipe()
    log = AccessLog(write, as_json=True)
    log(one)
    log.close()
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        [line] = list(lines)
    assert line.endswith("\n")
    json.loads(line)


def test_a_reader_that_does_not_read_loses_lines_and_is_told_how_many() -> None:
    read, write = os.pipe()
    log = AccessLog(write, as_json=True)
    for _ in range(11_000):
        log(access("/" + "a" * 100))
    with os.fdopen(read, encoding="utf-8") as lines:
        lost = known = 0
        while lost + known < 11_000:
            line = json.loads(lines.readline())
            lost, known = lost + line.get("lost", 0), known + ("lost" not in line)
        log.close()
    os.close(write)
    assert 0 < lost < 1_100


def test_a_log_that_cannot_be_written_is_named_once_and_stops_no_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read, write = os.pipe()
    os.close(read)
    log = AccessLog(write, as_json=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            log(access())
        log.close()
    os.close(write)
    assert len(caplog.messages) == 1
    assert "Broken pipe" in caplog.text


def test_text_begins_with_the_time_and_names_what_was_spoken() -> None:
    one = access()
    one.at, one.status, one.sent, one.first_byte, one.seconds = 0.0, 200, 10, 0.25, 1.5
    assert str(one) == "req_1 127.0.0.1 GET /livez: 200 after 1.500 s, 10 bytes from 0.250 s on"
    assert one.to_dict()["time"] == "1970-01-01T00:00:00.000+00:00"
    one.add(RequestRecord(model="tone", voice="anna\x1b[2J", ending=Ending.DONE))
    assert str(one).endswith(", model tone, voice anna\N{REPLACEMENT CHARACTER}[2J, done")


def test_a_web_socket_that_stays_open_keeps_the_last_texts_and_their_number() -> None:
    one = Access("req_1", "127.0.0.1", "WS", "/v1/realtime", Headers())
    for _ in range(5000):
        one.add(RequestRecord())
    assert len(one.speeches) == 1000
    assert one.to_dict()["texts"] == 5000
