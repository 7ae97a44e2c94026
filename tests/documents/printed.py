"""PDF made for tests: text at places of pages, an outline, pictures, and a lock."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Text(NamedTuple):
    """A row of text. Distances are in points, from the lower left corner."""

    left: float
    bottom: float
    text: str
    size: float = 11


PICTURE = Text(0, 0, "\0picture")
"""In the place of a text."""
_WIDTH, _HEIGHT = 612, 792


def column(lines: Iterable[str], *, left: float = 72, top: float = 700, size: float = 11) -> list[Text]:
    """Set lines below one another."""
    return [Text(left, top - 1.3 * size * at, line, size) for at, line in enumerate(lines) if line]


def pdf(
    pages: Sequence[Sequence[Text]],
    *,
    outline: Sequence[tuple[str, int]] = (),
    info: str = "",
    language: str = "",
    locked: bool = False,
    circle: bool = False,
) -> bytes:
    """Build a PDF.

    Args:
        outline: titles and indexes of pages.
        info: entries such as "/Title (A Book)".
        circle: whether the last entry of the outline is followed by the first.
    """
    first_page = 7
    first_entry = first_page + 2 * len(pages)
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {f'/Lang ({language})' if language else ''} "
        f"{'/Outlines 6 0 R' if outline else ''} >>".encode(),
        2: f"<< /Type /Pages /Count {len(pages)} "
        f"/Kids [{' '.join(f'{first_page + 2 * at} 0 R' for at in range(len(pages)))}] >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        4: _stream(
            b"\xff\0\0", "/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceRGB /BitsPerComponent 8"
        ),
        5: f"<< {info} >>".encode(),
        6: f"<< /Type /Outlines /Count {len(outline)} /First {first_entry} 0 R "
        f"/Last {first_entry + len(outline) - 1} 0 R >>".encode(),
    }
    for at, texts in enumerate(pages):
        objects[first_page + 2 * at] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] /Contents {first_page + 2 * at + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> /XObject << /I1 4 0 R >> >> >>"
        ).encode()
        objects[first_page + 2 * at + 1] = _stream("\n".join(map(_shown, texts)).encode("cp1252"))
    for at, (title, page) in enumerate(outline):
        following = first_entry + (at + 1 if at + 1 < len(outline) else 0)
        follows = f"/Next {following} 0 R" if at + 1 < len(outline) or circle else ""
        objects[first_entry + at] = (
            f"<< /Title ({title}) /Parent 6 0 R /Dest [{first_page + 2 * page} 0 R /Fit] {follows} >>".encode()
        )
    lock = b""
    if locked:
        lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]" % ((b"11" * 32,) * 2)
    return _file(objects, lock)


def _shown(text: Text) -> str:
    if text.text == PICTURE.text:
        return "q 600 0 0 780 0 0 cm /I1 Do Q"
    escaped = text.text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F1 {text.size} Tf {text.left} {text.bottom} Td ({escaped}) Tj ET"


def _stream(data: bytes, entries: str = "") -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _file(objects: dict[int, bytes], trailer: bytes) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number in sorted(objects):
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + objects[number] + b"\nendobj\n"
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n" % size
    for number in range(size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    out += b"trailer << /Size %d /Root 1 0 R /Info 5 0 R " % size + trailer + b" >>\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)
