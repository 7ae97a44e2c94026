"""ElevenLabs' sockets, whatever a client sends in whatever order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.socket_order import messages_after
from voxcli.server.routes.elevenlabs.route import elevenlabs_routes

FIRST = {"text": " ", "voice_settings": {"speed": 1.0}}
SENT: list[Any] = [
    FIRST,
    {"text": "Hello there, you. And"},
    {"text": "", "flush": True},
    {"text": ""},
    *({"text": text, "context_id": name} for text in (" ", "One. Two.", "") for name in "ab"),
    *({"close_context": True, "context_id": name} for name in "ab"),
    {"text": "Three", "context_id": "a", "flush": True},
    {"text": "a" * 300, "context_id": "b"},
    {"text": "a" * 300},
    {"close_socket": True},
    "{",
    b"\0",
    0.0,
]


@settings(max_examples=40)
@given(sent=st.lists(st.sampled_from(SENT), max_size=12), fail_at=st.sampled_from([None, None, 2]), multi=st.booleans())
def test_any_order_of_messages_ends_without_a_fault_and_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Any], fail_at: int | None, multi: bool
) -> None:
    folder = Path(tmp_path_factory.getbasetemp())
    messages_after(
        sent,
        lambda service: elevenlabs_routes(service)[multi],
        folder,
        fail_at=fail_at,
        path_params={"voice_id": "tone"},
    )
