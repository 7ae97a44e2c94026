"""Documents: books, articles and pages in the formats of other programs, as chapters of text."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from voxcli.documents.document import MAX_DOCUMENT_BYTES, Chapter, Cover, Document, Pauses
from voxcli.errors import NotFound, RequestError
from voxcli.installation import install_command

__all__ = ["Chapter", "Cover", "Document", "DocumentKind", "Pauses", "find_kind", "open_document"]

SNIFFED_BYTES = 4096
"""Of the start of a file, from which its kind can be told."""


class DocumentKind(StrEnum):
    """A format of documents."""

    TEXT = "text"
    MARKDOWN = "Markdown"
    HTML = "HTML"
    EPUB = "EPUB"
    DOCX = "DOCX"
    PDF = "PDF"
    ZIP = "zip"
    """EPUB, DOCX, or an archive that is neither."""


_SUFFIXES = {
    **dict.fromkeys((".md", ".markdown"), DocumentKind.MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), DocumentKind.HTML),
    ".epub": DocumentKind.EPUB,
    ".docx": DocumentKind.DOCX,
    ".pdf": DocumentKind.PDF,
}

_UNREADABLE = {
    b"{\\rtf": "{} is RTF, which is not read. Save it as DOCX first.",
    b"\xd0\xcf\x11\xe0": "{} is an old or a protected Office document. Save it as DOCX without a password first.",
    b"\xeb\x0c\xd9\x41DRMION\xee": "{} is a Kindle book, which is protected. Read it as EPUB.",
}
_KINDLE = (b"BOOKMOBI", b"TEXtREAd")
_KINDLE_AT = 60
"""Bytes before the name of the format in a Kindle book."""
_LICENSE_SUFFIXES = {".lcpl": "an LCP license", ".acsm": "a ticket of Adobe Digital Editions"}
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")


def find_kind(data: bytes, name: str = "") -> DocumentKind | None:
    """Tell the kind of a document from its first bytes, and of text from its name; None if they are just bytes.

    Raises:
        RequestError: it is of a kind that is known and not read.
    """
    suffix = Path(name).suffix.lower()
    if suffix in _LICENSE_SUFFIXES:
        raise RequestError(f"{name} is {_LICENSE_SUFFIXES[suffix]}, not a book, and its book is protected (DRM).")
    for start, message in _UNREADABLE.items():
        if data.startswith(start):
            raise RequestError(message.format(name or "This"))
    if data[_KINDLE_AT : _KINDLE_AT + 8] in _KINDLE:
        raise RequestError(f"{name or 'This'} is a Kindle book, which is not read. Convert it to EPUB first.")
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return DocumentKind.ZIP
    if b"%PDF-" in data[:1024]:
        return DocumentKind.PDF
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_HTML_STARTS) or (
        start.startswith((b"<?xml", b"<!--")) and b"<html" in data[:SNIFFED_BYTES].lower()
    ):
        return DocumentKind.HTML
    if b"<fictionbook" in start:
        raise RequestError(f"{name or 'This'} is FictionBook, which is not read. Convert it to EPUB first.")
    if suffix in _SUFFIXES and _SUFFIXES[suffix] in (DocumentKind.MARKDOWN, DocumentKind.HTML):
        return _SUFFIXES[suffix]
    if suffix in _SUFFIXES and data:
        raise RequestError(f"{name} is damaged, or not {_SUFFIXES[suffix]}: it begins like another kind of file.")
    return DocumentKind.TEXT if suffix in (".txt", ".text") else None


def open_document(source: Path | bytes, name: str | None = None) -> Document:
    """Read a document.

    Args:
        source: a file, or its bytes.
        name: for messages, and to tell text from Markdown; that of the file by default.

    Raises:
        RequestError: it cannot be read, is protected, damaged or too large, or has no text.
        NotFound: what reads this kind is not installed.
    """
    name = name or (str(source) if isinstance(source, Path) else "the document")
    data = source if isinstance(source, bytes) else _read(source)
    kind = find_kind(data[:SNIFFED_BYTES], name) or DocumentKind.TEXT
    document = _reader(kind, data)(data, name)
    if not any(chapter.title or chapter.text for chapter in document.chapters):
        raise RequestError(f"{name} has no text to read.")
    return document


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise RequestError(f"{path} is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB, the most that is read.")
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error


def _reader(kind: DocumentKind, data: bytes) -> Callable[[bytes, str], Document]:
    """Return what reads a kind. Each loads only the library it needs."""
    from voxcli.documents.plain import read_markdown, read_plain

    if kind is DocumentKind.TEXT:
        return read_plain
    if kind is DocumentKind.MARKDOWN:
        return read_markdown
    try:
        if kind is DocumentKind.HTML:
            from voxcli.documents.page import read_page

            return read_page
        if kind is DocumentKind.PDF:
            from voxcli.documents.pdf import read_pdf

            return read_pdf
        return _zip_reader(data)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] in ("lxml", "docx", "pypdfium2"):
            what = "EPUB and DOCX" if kind is DocumentKind.ZIP else kind
            raise NotFound(
                f"Reading {what} needs {error.name}, which is not installed.",
                on_command_line=f"Run: {install_command('documents')}",
            ) from error
        raise


def _zip_reader(data: bytes) -> Callable[[bytes, str], Document]:
    from voxcli.documents.archive import Archive
    from voxcli.documents.docx import read_docx
    from voxcli.documents.epub import read_epub

    def read_archive(data: bytes, name: str) -> Document:
        with Archive(data, name) as archive:
            names = archive.names
        if "word/document.xml" in names:
            return read_docx(data, name)
        if "META-INF/container.xml" in names or any(one.endswith(".opf") for one in names):
            return read_epub(data, name)
        raise RequestError(f"{name} is an archive, but not an EPUB book or a DOCX document.")

    return read_archive
