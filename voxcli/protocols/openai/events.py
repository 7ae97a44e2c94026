"""Sound as server-sent events: `stream_format: "sse"` of OpenAI's speech API, written and read."""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

from voxcli.protocols.dialect import Problem
from voxcli.protocols.openai.errors import error_body, find_message

_DELTA, _DONE, _ERROR = "speech.audio.delta", "speech.audio.done", "error"
_END = b"[DONE]"
"""Not of this API, but of its neighbours: some servers send it."""

_BYTES_PER_TOKEN = 4
"""Of English text, as a rule of thumb."""
_TOKENS_PER_SECOND = 20
"""Of sound, as OpenAI counts what its models say."""
_MOST_WAITING = 64 << 20
"""Bytes of one event."""


def delta_event(data: bytes) -> bytes:
    """Return the event that carries a piece of an audio file."""
    return _event({"type": _DELTA, "audio": b64encode(data).decode()})


def done_event(text: str, seconds: float) -> bytes:
    """Return the last event, with what OpenAI's clients read as the cost: estimates, for nothing is counted here.

    Args:
        text: what was said.
        seconds: how long that took to say.
    """
    spoken, heard = -(-len(text.encode()) // _BYTES_PER_TOKEN), round(seconds * _TOKENS_PER_SECOND)
    usage = {"input_tokens": spoken, "output_tokens": heard, "total_tokens": spoken + heard}
    return _event({"type": _DONE, "usage": usage})


def error_event(problem: Problem) -> bytes:
    """Return the event after which nothing comes, for what goes wrong when sound is under way."""
    return _event({"type": _ERROR, **error_body(problem)})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


class EventFailure(ValueError):
    """An event says that something has gone wrong, or is none."""


class EventReader:
    """Takes the body of an answer in pieces, cut anywhere, and gives back the audio file in its events.

    Other servers' events are read as well: with `event:` lines, as `audio.delta` or `audio.speech.chunk`, the bytes
    under `audio` or `delta`, and `[DONE]` at the end.
    """

    ended = False
    """Whether the last event has come. A body that stops before is cut."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces of the audio file that have become whole.

        Raises:
            EventFailure: in the middle of the sound, with what the server says.
        """
        self._waiting += data
        # A carriage return at the very end may be half of a line's end.
        end = max(self._waiting.rfind(b"\n"), self._waiting.rfind(b"\r", 0, len(self._waiting) - 1)) + 1
        lines = bytes(self._waiting[:end]).splitlines()
        del self._waiting[:end]
        if len(self._waiting) > _MOST_WAITING:
            raise EventFailure("The server sends an event without an end.")
        for line in lines:
            if sound := self._take(line):
                yield sound

    def _take(self, line: bytes) -> bytes | None:
        """Take one line, and return the sound that an empty one completes."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"data":
            self._data.append(value)
        elif not line:
            event, data = self._event, b"\n".join(self._data)
            self._event, self._data = "", []
            return self._read(event, data) if data else None
        return None

    def _read(self, event: str, data: bytes) -> bytes | None:
        if data.strip() == _END:
            self.ended = True
            return None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise EventFailure("The server sends an event that is not a JSON object.")
        kind = str(value.get("type") or event)
        if value.get("error") or kind.endswith(_ERROR):
            raise EventFailure(find_message(value) or "The server reports an error and does not say which.")
        if kind.endswith((".done", ".completed")):
            self.ended = True
        return _sound(value) if kind.endswith((".delta", ".chunk")) else None


def _sound(value: dict[str, Any]) -> bytes:
    encoded = value.get("audio") or value.get("delta") or ""
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise EventFailure("The server sends an event whose sound is not in base64.") from error
