"""Times of sentences and subtitles in the answers of OpenAI's speech API."""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from tests.sound import from_int16
from voxcli.protocols.openai.events import EventReader

TEXT = "The first sentence. [pause 0.5s] The second one, & its < end."


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine()) as server:
        yield server


def post(server: Running, **fields: Any) -> httpx.Response:
    body = {"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "pcm", **fields}
    return httpx.post(f"{server.url}/v1/audio/speech", json=body, timeout=30)


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


def test_sentences_are_events_for_those_who_ask(server: Running) -> None:
    answer = post(server, stream_format="sse", word_timestamps=True)
    events = events_of(answer)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "speech.sentence"
    assert kinds[-1] == "speech.audio.done"
    begun = [event for event in events if event["type"] == "speech.sentence" and event["end"] is None]
    ended = [event for event in events if event["type"] == "speech.sentence" and event["end"] is not None]
    assert [event["text"] for event in begun] == [event["text"] for event in ended]
    places = [TEXT[slice(*event["position"])] for event in ended]
    assert places == ["The first sentence.", "The second one, & its < end."]
    assert [event["start"] for event in begun] == [event["start"] for event in ended]
    assert ended[1]["start"] == pytest.approx(ended[0]["end"] + 0.5, abs=1e-4)
    assert "".join(word["text"] for word in ended[0]["words"]) == "Thefirstsentence."
    # A client that knows OpenAI's events only hears the same.
    audio = b"".join(EventReader().feed(answer.content))
    assert audio == post(server).content
    assert ended[-1]["end"] == pytest.approx(len(audio) / 2 / 24000, abs=0.01)


def test_sentences_are_no_events_unless_they_are_asked_for(server: Running) -> None:
    kinds = {event["type"] for event in events_of(post(server, stream_format="sse"))}
    assert kinds == {"speech.audio.delta", "speech.audio.done"}


def test_word_times_of_plain_audio_are_named_as_ignored(server: Running) -> None:
    assert post(server, word_timestamps=True).headers["x-voxcli-ignored"] == "word_timestamps"


def test_subtitles_come_with_the_audio_in_one_object(server: Running) -> None:
    answer = post(server, subtitles="srt")
    assert answer.headers["content-type"] == "application/json"
    fields = answer.json()
    assert fields["format"] == "pcm"
    assert b64decode(fields["audio"]) == post(server).content
    assert fields["subtitles"].startswith("1\n00:00:00,000 --> ")
    assert "The second one, & its < end." in fields["subtitles"]
    sentences = post(server, subtitles="json").json()["subtitles"]["sentences"]
    seconds = len(from_int16(b64decode(fields["audio"]))) / 24000
    assert sentences[-1]["end"] == pytest.approx(seconds, abs=0.01)
    assert post(server, subtitles="vtt", response_format="mp3").json()["subtitles"].startswith("WEBVTT\n\n")


def test_subtitles_and_events_are_not_both_to_be_had(server: Running) -> None:
    answer = post(server, subtitles="srt", stream_format="sse")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "subtitles"
    assert "word_timestamps" in answer.json()["error"]["message"]
