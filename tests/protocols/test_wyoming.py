"""Wyoming's frames: cut anywhere, the same as the official package's, and refused where they cannot be read."""

import asyncio
import io
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wyoming.event import Event, async_read_event, read_event, write_event
from wyoming.info import Info

from voxcli.protocols.dialect import FieldError
from voxcli.protocols.wyoming import messages as wyoming
from voxcli.protocols.wyoming.frames import Frame, FrameError, FrameReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.builds(
    Frame,
    st.text(min_size=1, max_size=12),
    st.dictionaries(st.text(max_size=6), JSON, max_size=4),
    st.binary(max_size=40),
)


@settings(max_examples=40)
@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 2000), max_size=12))
def test_frames_are_the_same_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(frame.to_bytes() for frame in frames)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader, read = FrameReader(), []
    for start, end in itertools.pairwise(places):
        read += list(reader.feed(data[start:end]))
    assert read == frames
    assert reader.is_between


@settings(max_examples=30)
@given(FRAMES)
def test_the_official_package_reads_what_is_written(frame: Frame) -> None:
    event = read_event(io.BytesIO(frame.to_bytes()))
    assert event == Event(frame.type, dict(frame.data), frame.payload or None)


@settings(max_examples=30)
@given(FRAMES)
def test_what_the_official_package_writes_is_read(frame: Frame) -> None:
    written = io.BytesIO()
    write_event(Event(frame.type, dict(frame.data), frame.payload or None), written)
    assert list(FrameReader().feed(written.getvalue())) == [frame]


def test_data_may_stand_in_the_line_and_after_it() -> None:
    line = {"type": "x", "data": {"a": 1, "b": 1}, "data_length": 7, "payload_length": None, "more": 3}
    assert list(FrameReader().feed(json.dumps(line).encode() + b'\n{"b":2}')) == [Frame("x", {"a": 1, "b": 2})]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "is not a JSON object"),
        (b"\n", "is not a JSON object"),
        (b"[]\n", "is not a JSON object"),
        (b"\xff\n", "is not a JSON object"),
        (b"[" * 60_000 + b"\n", "is not a JSON object"),
        (b"{}\n", "has no type"),
        (b'{"type": 3}\n', "has no type"),
        (b'{"type": "x", "data": 4}\n', "is not a JSON object"),
        (b'{"type": "x", "data_length": -1}\n', "data_length is not a number of bytes"),
        (b'{"type": "x", "data_length": true}\n', "data_length is not a number of bytes"),
        (b'{"type": "x", "data_length": 1e3}\n', "data_length is not a number of bytes"),
        (b'{"type": "x", "data_length": 99999999}\n', "at most 1048576 bytes"),
        (b'{"type": "x", "payload_length": 99999999}\n', "at most 4194304 bytes"),
        (b'{"type": "x", "data_length": 2}\n[]', "is not a JSON object"),
        (b"x" * 70_000, "longer than 65536 bytes"),
        (b"x" * 70_000 + b"\n", "longer than 65536 bytes"),
    ],
)
def test_a_frame_that_cannot_be_read_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        list(FrameReader().feed(data))


@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(data: bytes) -> None:
    reader = FrameReader()
    try:
        frames = list(reader.feed(data))
    except FrameError:
        return
    assert frames == [] or b"type" in data


def test_the_description_is_read_by_the_official_package() -> None:
    frame = wyoming.info("voxcpm-2", "1.0", [("anna", ["en", "de"]), ("default", ["en"])])
    event = read_event(io.BytesIO(frame.to_bytes()))
    assert event
    (program,) = Info.from_event(event).tts
    assert program.supports_synthesize_streaming
    assert [(voice.name, voice.languages) for voice in program.voices] == [("anna", ["en", "de"]), ("default", ["en"])]


@pytest.mark.parametrize(
    ("model", "data", "field"),
    [
        (wyoming.Synthesize, {}, "text"),
        (wyoming.Synthesize, {"text": 3}, "text"),
        (wyoming.Synthesize, {"text": "a", "voice": "anna"}, "voice"),
        (wyoming.Synthesize, {"text": "a", "voice": {"name": 3}}, "voice.name"),
        (wyoming.Synthesize, {"text": "<speak/>", "text_format": "ssml"}, "text_format"),
        (wyoming.SynthesizeStart, {"text_format": "html"}, "text_format"),
        (wyoming.SynthesizeChunk, {}, "text"),
    ],
)
def test_bad_messages_name_the_field(model: Any, data: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        wyoming.read_message(model, Frame("x", data))
    assert caught.value.field == field


def test_a_reader_of_the_official_package_reads_sound() -> None:
    async def read() -> Event | None:
        reader = asyncio.StreamReader()
        reader.feed_data(wyoming.audio_chunk(b"\0\1" * 8, 24000, 1.5).to_bytes())
        return await async_read_event(reader)

    event = asyncio.run(read())
    assert event
    assert event.data == {"rate": 24000, "width": 2, "channels": 1, "timestamp": 1500}
    assert event.payload == b"\0\1" * 8
