"""Tagged files as they are read: the container, its tags, and where its sound lies."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from voxcli.audio.tags import Tags
from voxcli.audio.tags.id3 import HEADER_BYTES, read_id3, size_of_id3
from voxcli.audio.tags.mp4 import read_boxes
from voxcli.audio.tags.riff import read_chunk
from voxcli.audio.tags.seal import SoundHash
from voxcli.audio.tags.vorbis import flac_blocks, flac_tags, opus_tags, size_of_flac_head, size_of_opus_head

_BLOCK = 2**20
_MOST_HEAD = 64 * 2**20
"""Bytes of tags that are read. FLAC allows 16 MiB for each block."""
_UNKNOWN_SIZES = (0x7FFFF000, 0xFFFFFFFF)
_ID3V1_BYTES, _APE_FOOTER_BYTES = 128, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFile:
    """A file of sound, as far as its tags and the place of its sound are concerned."""

    container: str
    """Such as "WAV", for messages."""
    tags: Tags = field(default_factory=dict)
    spans: tuple[tuple[int, int], ...] = ()
    """Where bytes of sound begin and end."""
    missing: int = 0
    """Bytes of sound that the container promises and the file does not have."""

    def sound(self, file: BinaryIO) -> SoundHash:
        """Hash the sound."""
        found = SoundHash()
        for block in self.blocks(file):
            found.update(block)
        return found

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the bytes of the sound."""
        for begin, end in self.spans:
            file.seek(begin)
            left = end - begin
            while left > 0 and (block := file.read(min(left, _BLOCK))):
                yield block
                left -= len(block)


def read_tagged(file: BinaryIO) -> TaggedFile | None:
    """Read the tags of a file, and find its sound; None if it is in no known container.

    file: open for reading, seekable.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(36)
    if start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:12] == b"WAVE":
        return _read_wav(file, size)
    if start.startswith(b"fLaC"):
        return _read_flac(file, size, 0, {})
    if start.startswith(b"OggS"):
        return _read_ogg(file, size)
    if start[4:8] == b"ftyp":
        boxes = read_boxes(file, size)
        return TaggedFile(container="MP4", tags=boxes.tags, spans=boxes.spans, missing=boxes.missing)
    return _read_mpeg(file, size, start)


def _read_wav(file: BinaryIO, size: int) -> TaggedFile:
    tags: dict[str, str] = {}
    position, sound, missing, long_size = 12, (0, 0), 0, 0
    while position + 8 <= size:
        file.seek(position)
        code, length = struct.unpack("<4sI", file.read(8))
        position += 8
        if code == b"ds64":
            (long_size,) = struct.unpack_from("<Q", file.read(16).ljust(16, b"\0"), 8)
        elif code == b"data":
            if length == 0xFFFFFFFF and long_size:
                length = long_size
            elif length in _UNKNOWN_SIZES:
                length = size - position
            sound = (position, min(position + length, size))
            missing = max(0, position + length - size)
        elif length <= _MOST_HEAD:
            tags |= read_chunk(code, file.read(length))
        position += length + length % 2
    return TaggedFile(container="WAV", tags=tags, spans=(sound,), missing=missing)


def _read_flac(file: BinaryIO, size: int, begin: int, tags: dict[str, str]) -> TaggedFile:
    file.seek(begin)
    blocks = flac_blocks(file.read(_MOST_HEAD))
    if blocks is None:
        return TaggedFile(container="FLAC", tags=tags)
    sound = begin + size_of_flac_head(blocks)
    return TaggedFile(container="FLAC", tags=tags | flac_tags(blocks), spans=((sound, size),))


def _read_ogg(file: BinaryIO, size: int) -> TaggedFile | None:
    file.seek(0)
    start = file.read(_MOST_HEAD)
    if not (head := size_of_opus_head(start)):
        return TaggedFile(container="Ogg")
    return TaggedFile(container="Ogg Opus", tags=opus_tags(start[:head]), spans=((head, size),))


def _read_mpeg(file: BinaryIO, size: int, start: bytes) -> TaggedFile | None:
    """Read MP3 or AAC, whose tags stand in front, and those of other programs behind the sound."""
    tag_bytes = size_of_id3(start)
    file.seek(0)
    tags = read_id3(file.read(min(tag_bytes, _MOST_HEAD)))
    first = file.read(4)
    if first == b"fLaC":
        return _read_flac(file, size, tag_bytes, tags)
    if len(first) >= 2 and first[0] == 0xFF and first[1] & 0xF6 == 0xF0:
        container = "AAC"
    elif (len(first) >= 2 and first[0] == 0xFF and first[1] & 0xE0 == 0xE0) or (tag_bytes and len(first) < 2):
        container = "MP3"
    else:
        return None
    return TaggedFile(container=container, tags=tags, spans=((tag_bytes, _end_of_sound(file, size)),))


def _end_of_sound(file: BinaryIO, size: int) -> int:
    """Return where the sound ends in front of tags that taggers append: APE and ID3v1."""
    file.seek(max(0, size - _ID3V1_BYTES))
    if file.read(3) == b"TAG":
        size -= _ID3V1_BYTES
    file.seek(max(0, size - _APE_FOOTER_BYTES))
    footer = file.read(_APE_FOOTER_BYTES)
    if footer.startswith(b"APETAGEX"):
        length, _, flags = struct.unpack_from("<III", footer, 12)
        size -= length + (_APE_FOOTER_BYTES if flags & 1 << 31 else 0)
    return max(size, HEADER_BYTES)
