"""WAV streams as servers send them: with wrong sizes, or with a header for each block.

Source: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and "New Multimedia
Data Types and Data Techniques" (1994) for the extensible form.
"""

import re
import struct

from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps, Reading
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
RIFF_MARKERS = (b"RIFF", b"RF64")
RIFF_HEADER_BYTES = 12
_MAX_CHANNELS = 16
_FMT_BYTES = 40
"""Of the extensible form, which is the longest."""

_CHUNK_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
_LONGEST_CHUNK = 1 << 26
"""Bytes of a chunk behind the samples. Samples that look like the name of a chunk are rarely followed by less."""


def wav_chunks(buffer: ByteBuffer) -> ChunkSteps:
    """Yield the samples of one WAV, or of several that are concatenated.

    A header is expected only where a block ends by its own size, never among samples. Chunks there, such as tags and
    proofs of origin, are skipped. With neither, samples go on to the end of the input: the size was written before it
    was known (0), or covers the first block only.

    Raises:
        RequestError: the encoding of the samples is not supported, or a header is invalid.
    """
    while (yield from _starts(buffer)):
        yield from buffer.skip(RIFF_HEADER_BYTES)
        header = yield from read_wav_header(buffer)
        if header is None:
            return
        coding, sample_rate, size = header
        if size:
            yield from pcm_chunks(buffer, coding, sample_rate, size)
            skipped = yield from _skip_chunks(buffer, size)
            if (skipped and not (yield from _starts(buffer))) or is_text((yield from buffer.peek(64))):
                return
        if not (yield from _starts(buffer)):
            yield from pcm_chunks(buffer, coding, sample_rate)


def _starts(buffer: ByteBuffer) -> Reading[bool]:
    """Whether a WAV header comes next."""
    start = yield from buffer.peek(RIFF_HEADER_BYTES)
    return start[:4] in RIFF_MARKERS and start[8:] == b"WAVE"


def read_wav_header(buffer: ByteBuffer) -> Reading[tuple[Coding, int, int] | None]:
    """Read from behind the RIFF header to the first sample.

    Returns:
        The coding, the sample rate in Hz and the bytes of samples; None if the input ends before the samples.

    Raises:
        RequestError: the encoding of the samples is not stated or not supported.
    """
    form: tuple[Coding, int] | None = None
    while len(head := (yield from buffer.take(8))) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            if form is None:
                raise RequestError("The received WAV has no fmt chunk before its samples. Ask for another format.")
            return *form, size
        body = b""
        if name == b"fmt ":
            body = yield from buffer.take(min(size, _FMT_BYTES))
            if len(body) < min(size, _FMT_BYTES):
                return None
            form = _form(body)
        yield from buffer.skip(size + size % 2 - len(body))
    return None


def _form(body: bytes) -> tuple[Coding, int]:
    """Read a fmt chunk."""
    tag, channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", body[:16].ljust(16, b"\0"))
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(body[24:26], "little")  # the GUID of the format starts with its tag
    number = _NUMBERS.get((tag, bits))
    if number is None or not 1 <= channels <= _MAX_CHANNELS:
        raise RequestError(
            f"The received WAV has an unsupported encoding (format tag {tag}, {bits} bits, {channels} channels). "
            "Ask for another format."
        )
    return Coding(number, channels), sample_rate


def _skip_chunks(buffer: ByteBuffer, size: int) -> Reading[bool]:
    """Skip the padding and the chunks after `size` bytes of samples; return whether there was a chunk."""
    skipped = False
    if size % 2 and (yield from buffer.peek(1)) == b"\0":
        yield from buffer.skip(1)
    while not (yield from _starts(buffer)):
        head = yield from buffer.peek(8)
        length = int.from_bytes(head[4:], "little")
        if len(head) < 8 or not _CHUNK_NAME.match(head) or length > _LONGEST_CHUNK:
            break
        skipped = True
        yield from buffer.skip(8 + length + length % 2)
    return skipped
