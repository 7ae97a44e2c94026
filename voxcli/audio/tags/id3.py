"""ID3v2 tags, in front of MP3 and AAC, and as a chunk of WAV.

Sources: https://id3.org/id3v2.3.0 and https://id3.org/id3v2.4.0-structure; for XMP in a PRIV frame, Adobe's XMP
specification, part 3, 1.1.4. Version 3 is written, which Windows reads too.
"""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from voxcli.audio.tags import COMMENT, LYRICS, SOFTWARE, SOURCE_TYPE, Tags

HEADER_BYTES = 10
_LANGUAGE = b"und"
_OWNER_OF_XMP = b"XMP\0"
_CODECS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
"""By the byte that states the encoding of a text."""
_TEXTS = {
    SOFTWARE: b"TSSE",
    "TITLE": b"TIT2",
    "ARTIST": b"TPE1",
    "ALBUM": b"TALB",
    "TRACKNUMBER": b"TRCK",
    "GENRE": b"TCON",
    "COMPOSER": b"TCOM",
}
"""Frames of one text. The names are those of Vorbis comments."""
_NAMES = {frame: name for name, frame in _TEXTS.items()}
_UNSYNCHRONIZED, _EXTENDED = 0x80, 0x40

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><Iptc4xmpExt:DigitalSourceType>{}'
    '</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_IN_XMP = re.compile(rb"DigitalSourceType(?:>|=[\"'])\s*([^<\"']+)")


def id3_tag(tags: Tags, size: int = 0) -> bytes:
    """Return a tag of at least `size` bytes, filled up with zeros, which readers skip."""
    body = b"".join(_frame(name, value) for name, value in tags.items())
    body = body.ljust(size - HEADER_BYTES, b"\0")
    return b"ID3\3\0\0" + bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0)) + body


def xmp_packet(source_type: str) -> bytes:
    """Return the digital source type as XMP."""
    return _XMP.format(escape(source_type)).encode()


def find_source_type(xmp: bytes) -> str | None:
    """Return the digital source type in XMP, if it has one."""
    found = _IN_XMP.search(xmp)
    return found[1].decode(errors="replace").strip() if found else None


def size_of_id3(start: bytes) -> int:
    """Return the bytes of a tag, from its first ones; 0 if this is no tag."""
    if len(start) < HEADER_BYTES or not start.startswith(b"ID3") or max(start[6:10]) > 0x7F:
        return 0
    return HEADER_BYTES + _syncsafe(start[6:10])


def read_id3(tag: bytes) -> dict[str, str]:
    """Return the tags in a tag of version 3 or 4, under the names that `id3_tag` takes; others under their own."""
    size = size_of_id3(tag)
    if not size or tag[3] not in (3, 4):
        return {}
    version, flags, body = tag[3], tag[5], tag[HEADER_BYTES:size]
    if version == 3 and flags & _UNSYNCHRONIZED:
        body = body.replace(b"\xff\0", b"\xff")
    if flags & _EXTENDED and len(body) >= 4:
        body = body[4 + int.from_bytes(body[:4], "big") if version == 3 else _syncsafe(body[:4]) :]
    read: dict[str, str] = {}
    for name, data in _frames(body, version):
        _read_frame(name, data, read)
    return read


def _frame(name: str, value: str) -> bytes:
    match name:
        case _ if name in _TEXTS:
            return _framed(_TEXTS[name], _text(value))
        case "COMMENT" | "LYRICS":
            coding = _text(value)[:1]
            empty = b"\0" if coding == b"\0" else b"\xff\xfe\0\0"
            return _framed(b"COMM" if name == COMMENT else b"USLT", coding + _LANGUAGE + empty + _text(value)[1:])
        case "DIGITALSOURCETYPE":
            return _framed(b"PRIV", _OWNER_OF_XMP + xmp_packet(value)) + _user_text(name, value)
        case _:
            return _user_text(name, value)


def _user_text(name: str, value: str) -> bytes:
    text = _text(value)
    if text[:1] == b"\0":
        return _framed(b"TXXX", b"\0" + name.encode("latin-1") + b"\0" + text[1:])
    return _framed(b"TXXX", b"\1\xff\xfe" + name.encode("utf-16-le") + b"\0\0" + text[1:])


def _text(value: str) -> bytes:
    """Return a text behind the byte that states its encoding: ASCII, or UTF-16 with its mark."""
    return b"\0" + value.encode() if value.isascii() else b"\1\xff\xfe" + value.encode("utf-16-le")


def _framed(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "big") + b"\0\0" + data


def _frames(body: bytes, version: int) -> Iterator[tuple[bytes, bytes]]:
    while len(body) > HEADER_BYTES and body[0]:
        size = int.from_bytes(body[4:8], "big") if version == 3 else _syncsafe(body[4:8])
        yield body[:4], body[HEADER_BYTES : HEADER_BYTES + size]
        body = body[HEADER_BYTES + size :]


def _read_frame(name: bytes, data: bytes, read: dict[str, str]) -> None:
    if name == b"PRIV" and data.startswith(_OWNER_OF_XMP):
        if source_type := find_source_type(data):
            read.setdefault(SOURCE_TYPE, source_type)
        return
    if not data or data[0] >= len(_CODECS):
        return
    codec = _CODECS[data[0]]
    if name in (b"COMM", b"USLT"):
        description, text = _split(data[4:], codec)
        read[description or {b"COMM": COMMENT, b"USLT": LYRICS}[name]] = text
    elif name == b"TXXX":
        description, text = _split(data[1:], codec)
        read[description] = text
    elif name in _NAMES:
        read[_NAMES[name]] = _decoded(data[1:], codec)


def _split(data: bytes, codec: str) -> tuple[str, str]:
    """Return a description and the text behind it."""
    width = 2 if codec.startswith("utf-16") else 1
    end = next((i for i in range(0, len(data), width) if not any(data[i : i + width])), len(data))
    return _decoded(data[:end], codec), _decoded(data[end + width :], codec)


def _decoded(data: bytes, codec: str) -> str:
    return data.decode(codec, "replace").rstrip("\0").removeprefix("\ufeff")


def _syncsafe(data: bytes) -> int:
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size
