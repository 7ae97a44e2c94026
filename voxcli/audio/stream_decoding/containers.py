"""Container headers of FLAC and Ogg, and the offset of the audio in a file of any format.

Sources: RFC 9639 §8 for FLAC, RFC 3533 for Ogg. Does not load FFmpeg, so that measuring a server does not either.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, Reading
from voxcli.audio.stream_decoding.mpeg_headers import id3_length
from voxcli.audio.stream_decoding.wav import RIFF_HEADER_BYTES, RIFF_MARKERS, read_wav_header
from voxcli.errors import RequestError

FLAC_MARKER = b"fLaC"
_STREAMINFO_BYTES = 34
OGG_MARKER = b"OggS"
OGG_HEADER_BYTES = 27
_ID3_HEADER_BYTES = 10


def audio_offset(head: bytes) -> int | None:
    """Return how many bytes of a file come before its first audio data.

    Args:
        head: the first bytes of the file, as many as have arrived.

    Returns:
        0 for a format without a header, the bytes read so far for an invalid one, None if more bytes are needed.
    """
    buffer = ByteBuffer()
    buffer.append(head)
    try:
        next(_skip_headers(buffer))
    except (StopIteration, RequestError):
        return buffer.position
    return None


def _skip_headers(buffer: ByteBuffer) -> Reading[None]:
    marker = yield from buffer.peek(4)
    if marker in RIFF_MARKERS:
        yield from buffer.skip(RIFF_HEADER_BYTES)
        yield from read_wav_header(buffer)
    elif marker == FLAC_MARKER:
        yield from read_flac_setup(buffer)
    elif marker == OGG_MARKER:
        yield from _skip_ogg_headers(buffer)
    elif marker.startswith(b"ID3"):
        yield from buffer.skip(id3_length((yield from buffer.peek(_ID3_HEADER_BYTES))))


def _skip_ogg_headers(buffer: ByteBuffer) -> Reading[None]:
    """Skip the pages at granule position 0, which hold the headers of Opus (RFC 7845 §4) and Vorbis."""
    while _granule((yield from buffer.peek(OGG_HEADER_BYTES))) == 0 and (page := (yield from next_page(buffer))):
        yield from buffer.skip(sum(page.lacing))


def read_flac_setup(buffer: ByteBuffer) -> Reading[bytes | None]:
    """Read everything before the first frame; return STREAMINFO, or None if the input ends before it.

    Raises:
        RequestError: there is no STREAMINFO.
    """
    yield from buffer.skip(len(FLAC_MARKER))
    setup = None
    while len(head := (yield from buffer.take(4))) == 4:
        size = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == 0:
            setup = yield from buffer.take(min(size, _STREAMINFO_BYTES))
            size -= len(setup)
        yield from buffer.skip(size)
        if head[0] & 0x80:
            if setup is None:
                raise RequestError("The received FLAC has no STREAMINFO block. Ask for another format.")
            return setup
    return None


@dataclass(frozen=True, slots=True)
class OggPage:
    """The header of a page."""

    flags: int
    granule: int
    """Samples up to the end of the last packet that ends on this page; -1 if none does."""
    serial: bytes
    lacing: bytes

    def pieces(self) -> Iterator[tuple[int, bool]]:
        """Yield the length of each packet on this page, and whether the packet ends on it."""
        length = 0
        for lace in self.lacing:
            length += lace
            if lace < 255:
                yield length, True
                length = 0
        if length:
            yield length, False


def next_page(buffer: ByteBuffer) -> Reading[OggPage | None]:
    """Read the next page header; damaged parts before it are skipped."""
    while (yield from buffer.skip_to(OGG_MARKER)):
        head = yield from buffer.peek(OGG_HEADER_BYTES)
        if len(head) == OGG_HEADER_BYTES and head[4] == 0:
            yield from buffer.skip(OGG_HEADER_BYTES)
            lacing = yield from buffer.take(head[26])
            return OggPage(head[5], _granule(head), head[14:18], lacing)
        yield from buffer.skip(1)
    return None


def _granule(page_header: bytes) -> int:
    return int.from_bytes(page_header[6:14], "little", signed=True)
