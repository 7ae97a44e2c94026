"""MP3 and AAC as they travel: frame behind frame, file behind file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding, Waiting
from voxcli.audio.stream_decoding.mpeg_headers import adts_length, id3_length, mp3_length, mp3_samples
from voxcli.audio.stream_decoding.packet_decoder import PacketDecoder

_LengthOf: TypeAlias = Callable[[bytes], int]
"""Tells the length of a frame by its start, or 0 if it is none."""

_HEADER_BYTES = 10
"""Enough for every header and for that of a tag."""

_DECODER_DELAY = 529
"""Samples by which MP3 comes late out of any decoder, as LAME's documents have it."""


def aac_chunks(inbox: Inbox) -> Sounding:
    """Yield the sound of ADTS frames."""
    decoder = PacketDecoder("aac")
    while frame := (yield from _next_frame(inbox, adts_length)):
        yield from decoder.decode(frame)


def mp3_chunks(inbox: Inbox) -> Sounding:
    """Yield the sound of Layer III frames, less the padding of files that tell about it.

    Old VoxCPM servers send a whole file for each patch. Their sound is without gaps again.
    """
    decoder = PacketDecoder("mp3float")
    gapless = _Gapless()
    position = 0
    while frame := (yield from _next_frame(inbox, mp3_length)):
        if (info := _info_at(frame)) is not None:
            gapless = _read_gapless(frame, info)
            position = 0
            continue
        for chunk in decoder.decode(frame):
            yield gapless.kept(chunk, position)
        position += mp3_samples(frame)


def _next_frame(inbox: Inbox, length_of: _LengthOf) -> Waiting[bytes]:
    """Return the next whole frame, b"" at the end. Tags and damaged parts are passed over."""
    while start := (yield from inbox.peek(_HEADER_BYTES)):
        if length := length_of(start):
            frame = yield from inbox.take(length)
            return frame if len(frame) == length else b""
        if tag := id3_length(start):
            yield from inbox.skip(tag)
        else:
            yield from _skip_damage(inbox, length_of)
    return b""


def _skip_damage(inbox: Inbox, length_of: _LengthOf) -> Waiting[None]:
    """Go to where a frame is followed by another, or to a tag, or to the end."""
    yield from inbox.skip(1)
    while (yield from inbox.skip_to(b"\xff")):
        length = length_of((yield from inbox.peek(_HEADER_BYTES)))
        if length:
            following = yield from inbox.peek(_HEADER_BYTES, length)
            if not following or length_of(following) or id3_length(following):
                return
        yield from inbox.skip(1)


@dataclass(frozen=True, slots=True)
class _Gapless:
    """Which samples of a file are sound, counted from its first frame."""

    start: int = 0
    stop: int = 0
    end: int = 0
    """From `stop` up to here is padding. Behind are frames that the file did not know of."""

    def kept(self, chunk: AudioChunk, position: int) -> AudioChunk:
        count = len(chunk.samples)
        first = min(max(self.start - position, 0), count)
        last = count if position >= self.end else min(max(self.stop - position, first), count)
        return AudioChunk(chunk.samples[first:last], chunk.sample_rate)


def _info_at(frame: bytes) -> int | None:
    """Return where in a frame, in place of sound, Xing's header starts, if it is there."""
    is_mono, is_mpeg_1 = frame[3] >> 6 == 3, mp3_samples(frame) == 1152
    start = 4 + {(True, True): 17, (False, True): 32, (True, False): 9, (False, False): 17}[is_mono, is_mpeg_1]
    return start if frame[start : start + 4] in (b"Xing", b"Info") else None


def _read_gapless(frame: bytes, start: int) -> _Gapless:
    """Read how much padding there is at both ends; none if the encoder does not say, as LAME and FFmpeg do."""
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
