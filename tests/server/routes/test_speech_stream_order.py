"""The speech stream, whatever a client sends in whatever order."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.socket_order import messages_after
from voxcli.server.routes.speech_stream.route import speech_stream_route

STREAMED = {"type": "session.config", "stream_audio": True}
SENT: list[Any] = [
    {"type": "session.config", "response_format": "flac"},
    STREAMED,
    {"type": "session.config", "session": {"word_timestamps": True}},
    {"type": "session.config", "split_granularity": "none"},
    {"type": "session.config", "voice": "nobody"},
    {"type": "input.text", "text": "Hello there, you. And"},
    {"type": "input.text", "text": " a second [pause 50ms] sentence. "},
    {"type": "input.text", "text": "🙂\ud83d"},
    {"type": "input.text", "text": "a" * 300},
    {"type": "input.commit"},
    {"type": "input.done"},
    {"type": "input.cancel"},
    {"type": "playback.position", "samples": 2000},
    {"type": "playback.truncate"},
    {"type": "session.close"},
    {"type": "nonsense"},
    "{",
    b"\0",
    0.0,
]
"""What a client sends; a number is a pause in seconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


@settings(max_examples=60)
@given(sent=st.lists(st.sampled_from(SENT), max_size=12), fail_at=st.sampled_from([None, None, 0, 2]))
def test_any_order_of_messages_ends_without_a_fault_and_leaves_nothing(
    folder: Path, sent: list[Any], fail_at: int | None
) -> None:
    got = messages_after(sent, speech_stream_route, folder, fail_at=fail_at)
    kinds = [json.loads(message["text"])["type"] for message in got if message.get("text")]
    assert kinds.count("audio.done") <= kinds.count("audio.start")
