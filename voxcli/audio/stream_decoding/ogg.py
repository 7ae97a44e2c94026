"""Opus and Vorbis in Ogg, page by page.

Sources: RFC 3533 for Ogg, RFC 7845 for Opus in it, "Vorbis I specification" §4.2 and §A for Vorbis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding, Waiting
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder
from voxcli.errors import RequestError

_MARK = b"OggS"
_HEADER_BYTES = 27
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_LONGEST_PACKET = 1 << 20
"""Bytes; of titles and cover pictures the rest is not needed."""


def ogg_chunks(inbox: Inbox) -> Sounding:
    """Yield the sound of a stream, or of several, one behind another, as servers send that encode every chunk anew.

    Raises:
        RequestError: neither Opus nor Vorbis is in it, or their beginning makes no sense.
    """
    link: _Link | None = None
    while page := (yield from _next_page(inbox)):
        for number, (length, whole) in enumerate(page.pieces()):
            piece = yield from inbox.take(length)
            if number == 0 and page.flags & _FIRST:
                link = _new_link(page.serial, piece) or link
            if link is None or link.serial != page.serial or len(piece) < length:
                continue
            if number == 0:
                link.turn(page)
            yield from link.sound(piece, whole)
    if link is None:
        raise RequestError("The Ogg that came holds neither Opus nor Vorbis. Ask for another format.")


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands in front of a page."""

    flags: int
    granule: int
    """Samples up to the end of the last packet that ends here; -1 if none does."""
    serial: bytes
    lacing: bytes

    def pieces(self) -> Iterator[tuple[int, bool]]:
        """Yield the lengths of the packets here, and whether they end here."""
        length = 0
        for lace in self.lacing:
            length += lace
            if lace < 255:
                yield length, True
                length = 0
        if length:
            yield length, False


def _next_page(inbox: Inbox) -> Waiting[_Page | None]:
    """Read the next header; damaged parts in front of it are passed over."""
    while (yield from inbox.skip_to(_MARK)):
        head = yield from inbox.peek(_HEADER_BYTES)
        if len(head) == _HEADER_BYTES and head[4] == 0:
            yield from inbox.skip(_HEADER_BYTES)
            lacing = yield from inbox.take(head[26])
            return _Page(head[5], int.from_bytes(head[6:14], "little", signed=True), head[14:18], lacing)
        yield from inbox.skip(1)
    return None


class _Link:
    """A stream within the file: packets over pages, and how much of the last page is sound."""

    def __init__(self, serial: bytes, codec: Literal["libopus", "vorbis"], header_packets: int, pre_skip: int) -> None:
        self.serial = serial
        self._codec = codec
        self._header_packets = header_packets
        self._headers: list[bytes] = []
        self._decoder: PacketDecoder | None = None
        self._partial = b""
        self._headless = False
        self._granule = pre_skip
        self._left: int | None = None

    def turn(self, page: _Page) -> None:
        """Go to the next page."""
        continued = bool(page.flags & _CONTINUED)
        if not continued:
            self._partial = b""
        self._headless = continued and not self._partial
        count = page.granule - self._granule
        self._left = count if page.flags & _LAST and count >= 0 else None
        self._granule = max(page.granule, self._granule)

    def sound(self, piece: bytes, whole: bool) -> Iterator[AudioChunk]:
        """Yield what a packet holds, once it is `whole`."""
        if self._headless:  # its beginning was lost
            self._headless = not whole
            return
        packet = self._partial + piece
        self._partial = b"" if whole else packet[:_LONGEST_PACKET]
        if not whole:
            return
        if self._decoder is None:
            self._read_header(packet)
            return
        for chunk in self._decoder.decode(packet):
            samples = chunk.samples[: self._left]
            if self._left is not None:
                self._left -= len(samples)
            yield AudioChunk(samples, chunk.sample_rate)

    def _read_header(self, packet: bytes) -> None:
        self._headers.append(packet)
        if len(self._headers) == self._header_packets:
            setup = self._headers[0] if self._codec == "libopus" else _laced(self._headers)
            self._decoder = PacketDecoder(self._codec, setup)


def _new_link(serial: bytes, first_packet: bytes) -> _Link | None:
    if first_packet.startswith(b"OpusHead"):
        # The decoder itself leaves out the samples before the start, of which it reads here, too.
        return _Link(serial, "libopus", 2, int.from_bytes(first_packet[10:12], "little"))
    if first_packet.startswith(b"\x01vorbis"):
        return _Link(serial, "vorbis", 3, 0)
    return None


def _laced(headers: list[bytes]) -> bytes:
    """Return Vorbis's headers as FFmpeg takes them: how many are not the last, the lengths of those, then all."""
    *others, _ = headers
    lengths = b"".join(b"\xff" * (len(header) // 255) + bytes([len(header) % 255]) for header in others)
    return bytes([len(others)]) + lengths + b"".join(headers)
