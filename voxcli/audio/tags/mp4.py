"""MP4 boxes with tags: those of iTunes, which players show, and XMP.

Sources: ISO/IEC 14496-12 (boxes); Adobe's XMP specification, part 3, 1.2.7 (the UUID). What iTunes writes is described
by https://mutagen.readthedocs.io/en/latest/api/mp4.html and by the muxer of FFmpeg.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from voxcli.audio.tags import COMMENT, LYRICS, SOFTWARE, SOURCE_TYPE, Tags
from voxcli.audio.tags.id3 import find_source_type, xmp_packet

_SHOWN = {COMMENT: b"\xa9cmt", SOFTWARE: b"\xa9too", LYRICS: b"\xa9lyr"}
_NAMES = {code: name for name, code in _SHOWN.items()}
_XMP = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_MEAN = b"com.apple.iTunes"
_UTF8 = struct.pack(">II", 1, 0)
"""Type and country of a text."""
_JPEG, _PNG = 13, 14
"""Types of a picture."""
_MOST_BOX = 64 * 2**20
_FULL_BOX_BYTES = 4
_CONTAINERS = (b"moov", b"udta", b"ilst")
_HANDLER = b"mdirappl"


@dataclass(frozen=True, slots=True)
class Boxes:
    """What is in a file: its tags, and where its media data lie."""

    tags: Tags
    spans: tuple[tuple[int, int], ...]
    missing: int
    """Bytes of media data that are promised and not there."""


def read_boxes(file: BinaryIO, size: int) -> Boxes:
    """Read the boxes of a file."""
    tags: dict[str, str] = {}
    spans, missing = [], 0
    for code, begin, end in _boxes_of_file(file, size):
        if code == b"mdat":
            spans.append((begin, min(end, size)))
            missing += max(0, end - size)
        elif end - begin <= _MOST_BOX and code in (b"moov", b"uuid"):
            file.seek(begin)
            data = file.read(end - begin)
            if code == b"moov":
                _read_tags(data, tags)
            elif data.startswith(_XMP) and (source_type := find_source_type(data)):
                tags.setdefault(SOURCE_TYPE, source_type)
    return Boxes(tags, tuple(spans), missing)


def add_tags(file: BinaryIO, tags: Tags, cover: bytes | None = None) -> bool:
    """Add tags to those of a file whose box `moov` is the last one, as FFmpeg writes it. Return whether it is.

    Args:
        file: open for reading and writing.
        cover: a picture, JPEG or PNG.
    """
    size = file.seek(0, os.SEEK_END)
    boxes = list(_boxes_of_file(file, size))
    if not boxes or boxes[-1][0] != b"moov" or boxes[-1][2] != size:
        return False
    begin = boxes[-1][1] - 8
    file.seek(begin + 8)
    moov = file.read()
    file.seek(begin)
    items = b"".join(_item(name, text) for name, text in tags.items()) + (_cover(cover) if cover else b"")
    file.write(_box(b"moov", _with_items(moov, items)))
    if SOURCE_TYPE in tags:
        file.write(_box(b"uuid", _XMP + xmp_packet(tags[SOURCE_TYPE])))
    return True


def _with_items(moov: bytes, items: bytes) -> bytes:
    """Return `moov` with further items in its list, which is made if there is none."""
    handler = _box(b"hdlr", bytes(8) + _HANDLER + bytes(9))
    kept = [(code, data) for code, data in _boxes(moov) if code != b"udta"]
    user = [(code, data) for found, inside in _boxes(moov) if found == b"udta" for code, data in _boxes(inside)]
    listed = b""
    for code, data in user:
        if code == b"meta":
            inside = dict(_boxes(data[_FULL_BOX_BYTES:]))
            listed, handler = inside.get(b"ilst", b""), _box(b"hdlr", inside[b"hdlr"]) if b"hdlr" in inside else handler
    meta = _box(b"meta", bytes(_FULL_BOX_BYTES) + handler + _box(b"ilst", listed + items))
    others = b"".join(_box(code, data) for code, data in user if code != b"meta")
    return b"".join(_box(code, data) for code, data in kept) + _box(b"udta", others + meta)


def _item(name: str, text: str) -> bytes:
    data = _box(b"data", _UTF8 + text.encode())
    if name in _SHOWN:
        return _box(_SHOWN[name], data)
    mean = _box(b"mean", bytes(_FULL_BOX_BYTES) + _MEAN)
    return _box(b"----", mean + _box(b"name", bytes(_FULL_BOX_BYTES) + name.encode()) + data)


def _cover(picture: bytes) -> bytes:
    kind = _PNG if picture.startswith(b"\x89PNG") else _JPEG
    return _box(b"covr", _box(b"data", struct.pack(">II", kind, 0) + picture))


def _box(code: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), code) + data


def _boxes_of_file(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box, and where its content begins and ends."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, code = struct.unpack(">I4s", file.read(8))
        begin = position + 8
        if length == 1 and begin + 8 <= size:
            (length,) = struct.unpack(">Q", file.read(8))
            begin += 8
        end = size if length == 0 else position + length
        if end < begin:
            return
        yield code, begin, end
        position = end


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        length, code = struct.unpack_from(">I4s", data, position)
        end = len(data) if length == 0 else position + length
        if end < position + 8:
            return
        yield code, data[position + 8 : end]
        position = end


def _read_tags(data: bytes, tags: dict[str, str]) -> None:
    for code, inside in _boxes(data):
        if code in _CONTAINERS:
            _read_tags(inside, tags)
        elif code == b"meta":
            _read_tags(inside[_FULL_BOX_BYTES:], tags)
        elif code == b"----" or code in _NAMES:
            parts = dict(_boxes(inside))
            name = _NAMES.get(code) or parts.get(b"name", b"")[_FULL_BOX_BYTES:].decode(errors="replace")
            if b"data" in parts and name:
                tags[name] = parts[b"data"][len(_UTF8) :].decode(errors="replace")
