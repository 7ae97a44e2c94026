"""Heads of files: everything before the first byte of sound, taken apart, tagged, and rewritten in the same size."""

from voxcli.audio.format import AudioFormat
from voxcli.audio.tags import Tags
from voxcli.audio.tags.id3 import id3_tag
from voxcli.audio.tags.vorbis import flac_blocks, flac_head, opus_head, size_of_flac_head, size_of_opus_head

HAVE_ROOM = (AudioFormat.MP3, AudioFormat.AAC, AudioFormat.FLAC, AudioFormat.OPUS)
"""Formats whose first bytes have room for tags, also in a stream. A WAV stream has none: many readers of pipes skip 44
bytes and take the rest for sound."""


def split_head(format: AudioFormat, start: bytes) -> tuple[bytes, bytes]:
    """Return the head that an encoder wrote, and the first bytes of sound behind it.

    start: what it wrote first, which holds all of its head.
    """
    match format:
        case AudioFormat.FLAC:
            blocks = flac_blocks(start)
            size = size_of_flac_head(blocks) if blocks else 0
        case AudioFormat.OPUS:
            size = size_of_opus_head(start)
        case _:
            size = 0
    return start[:size], start[size:]


def tagged_head(format: AudioFormat, plain: bytes, tags: Tags, size: int = 0) -> bytes:
    """Return a head with tags, of `size` bytes if they fit into them.

    Args:
        format: one that has room.
        plain: the head as the encoder wrote it.

    Raises:
        ValueError: the format has no room for them.
    """
    match format:
        case AudioFormat.FLAC:
            return flac_head(plain, tags, size)
        case AudioFormat.OPUS:
            return opus_head(plain, tags, size)
        case _:
            return id3_tag(tags, size)
