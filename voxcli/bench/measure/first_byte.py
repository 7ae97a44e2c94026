"""Where sound begins in a file that is still arriving: behind its headers."""

from collections.abc import Callable

_LONGEST_HEADER = 1 << 20
"""Bytes. Pictures in tags are large, but no header of a stream is."""


class SoundBytes:
    """Counts the bytes of an answer, and notes when the first one came that is sound."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.count = 0
        self.began: float | None = None
        """By the clock."""
        self._clock = clock
        self._head = b""

    def note(self, data: bytes) -> None:
        """Take what came."""
        now = self._clock()
        self.count += len(data)
        if self.began is not None:
            return
        self._head += data
        offset = sound_offset(self._head)
        if offset is None and len(self._head) > _LONGEST_HEADER:
            offset = 0
        if offset is not None and self.count > offset:
            self.began, self._head = now, b""


def sound_offset(head: bytes) -> int | None:
    """Return how many bytes of a file come before its sound, or None if that cannot be known yet."""
    if len(head) < 4:
        return None
    reader = _READERS.get(head[:4])
    if reader is None:
        return _after_id3(head) if head[:3] == b"ID3" else 0
    try:
        return reader(head)
    except IndexError:
        return None


def _after_riff(head: bytes) -> int:
    place = 12
    while head[place : place + 4] != b"data":
        size = _whole(head, place + 4, 4, "little")
        place += 8 + size + size % 2
    return place + 8


def _after_flac(head: bytes) -> int:
    place, last = 4, False
    while not last:
        last = bool(head[place] & 0x80)
        place += 4 + _whole(head, place + 1, 3, "big")
    return place


def _after_ogg(head: bytes) -> int:
    """Pages whose position is 0 hold headers (RFC 7845, section 4; the same goes for Vorbis)."""
    place = 0
    while _whole(head, place + 6, 8, "little") == 0:
        segments = head[place + 26]
        sizes = head[place + 27 : place + 27 + segments]
        if len(sizes) < segments:
            raise IndexError
        place += 27 + segments + sum(sizes)
    return place


def _after_id3(head: bytes) -> int | None:
    if len(head) < 10:
        return None
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _whole(head: bytes, place: int, length: int, order: str) -> int:
    """Read a number. Raises IndexError if it is not all there."""
    field = head[place : place + length]
    if len(field) < length:
        raise IndexError
    return int.from_bytes(field, "little" if order == "little" else "big")


_READERS: dict[bytes, Callable[[bytes], int]] = {b"RIFF": _after_riff, b"fLaC": _after_flac, b"OggS": _after_ogg}
