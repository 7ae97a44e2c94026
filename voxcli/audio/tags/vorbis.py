"""Vorbis comments, in FLAC and Ogg Opus.

Sources: https://www.xiph.org/vorbis/doc/v-comment.html; RFC 9639 §8 (FLAC); RFC 3533 and RFC 7845 (Ogg, Opus).
"""

import struct
from collections.abc import Iterator

from voxcli.audio.tags import Tags

_FLAC = b"fLaC"
_STREAMINFO, _PADDING, _COMMENT = 0, 1, 4
_LAST = 0x80

_OPUS_TAGS = b"OpusTags"
_PAGE_HEADER = 27
MOST_OPUS_TAGS = 254 * 255
"""Bytes that fit into one page."""


def vorbis_comment(tags: Tags, vendor: bytes) -> bytes:
    """Return a list of comments. A name may hold what `=` does not end."""
    fields = [f"{name}={value}".encode() for name, value in tags.items()]
    parts = [vendor, *fields]
    lengths = [struct.pack("<I", len(part)) + part for part in parts]
    return b"".join([lengths[0], struct.pack("<I", len(fields)), *lengths[1:]])


def read_vorbis_comment(data: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the vendor and the tags, with names in capitals. What is cut off is left out."""
    tags: dict[str, str] = {}
    try:
        vendor, position = _sized(data, 0)
        (count,) = struct.unpack_from("<I", data, position)
        position += 4
        for _ in range(min(count, len(data))):
            field, position = _sized(data, position)
            name, equals, value = field.decode(errors="replace").partition("=")
            if equals:
                tags[name.upper()] = value
    except (struct.error, IndexError):
        return b"", tags
    return vendor, tags


def flac_blocks(data: bytes) -> list[tuple[int, bytes]] | None:
    """Return the metadata blocks of FLAC as their types and contents; None if they are not complete."""
    blocks, position = [], len(_FLAC)
    while position + 4 <= len(data):
        kind, size = data[position], int.from_bytes(data[position + 1 : position + 4], "big")
        end = position + 4 + size
        if end > len(data):
            return None
        blocks.append((kind & ~_LAST, data[position + 4 : end]))
        if kind & _LAST:
            return blocks
        position = end
    return None


def flac_tags(blocks: list[tuple[int, bytes]]) -> dict[str, str]:
    """Return the tags in metadata blocks."""
    return next((read_vorbis_comment(data)[1] for kind, data in blocks if kind == _COMMENT), {})


def size_of_flac_head(blocks: list[tuple[int, bytes]]) -> int:
    return len(_FLAC) + sum(4 + len(data) for _, data in blocks)


def flac_head(plain: bytes, tags: Tags, size: int = 0) -> bytes:
    """Return the metadata of a FLAC stream with other tags, filled up to `size` bytes.

    plain: the metadata as the encoder wrote it.
    """
    blocks = flac_blocks(plain)
    if blocks is None:
        raise ValueError("this is not the start of a FLAC stream")
    vendor = next((read_vorbis_comment(data)[0] for kind, data in blocks if kind == _COMMENT), b"")
    kept = [(kind, data) for kind, data in blocks if kind not in (_COMMENT, _PADDING)]
    room = size - size_of_flac_head([*kept, (_COMMENT, vorbis_comment(tags, vendor))])
    if 0 < room < 4:  # less than the header of a block
        vendor += b" " * room
    kept.append((_COMMENT, vorbis_comment(tags, vendor)))
    if room >= 4:
        kept.append((_PADDING, bytes(room - 4)))
    last = len(kept) - 1
    return _FLAC + b"".join(
        bytes([kind | (_LAST if number == last else 0)]) + len(data).to_bytes(3, "big") + data
        for number, (kind, data) in enumerate(kept)
    )


def ogg_pages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each complete page of Ogg begins and ends, and its content."""
    position = 0
    while data.startswith(b"OggS", position) and position + _PAGE_HEADER <= len(data):
        segments = data[position + _PAGE_HEADER - 1]
        begin = position + _PAGE_HEADER + segments
        end = begin + sum(data[position + _PAGE_HEADER : begin])
        if end > len(data):
            return
        yield position, end, data[begin:end]
        position = end


def size_of_opus_head(data: bytes) -> int:
    """Return the bytes of the two header packets of Opus; 0 if they are not complete, or in other pages."""
    pages = [page for _, page in zip(range(2), ogg_pages(data), strict=False)]
    if len(pages) < 2 or not pages[0][2].startswith(b"OpusHead") or not pages[1][2].startswith(_OPUS_TAGS):
        return 0
    return _end_of_tags(data)


def _end_of_tags(data: bytes) -> int:
    """Return the end of the page on which the second packet ends."""
    for number, (begin, end, _) in enumerate(ogg_pages(data)):
        segments = data[begin + _PAGE_HEADER : begin + _PAGE_HEADER + data[begin + _PAGE_HEADER - 1]]
        if number and segments and segments[-1] < 255:
            return end
    return 0


def opus_tags(head: bytes) -> dict[str, str]:
    """Return the tags of Opus, from its header pages."""
    packet = b"".join(content for _, _, content in list(ogg_pages(head))[1:])
    return read_vorbis_comment(packet.removeprefix(_OPUS_TAGS))[1]


def opus_head(plain: bytes, tags: Tags, size: int = 0) -> bytes:
    """Return the header pages of Ogg Opus with other tags, filled up to `size` bytes.

    Args:
        plain: the pages as the encoder wrote them: one for each of the two packets.

    Raises:
        ValueError: it is no such stream, or the tags do not fit into one page.
    """
    (_, first, _), (second, _, content) = list(ogg_pages(plain))
    vendor = read_vorbis_comment(content.removeprefix(_OPUS_TAGS))[0]
    packet = _OPUS_TAGS + vorbis_comment(tags, vendor)
    segments, rest = divmod(max(size - first - _PAGE_HEADER - 1, 0), 256)  # a byte of the table for 255 of the packet
    packet = packet.ljust(255 * segments + rest, b"\0")
    return plain[:first] + _page(plain[second : second + _PAGE_HEADER - 5], packet)


def _page(start: bytes, packet: bytes) -> bytes:
    """Return one page with one packet.

    start: the header of the page up to its checksum.
    """
    if len(packet) > MOST_OPUS_TAGS:
        raise ValueError("the tags do not fit into one page")
    segments = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    behind = bytes([len(segments)]) + segments + packet
    return start + struct.pack("<I", _checksum(start + bytes(4) + behind)) + behind


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _table()


def _checksum(page: bytes) -> int:
    """Return the checksum of a page whose own is 0: CRC-32 with the generator polynomial 0x04C11DB7, not reflected."""
    crc = 0
    for byte in page:
        crc = crc << 8 & 0xFFFFFFFF ^ _CRC[crc >> 24 ^ byte]
    return crc


def _sized(data: bytes, position: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<I", data, position)
    end = position + 4 + length
    if end > len(data):
        raise IndexError
    return data[position + 4 : end], end
