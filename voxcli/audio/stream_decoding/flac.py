"""FLAC as it comes: frames that do not say how long they are.

Source: RFC 9639, §8 for what stands in front and §9.1 for the headers of frames.
"""

import re

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding, Waiting
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder
from voxcli.errors import RequestError

_FILE_MARK = b"fLaC"
_STREAMINFO_BYTES = 34
_START = re.compile(rb"\xff[\xf8\xf9]|fLaC\0\0\0\x22|fLaC\x80\0\0\x22")
_LONGEST_START = 16
_LONGEST_FRAME = 1 << 21
"""Bytes. Eight channels of 32 bits just fit with the longest blocks; without a frame for so long there is none."""


def flac_chunks(inbox: Inbox) -> Sounding:
    """Yield the sound of one FLAC file, or of several, one behind another.

    Raises:
        RequestError: the beginning of a file makes no sense.
    """
    while (yield from inbox.peek(4)) == _FILE_MARK:
        setup = yield from _read_setup(inbox)
        if setup is None:
            return
        # Damaged frames are left out, and what is no frame is told from what is.
        yield from _frames(inbox, PacketDecoder("flac", setup, {"err_detect": "crccheck+explode"}))


def _read_setup(inbox: Inbox) -> Waiting[bytes | None]:
    """Read up to the first frame; return STREAMINFO, or None if the frames never come."""
    yield from inbox.skip(len(_FILE_MARK))
    setup = None
    while len(head := (yield from inbox.take(4))) == 4:
        size = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == 0:
            setup = yield from inbox.take(min(size, _STREAMINFO_BYTES))
            size -= len(setup)
        yield from inbox.skip(size)
        if head[0] & 0x80:
            if setup is None:
                raise RequestError("The FLAC that came does not say how it is coded. Ask for another format.")
            return setup
    return None


def _frames(inbox: Inbox, decoder: PacketDecoder) -> Sounding:
    """Yield the sound of frames up to the end, or to the next file."""
    searched = 1
    while (start := (yield from inbox.peek(4))) and start != _FILE_MARK:
        at = inbox.find(_START, searched)
        if at >= 0 and not _is_start((yield from inbox.peek(_LONGEST_START, at))):
            searched = at + 1
        elif at >= 0 or inbox.ended or len(inbox) > _LONGEST_FRAME:
            yield from decoder.decode((yield from inbox.take(at if at >= 0 else _LONGEST_FRAME)))
            searched = 1
        elif sound := _lone_frame(held := (yield from inbox.peek(len(inbox))), decoder):
            yield from sound
            yield from inbox.skip(len(held))
            searched = 1
        else:
            searched = max(1, len(held) - _LONGEST_START)
            yield None


def _lone_frame(held: bytes, decoder: PacketDecoder) -> list[AudioChunk]:
    """Return the sound of `held` if it is one frame, neither less nor more; so it need not wait for the next one."""
    # The decoder would pass over a few bytes of a next frame, which then are missing.
    if any(mark in held[-_LONGEST_START:] for mark in (b"\xff", _FILE_MARK[:1])):
        return []
    return list(decoder.decode(held))


def _is_start(head: bytes) -> bool:
    """Does a frame or a file start here? A chance hit among coded samples fails at the checksum."""
    if head.startswith(_FILE_MARK):
        return True
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return False
    number_bytes = max(1, 8 - (head[4] ^ 0xFF).bit_length())  # coded as in UTF-8
    block_bytes = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    length = 4 + number_bytes + block_bytes + rate_bytes
    return len(head) > length and _crc8(head[:length]) == head[length]


def _crc8(data: bytes) -> int:
    """Return the checksum of a frame's header: x⁸ + x² + x + 1, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
