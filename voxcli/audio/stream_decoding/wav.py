"""WAV as servers stream it: with sizes that are not true, or with a header for each block.

Source: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and "New Multimedia
Data Types and Data Techniques" (1994) for the extensible form.
"""

import struct

from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding, Waiting
from voxcli.audio.stream_decoding.pcm import Coding, pcm_chunks
from voxcli.audio.stream_decoding.sniff import is_text
from voxcli.errors import RequestError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NUMBERS = {
    (_PCM, 8): "u1",
    (_PCM, 16): "i2",
    (_PCM, 24): "i3",
    (_PCM, 32): "i4",
    (_FLOAT, 32): "f4",
    (_FLOAT, 64): "f8",
}
_MOST_CHANNELS = 16
_FMT_BYTES = 40
"""Of the extensible form, the longest."""

_AFTER_DATA = frozenset([b"LIST", b"JUNK", b"PAD ", b"fact", b"PEAK", b"bext", b"cue ", b"smpl", b"id3 ", b"ID3 "])
"""Chunks that may follow the samples."""


def wav_chunks(inbox: Inbox) -> Sounding:
    """Yield the samples of one WAV, or of several, one behind another.

    A header is looked for where a block ends by its own size, and never among samples. If there is none, samples go on
    to the end: the size was written when nothing was known (0) or only the first of them.

    Raises:
        RequestError: samples are coded in a way not read here, or a header makes no sense.
    """
    while (yield from _starts(inbox)):
        yield from inbox.skip(12)
        header = yield from _read_header(inbox)
        if header is None:
            return
        coding, sample_rate, size = header
        if size:
            yield from pcm_chunks(inbox, coding, sample_rate, size)
            yield from _skip_trailer(inbox, size)
            if is_text((yield from inbox.peek(64))):
                return
        if not (yield from _starts(inbox)):
            yield from pcm_chunks(inbox, coding, sample_rate)


def _starts(inbox: Inbox) -> Waiting[bool]:
    """Is the beginning of a WAV next?"""
    start = yield from inbox.peek(12)
    return start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE"


def _read_header(inbox: Inbox) -> Waiting[tuple[Coding, int, int] | None]:
    """Read up to the first sample; return coding, rate and bytes of samples, or None if they never come."""
    form: tuple[Coding, int] | None = None
    while len(head := (yield from inbox.take(8))) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            if form is None:
                raise RequestError("The WAV that came does not say how its samples are coded. Ask for another format.")
            return *form, size
        body = b""
        if name == b"fmt ":
            body = yield from inbox.take(min(size, _FMT_BYTES))
            if len(body) < min(size, _FMT_BYTES):
                return None
            form = _form(body)
        yield from inbox.skip(size + size % 2 - len(body))
    return None


def _form(body: bytes) -> tuple[Coding, int]:
    """Read a fmt chunk."""
    tag, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", body[:16].ljust(16, b"\0"))
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(body[24:26], "little")  # the GUID of the true coding starts with its old number
    number = _NUMBERS.get((tag, bits))
    if number is None or not 1 <= channels <= _MOST_CHANNELS:
        raise RequestError(
            f"The WAV that came is coded in a way not read here (coding {tag}, {bits} bits, {channels} channels). "
            "Ask for another format."
        )
    return Coding(number, channels), sample_rate


def _skip_trailer(inbox: Inbox, size: int) -> Waiting[None]:
    """Let pass what belongs to a file whose samples had `size` bytes."""
    if size % 2 and (yield from inbox.peek(1)) == b"\0":
        yield from inbox.skip(1)
    while (head := (yield from inbox.peek(8)))[:4] in _AFTER_DATA:
        length = int.from_bytes(head[4:], "little")
        yield from inbox.skip(8 + length + length % 2)
