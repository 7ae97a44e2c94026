"""Frames: a line of JSON, and after it as many bytes of JSON data and of payload as the line says.

Source: github.com/OHF-Voice/wyoming, README.md and event.py of version 1.10.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from voxcli.errors import RequestError

VERSION = "1.10.2"
"""Of the protocol, as every frame says."""

_MOST_LINE_BYTES = 1 << 16
_MOST_DATA_BYTES = 1 << 20
_MOST_PAYLOAD_BYTES = 1 << 22


class FrameError(RequestError):
    """A frame cannot be read, nor anything after it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        line: dict[str, Any] = {"type": self.type, "version": VERSION}
        data = json.dumps(self.data, ensure_ascii=False).encode() if self.data else b""
        if data:
            line["data_length"] = len(data)
        if self.payload:
            line["payload_length"] = len(self.payload)
        return json.dumps(line).encode() + b"\n" + data + self.payload


class FrameReader:
    """Reads frames from bytes that are cut anywhere."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._line: _Line | None = None

    @property
    def is_between(self) -> bool:
        """Whether no part of a frame has arrived that is not complete."""
        return self._line is None and not self._waiting

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the complete frames.

        Raises:
            FrameError: a frame is malformed or too long.
        """
        self._waiting += data
        while frame := self._take():
            yield frame

    def _take(self) -> Frame | None:
        if self._line is None:
            end = self._waiting.find(b"\n")
            if (len(self._waiting) if end < 0 else end) > _MOST_LINE_BYTES:
                raise FrameError(f"The line of a frame is longer than {_MOST_LINE_BYTES} bytes.")
            if end < 0:
                return None
            self._line = _read_line(bytes(self._waiting[:end]))
            del self._waiting[: end + 1]
        line = self._line
        size = line.data_length + line.payload_length
        if len(self._waiting) < size:
            return None
        data, payload = bytes(self._waiting[: line.data_length]), bytes(self._waiting[line.data_length : size])
        del self._waiting[:size]
        self._line = None
        more = _read_object(data, "The data of a frame") if data else {}
        return Frame(line.type, {**line.data, **more}, payload)


@dataclass(frozen=True, slots=True)
class _Line:
    type: str
    data: Mapping[str, Any]
    data_length: int
    payload_length: int


def _read_line(line: bytes) -> _Line:
    fields = _read_object(line, "The line of a frame")
    type, data = fields.get("type"), fields.get("data")
    if not isinstance(type, str) or not type:
        raise FrameError("The line of a frame has no type.")
    if data is not None and not isinstance(data, dict):
        raise FrameError("The data of a frame is not a JSON object.")
    return _Line(
        type,
        data or {},
        _read_length(fields, "data_length", _MOST_DATA_BYTES),
        _read_length(fields, "payload_length", _MOST_PAYLOAD_BYTES),
    )


def _read_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FrameError(f"{what} is not a JSON object.")
    return value


def _read_length(fields: Mapping[str, Any], name: str, most: int) -> int:
    length = fields.get(name)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise FrameError(f"{name} is not a number of bytes.")
    if length > most:
        raise FrameError(f"{name} is {length}, and at most {most} bytes are allowed.")
    return length
