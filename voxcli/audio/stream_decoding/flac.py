"""FLAC streams, whose frames do not state their length.

Source: RFC 9639 §9.1 for the frame headers.
"""

import re

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps
from voxcli.audio.stream_decoding.containers import FLAC_MARKER, read_flac_setup
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder

_START = re.compile(rb"\xff[\xf8\xf9]|fLaC\0\0\0\x22|fLaC\x80\0\0\x22")
_LONGEST_START = 16
_LONGEST_FRAME = 1 << 21
"""Bytes. Eight channels of 32 bits just fit with the longest blocks; more bytes without a frame are damage."""


def flac_chunks(buffer: ByteBuffer) -> ChunkSteps:
    """Yield the samples of one FLAC file, or of several that are concatenated.

    Raises:
        RequestError: a file has an invalid header.
    """
    while (yield from buffer.peek(4)) == FLAC_MARKER:
        setup = yield from read_flac_setup(buffer)
        if setup is None:
            return
        # With checksums on, damaged frames are dropped, and chance matches of the sync code are rejected.
        yield from _frames(buffer, PacketDecoder("flac", setup, {"err_detect": "crccheck+explode"}))


def _frames(buffer: ByteBuffer, decoder: PacketDecoder) -> ChunkSteps:
    """Yield the samples of the frames up to the end, or to the next file."""
    searched = 1
    while (start := (yield from buffer.peek(4))) and start != FLAC_MARKER:
        at = buffer.find(_START, searched)
        if at >= 0 and not _is_start((yield from buffer.peek(_LONGEST_START, at))):
            searched = at + 1
        elif at >= 0 or buffer.ended or len(buffer) > _LONGEST_FRAME:
            yield from decoder.decode((yield from buffer.take(at if at >= 0 else _LONGEST_FRAME)))
            searched = 1
        elif chunks := _lone_frame(held := (yield from buffer.peek(len(buffer))), decoder):
            yield from chunks
            yield from buffer.skip(len(held))
            searched = 1
        else:
            searched = max(1, len(held) - _LONGEST_START)
            yield None


def _lone_frame(held: bytes, decoder: PacketDecoder) -> list[AudioChunk]:
    """Return the samples of `held` if it is exactly one frame, which then need not wait for the next one."""
    # Otherwise the decoder could consume the first bytes of the next frame.
    if any(mark in held[-_LONGEST_START:] for mark in (b"\xff", FLAC_MARKER[:1])):
        return []
    return list(decoder.decode(held))


def _is_start(head: bytes) -> bool:
    """Whether a frame or a file starts here. A chance match among coded samples fails at the checksum."""
    if head.startswith(FLAC_MARKER):
        return True
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return False
    number_bytes = max(1, 8 - (head[4] ^ 0xFF).bit_length())  # coded as in UTF-8
    block_bytes = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    length = 4 + number_bytes + block_bytes + rate_bytes
    return len(head) > length and _crc8(head[:length]) == head[length]


def _crc8(data: bytes) -> int:
    """Return the CRC-8 of a frame header: polynomial x⁸ + x² + x + 1, initial value 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
