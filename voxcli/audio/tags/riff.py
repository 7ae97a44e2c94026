"""RIFF chunks of a WAV file besides its samples: LIST INFO for players, an ID3 tag with everything, iXML for a text.

Sources: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991); http://www.ixml.info.
"""

import re
import struct
from xml.sax.saxutils import escape, unescape

from voxcli.audio.tags import COMMENT, LYRICS, SOFTWARE, SOURCE_TYPE, Tags
from voxcli.audio.tags.id3 import find_source_type, id3_tag, read_id3

_INFO = {COMMENT: b"ICMT", SOFTWARE: b"ISFT"}
_NAMES = {code: name for name, code in _INFO.items()}
_NOTE = re.compile(r"<NOTE>(.*?)</NOTE>", re.DOTALL)


def tag_chunks(tags: Tags, size: int = 0) -> bytes:
    """Return the chunks that hold tags, filled up to `size` bytes, an even number."""
    info = b"".join(_chunk(code, tags[name].encode() + b"\0") for name, code in _INFO.items() if name in tags)
    shown, tag = _chunk(b"LIST", b"INFO" + info), id3_tag(tags)
    chunks = shown + _chunk(b"id3 ", tag)
    if (room := size - len(chunks)) <= 0:
        return chunks
    return shown + _chunk(b"id3 ", id3_tag(tags, len(tag) + len(tag) % 2 + room))


def text_chunk(text: str) -> bytes:
    """Return a chunk with a text, for the end of the file."""
    clean = "".join(c for c in text if c >= " " or c in "\t\n\r")
    xml = '<?xml version="1.0" encoding="UTF-8"?><BWFXML><IXML_VERSION>2.0</IXML_VERSION><NOTE>{}</NOTE></BWFXML>'
    return _chunk(b"iXML", xml.format(escape(clean, {"\r": "&#13;"})).encode())


def read_chunk(code: bytes, data: bytes) -> dict[str, str]:
    """Return the tags in one chunk, whichever program wrote it."""
    match code.lower():
        case b"list" if data.startswith(b"INFO"):
            return _read_info(data[4:])
        case b"id3 ":
            return read_id3(data)
        case b"ixml":
            found = _NOTE.search(data.decode(errors="replace"))
            return {LYRICS: unescape(found[1], {"&#13;": "\r"})} if found else {}
        case b"_pmx":
            source_type = find_source_type(data)
            return {SOURCE_TYPE: source_type} if source_type else {}
    return {}


def _read_info(data: bytes) -> dict[str, str]:
    read = {}
    while len(data) >= 8:
        code, size = struct.unpack_from("<4sI", data)
        if name := _NAMES.get(code):
            read[name] = data[8 : 8 + size].split(b"\0")[0].decode(errors="replace")
        data = data[8 + size + size % 2 :]
    return read


def _chunk(code: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", code, len(data)) + data + b"\0" * (len(data) % 2)
