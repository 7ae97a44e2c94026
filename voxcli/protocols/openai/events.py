"""Server-sent events with audio, `stream_format: "sse"` of OpenAI's speech API, written and read."""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from voxcli.protocols.dialect import Problem
from voxcli.protocols.openai.errors import error_body, find_message

_DELTA, _DONE, _ERROR = "speech.audio.delta", "speech.audio.done", "error"
_SENTENCE = "speech.sentence"
"""Not in OpenAI's API, and sent to those who ask for it only."""
END = b"[DONE]"
"""The last event of OpenAI's other APIs; some servers send it here too."""

_BYTES_PER_TOKEN = 4
"""A rule of thumb for English text."""
_TOKENS_PER_SECOND = 20
"""Tokens per second of audio, as OpenAI counts them."""
_MOST_WAITING = 64 << 20
"""Bytes of one event."""


def delta_event(data: bytes) -> bytes:
    """Return the event with a piece of an audio file."""
    return _event({"type": _DELTA, "audio": b64encode(data).decode()})


def sentence_event(fields: Mapping[str, Any]) -> bytes:
    """Return the event of a sentence, before its audio without an end, and after it with its words."""
    return _event({"type": _SENTENCE, **fields})


def done_event(text: str, seconds: float) -> bytes:
    """Return the last event, with an estimated token usage.

    Args:
        text: the spoken text.
        seconds: duration of the audio.
    """
    input_tokens, output_tokens = text_tokens(text), audio_tokens(seconds)
    usage = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return _event({"type": _DONE, "usage": usage})


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def audio_tokens(seconds: float) -> int:
    """Return as how many tokens OpenAI counts audio."""
    return round(seconds * _TOKENS_PER_SECOND)


def error_event(problem: Problem) -> bytes:
    """Return the last event of a stream that failed after its first audio."""
    return _event({"type": _ERROR, **error_body(problem)})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


class EventFailure(ValueError):
    """An event reports an error, or cannot be read."""


class ServerSentEvents:
    """Reads the events of a response body, cut anywhere.

    Source: html.spec.whatwg.org, "Server-sent events".
    """

    def __init__(self, most_bytes: int = _MOST_WAITING) -> None:
        """most_bytes: of one event."""
        self._most_bytes = most_bytes
        self._waiting = bytearray()
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the complete events that have data, each with its type, empty where the server names none.

        Raises:
            EventFailure: an event is too long.
        """
        self._waiting += data
        # A carriage return at the very end may be the first half of a line ending.
        end = max(self._waiting.rfind(b"\n"), self._waiting.rfind(b"\r", 0, len(self._waiting) - 1)) + 1
        lines = bytes(self._waiting[:end]).splitlines()
        del self._waiting[:end]
        for line in lines:
            if event := self._take(line):
                yield event
        if self._size + len(self._waiting) > self._most_bytes:
            raise EventFailure("The server sent an event that does not end.")

    def _take(self, line: bytes) -> tuple[str, bytes] | None:
        """Take one line, and return the event that an empty line completes."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif not line:
            event, data = self._event, b"\n".join(self._data)
            self._event, self._data, self._size = "", [], 0
            return (event, data) if data else None
        return None


class EventReader:
    """Reads a response body in pieces, cut anywhere, and returns the audio file in its events.

    Other servers' events are understood too: with `event:` lines, as `audio.delta` or `audio.speech.chunk`, the bytes
    under `audio`, `delta` and similar names, and `[DONE]` at the end.
    """

    ended = False
    """Whether the last event has arrived. A body that ends before is truncated."""
    sample_rate: int | None = None
    """Hz, of raw samples, where an event says it."""

    def __init__(self) -> None:
        self._events = ServerSentEvents()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces of the audio file in complete events.

        Raises:
            EventFailure: an event reports an error, or cannot be read.
        """
        for event, value in self._events.feed(data):
            if audio := self._read(event, value):
                yield audio

    def _read(self, event: str, data: bytes) -> bytes | None:
        if data.strip() == END:
            self.ended = True
            return None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise EventFailure("The server sent an event that is not a JSON object.")
        kind = str(value.get("type") or event)
        if value.get("error") or kind.endswith(_ERROR):
            raise EventFailure(find_message(value) or "The server reported an error without a message.")
        if kind.endswith(_LAST):
            self.ended = True
        if isinstance(rate := value.get("sample_rate"), int) and _LOWEST_RATE <= rate <= _HIGHEST_RATE:
            self.sample_rate = rate
        return _audio(value) if kind.endswith(_WITH_AUDIO) or not kind else None


_LAST = (".done", ".completed", ".complete", ".end", "done", "end", "completed")
_WITH_AUDIO = (".delta", ".chunk", "audio", "chunk", "delta")
_AUDIO_KEYS = ("audio", "delta", "audio_base64", "audio_b64", "chunk", "data")
_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000


def _audio(value: dict[str, Any]) -> bytes:
    encoded = next((found for key in _AUDIO_KEYS if (found := value.get(key))), "")
    if isinstance(encoded, dict):
        return _audio(encoded)
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise EventFailure("The server sent an event whose audio is not valid base64.") from error
