"""Opus and Vorbis in Ogg, page by page.

Sources: RFC 7845 for Opus, "Vorbis I specification" §4.2 and §A for Vorbis.
"""

from collections.abc import Iterator
from typing import Literal

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps
from voxcli.audio.stream_decoding.containers import OggPage, next_page
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder
from voxcli.errors import RequestError

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_LONGEST_PACKET = 1 << 20
"""Bytes. Only tags with cover pictures are longer, and their rest is not needed."""


def ogg_chunks(buffer: ByteBuffer) -> ChunkSteps:
    """Yield the samples of a logical stream, or of several in a row, as sent by servers that encode each chunk alone.

    Raises:
        RequestError: it holds neither Opus nor Vorbis, or their headers are invalid.
    """
    stream: _LogicalStream | None = None
    while page := (yield from next_page(buffer)):
        for number, (length, whole) in enumerate(page.pieces()):
            piece = yield from buffer.take(length)
            if number == 0 and page.flags & _FIRST:
                stream = _new_stream(page.serial, piece) or stream
            if stream is None or stream.serial != page.serial or len(piece) < length:
                continue
            if number == 0:
                stream.start_page(page)
            yield from stream.decode(piece, whole)
    if stream is None:
        raise RequestError("The received Ogg holds neither Opus nor Vorbis. Ask for another format.")


class _LogicalStream:
    """A logical bitstream: joins packets that span pages, and trims the last page to its true length."""

    def __init__(self, serial: bytes, codec: Literal["libopus", "vorbis"], header_packets: int, pre_skip: int) -> None:
        self.serial = serial
        self._codec = codec
        self._header_packets = header_packets
        self._headers: list[bytes] = []
        self._decoder: PacketDecoder | None = None
        self._partial = b""
        self._lost_start = False
        self._granule = pre_skip
        self._remaining: int | None = None

    def start_page(self, page: OggPage) -> None:
        """Note the header of the page that the next pieces are from."""
        continued = bool(page.flags & _CONTINUED)
        if not continued:
            self._partial = b""
        self._lost_start = continued and not self._partial
        count = page.granule - self._granule
        self._remaining = count if page.flags & _LAST and count >= 0 else None
        self._granule = max(page.granule, self._granule)

    def decode(self, piece: bytes, whole: bool) -> Iterator[AudioChunk]:
        """Take a piece of a packet; yield the samples of the packet once it is `whole`."""
        if self._lost_start:  # the page with its first piece is missing
            self._lost_start = not whole
            return
        packet = self._partial + piece
        self._partial = b"" if whole else packet[:_LONGEST_PACKET]
        if not whole:
            return
        if self._decoder is None:
            self._read_header(packet)
            return
        for chunk in self._decoder.decode(packet):
            samples = chunk.samples[: self._remaining]
            if self._remaining is not None:
                self._remaining -= len(samples)
            yield AudioChunk(samples, chunk.sample_rate)

    def _read_header(self, packet: bytes) -> None:
        self._headers.append(packet)
        if len(self._headers) == self._header_packets:
            setup = self._headers[0] if self._codec == "libopus" else _laced(self._headers)
            self._decoder = PacketDecoder(self._codec, setup)


def _new_stream(serial: bytes, first_packet: bytes) -> _LogicalStream | None:
    if first_packet.startswith(b"OpusHead"):
        # The decoder reads the pre-skip from this packet as well, and drops those samples itself.
        return _LogicalStream(serial, "libopus", 2, int.from_bytes(first_packet[10:12], "little"))
    if first_packet.startswith(b"\x01vorbis"):
        return _LogicalStream(serial, "vorbis", 3, 0)
    return None


def _laced(headers: list[bytes]) -> bytes:
    """Return the Vorbis headers as FFmpeg expects them: the count of all but the last, their lengths, then all."""
    *others, _ = headers
    lengths = b"".join(b"\xff" * (len(header) // 255) + bytes([len(header) % 255]) for header in others)
    return bytes([len(others)]) + lengths + b"".join(headers)
