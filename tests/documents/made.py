"""Documents made for tests: EPUB from pages."""

import io
import zipfile
from collections.abc import Mapping, Sequence

_CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db00000"
    "000049454e44ae426082"
)
"""A picture of one pixel."""


def xhtml(body: str, *, head: str = "<title>Page</title>") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f"<head>{head}</head><body>{body}</body></html>"
    )


def epub(
    pages: Mapping[str, str],
    *,
    toc: Sequence[tuple[str, str]] | str = (),
    ncx: Sequence[tuple[str, str]] = (),
    metadata: str = "<dc:title>A Book</dc:title><dc:creator>Ann Author</dc:creator><dc:language>en</dc:language>",
    spine: Sequence[str] | None = None,
    cover: bytes | None = None,
    extra: Mapping[str, bytes | str] | None = None,
) -> bytes:
    """Build a book.

    Args:
        pages: bodies by file name, in reading order.
        toc: titles and addresses of EPUB 3's table of contents, or its markup.
        ncx: the same of EPUB 2.
        spine: file names in reading order, if it is not that of `pages`.
        extra: more files by path.
    """
    files: dict[str, bytes | str] = {f"OEBPS/{name}": xhtml(body) for name, body in pages.items()}
    items = [f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in pages]
    if toc:
        links = toc if isinstance(toc, str) else "".join(f'<li><a href="{to}">{title}</a></li>' for title, to in toc)
        files["OEBPS/nav.xhtml"] = xhtml(f'<nav epub:type="toc"><ol>{links}</ol></nav>')
        items.append('<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>')
    if ncx:
        points = "".join(
            f'<navPoint id="n{at}"><navLabel><text>{title}</text></navLabel><content src="{to}"/></navPoint>'
            for at, (title, to) in enumerate(ncx)
        )
        files["OEBPS/toc.ncx"] = (
            f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" version="2005-1"><navMap>{points}</navMap></ncx>'
        )
        items.append('<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>')
    if cover:
        files["OEBPS/cover.png"] = cover
        items.append('<item id="c" href="cover.png" media-type="image/png" properties="cover-image"/>')
    refs = "".join(f'<itemref idref="{name}"/>' for name in (pages if spine is None else spine))
    toc_of_epub2 = ' toc="ncx"' if ncx else ""
    files["OEBPS/content.opf"] = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>{metadata}</metadata>'
        f"<manifest>{''.join(items)}</manifest>"
        f"<spine{toc_of_epub2}>{refs}</spine></package>"
    )
    return archive({"mimetype": "application/epub+zip", "META-INF/container.xml": _CONTAINER, **files, **(extra or {})})


def archive(files: Mapping[str, bytes | str]) -> bytes:
    """Pack files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return packed.getvalue()
