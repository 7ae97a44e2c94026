"""Sessions of OpenAI's Realtime API, whatever a client sends in whatever order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.socket_order import messages_after
from voxcli.server.routes.realtime.route import realtime_route


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


SENT: list[Any] = [
    {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 1.2}}}},
    {"type": "session.update", "session": {"voice": "tone", "output_audio_format": "g711_ulaw"}},
    {"type": "conversation.item.create", "item": message("Hello there, you.", id="a")},
    {"type": "conversation.item.create", "item": message("a" * 300)},
    {"type": "conversation.item.delete", "item_id": "a"},
    {"type": "response.create"},
    {"type": "response.create", "response": {"input": [message("One. Two.")]}},
    *[{"type": "response.create", "response": {"conversation": "none", "input": [message("Three.")]}}] * 2,
    {"type": "response.create", "response": {"conversation": "none", "instructions": 'Say "four".'}},
    *[{"type": "response.cancel"}] * 2,
    {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 1},
    {"type": "input_audio_buffer.append", "audio": ""},
    "{",
    b"\0",
    0.0,
    0.01,
]


@settings(max_examples=40)
@given(sent=st.lists(st.sampled_from(SENT), max_size=12), fail_at=st.sampled_from([None, None, 2]))
def test_any_order_of_events_ends_without_a_fault_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Any], fail_at: int | None
) -> None:
    messages_after(sent, realtime_route, Path(tmp_path_factory.getbasetemp()), fail_at=fail_at)
