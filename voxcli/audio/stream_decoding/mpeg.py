"""MP3 and AAC (ADTS) streams: frames, and files concatenated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps, Reading
from voxcli.audio.stream_decoding.mpeg_headers import adts_length, id3_length, mp3_length, mp3_samples
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder

_LengthOf: TypeAlias = Callable[[bytes], int]
"""Returns the length of the frame that starts with these bytes, or 0 if none does."""

_HEADER_BYTES = 10
"""Enough for every frame header and for that of an ID3 tag."""

_DECODER_DELAY = 529
"""Samples by which every MP3 decoder delays its output (LAME's documentation)."""


def aac_chunks(buffer: ByteBuffer) -> ChunkSteps:
    """Yield the samples of ADTS frames."""
    decoder = PacketDecoder("aac")
    while frame := (yield from _next_frame(buffer, adts_length)):
        yield from decoder.decode(frame)


def mp3_chunks(buffer: ByteBuffer) -> ChunkSteps:
    """Yield the samples of Layer III frames, without the padding of files that state it.

    Old VoxCPM servers send a whole file for each patch; without the padding they join without gaps.
    """
    decoder = PacketDecoder("mp3float")
    gapless = _Gapless()
    position = 0
    while frame := (yield from _next_frame(buffer, mp3_length)):
        if (info := _info_at(frame)) is not None:
            gapless = _read_gapless(frame, info)
            position = 0
            continue
        for chunk in decoder.decode(frame):
            yield gapless.trimmed(chunk, position)
        position += mp3_samples(frame)


def _next_frame(buffer: ByteBuffer, length_of: _LengthOf) -> Reading[bytes]:
    """Return the next whole frame, b"" at the end. Tags and damaged parts are skipped."""
    while start := (yield from buffer.peek(_HEADER_BYTES)):
        if length := length_of(start):
            frame = yield from buffer.take(length)
            return frame if len(frame) == length else b""
        if tag := id3_length(start):
            yield from buffer.skip(tag)
        else:
            yield from _skip_damage(buffer, length_of)
    return b""


def _skip_damage(buffer: ByteBuffer, length_of: _LengthOf) -> Reading[None]:
    """Skip to a frame that is followed by another frame, by a tag or by the end."""
    yield from buffer.skip(1)
    while (yield from buffer.skip_to(b"\xff")):
        length = length_of((yield from buffer.peek(_HEADER_BYTES)))
        if length:
            following = yield from buffer.peek(_HEADER_BYTES, length)
            if not following or length_of(following) or id3_length(following):
                return
        yield from buffer.skip(1)


@dataclass(frozen=True, slots=True)
class _Gapless:
    """The range of samples of a file that is not padding, counted from its first frame."""

    start: int = 0
    stop: int = 0
    end: int = 0
    """From `stop` up to here is padding. Later frames are not counted in the file's header."""

    def trimmed(self, chunk: AudioChunk, position: int) -> AudioChunk:
        count = len(chunk.samples)
        first = min(max(self.start - position, 0), count)
        last = count if position >= self.end else min(max(self.stop - position, first), count)
        return AudioChunk(chunk.samples[first:last], chunk.sample_rate)


def _info_at(frame: bytes) -> int | None:
    """Return the offset of the Xing header in a frame, if it holds one in place of audio."""
    is_mono, is_mpeg_1 = frame[3] >> 6 == 3, mp3_samples(frame) == 1152
    start = 4 + {(True, True): 17, (False, True): 32, (True, False): 9, (False, False): 17}[is_mono, is_mpeg_1]
    return start if frame[start : start + 4] in (b"Xing", b"Info") else None


def _read_gapless(frame: bytes, start: int) -> _Gapless:
    """Read the padding at both ends, which LAME and FFmpeg state; none otherwise."""
    flags = frame[start + 7]
    at = start + 8
    frames = int.from_bytes(frame[at : at + 4], "big") if flags & 1 else 0
    at += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if frame[at : at + 4] not in (b"LAME", b"Lavf", b"Lavc"):
        return _Gapless()
    padding = int.from_bytes(frame[at + 21 : at + 24], "big")
    before, after = padding >> 12, padding & 0xFFF
    end = frames * mp3_samples(frame)
    return _Gapless(before + _DECODER_DELAY, end - after + _DECODER_DELAY, end)
