"""PDF with a text layer: lines of characters, the outline as chapters, and what the file says about itself."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2
import pypdfium2.raw as pdfium

from voxcli.documents.document import Block, Chapter, Document, chapter_of, chapters_by_headings
from voxcli.documents.pdf_layout import Line, PrintedPage, read_layout
from voxcli.errors import RequestError

MAX_PAGES = 10_000
MAX_PAGE_CHARACTERS = 200_000
_MOST_ENTRIES = 2000
_LEAST_ON_PAGES = 20
"""Characters per page, below which a document with pictures is a scan."""
_MOST_UNREADABLE = 0.3
"""Share of characters that a font does not name."""
_GAP = 1.0
"""Between two parts of a row, in heights of its characters."""
_HYPHENS = "\x02\u00ad\u2010"
_LIGATURES = {first + at: text for first in (11, 27) for at, text in enumerate(("ff", "fi", "fl", "ffi", "ffl"))}
"""By their codes in the fonts of TeX (OT1 and T1), of which some files say no more."""
_UNREADABLE = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")


def read_pdf(data: bytes, name: str) -> Document:
    """Read the text of a PDF.

    Raises:
        RequestError: it is damaged, protected, too large, or has no text.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise RequestError(f"{name} is protected with a password. Save a copy without one first.") from error
        raise RequestError(f"{name} is damaged, and cannot be read as PDF.") from error
    try:
        return _read(document, name)
    finally:
        document.close()


def _read(document: pypdfium2.PdfDocument, name: str) -> Document:
    if len(document) > MAX_PAGES:
        raise RequestError(f"{name} has {len(document):,} pages. At most {MAX_PAGES:,} are read.")
    left_out: Counter[str] = Counter()
    pages = [list(_lines(document, at, name, left_out)) for at in range(len(document))]
    _check_text(document, pages, name, left_out)
    blocks, starts, notes = read_layout([PrintedPage(lines, *_edges(document, at)) for at, lines in enumerate(pages)])
    known = document.get_metadata_dict()
    title = (known.get("Title") or "").strip() or None
    return Document(
        chapters=_chapters(document, blocks, starts, title),
        title=title,
        author=(known.get("Author") or "").strip() or None,
        language=_language(document),
        left_out=left_out + notes,
    )


def _check_text(document: pypdfium2.PdfDocument, pages: list[list[Line]], name: str, left_out: Counter[str]) -> None:
    text = "".join(line.text for page in pages for line in page)
    empty = [at for at, page in enumerate(pages) if sum(len(line.text) for line in page) < _LEAST_ON_PAGES]
    scans = [at for at in empty if _has_picture(document, at)]
    if len(text) < _LEAST_ON_PAGES * len(pages) and (scans or not text.strip()):
        what = "its pages are pictures, as of a scan" if scans else "it has no text layer"
        raise RequestError(
            f"{name} has no text to read: {what}. Let a program for text recognition (OCR) add it first."
        )
    if len(_UNREADABLE.findall(text)) > _MOST_UNREADABLE * len(text):
        raise RequestError(f"{name} cannot be read: its fonts do not say which characters they show. Use another copy.")
    left_out["scanned pages"] += len(scans)


def _edges(document: pypdfium2.PdfDocument, at: int) -> tuple[float, float]:
    """Return where a page begins and ends, upwards."""
    try:
        page = document[at]
    except pypdfium2.PdfiumError:
        return 0.0, 0.0
    try:
        _, bottom, _, top = page.get_cropbox()
        return bottom, top
    finally:
        page.close()


def _has_picture(document: pypdfium2.PdfDocument, at: int) -> bool:
    try:
        page = document[at]
    except pypdfium2.PdfiumError:
        return False
    try:
        return any(True for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2))
    finally:
        page.close()


@dataclass(slots=True)
class _Character:
    text: str
    left: float
    right: float
    bottom: float
    top: float


def _lines(document: pypdfium2.PdfDocument, at: int, name: str, left_out: Counter[str]) -> Iterator[Line]:
    """Yield the parts of rows on a page, in the order of the file."""
    try:
        page = document[at]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        left_out["damaged pages"] += 1
        return
    try:
        if text_page.count_chars() > MAX_PAGE_CHARACTERS:
            raise RequestError(f"Page {at + 1} of {name} has more characters than a page can hold. It is not read.")
        row: list[_Character] = []
        for character in _characters(text_page.raw, text_page.count_chars()):
            if character is None or (row and _breaks(row, character)):
                if line := _line(row, left_out):
                    yield line
                row = []
            if character is not None:
                row.append(character)
        if line := _line(row, left_out):
            yield line
    finally:
        text_page.close()
        page.close()


def _characters(text_page: object, count: int) -> Iterator[_Character | None]:
    """Yield the upright characters of a page; None ends a row."""
    box = pdfium.FS_RECTF()
    for at in range(count):
        code = pdfium.FPDFText_GetUnicode(text_page, at)
        if code in (10, 13) and pdfium.FPDFText_IsGenerated(text_page, at) == 1:
            yield None
            continue
        if not pdfium.FPDFText_GetLooseCharBox(text_page, at, ctypes.byref(box)):
            continue
        char = _LIGATURES.get(code) or chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else "\ufffd"
        if not char.isspace() and abs(pdfium.FPDFText_GetCharAngle(text_page, at)) % 6.28 > 0.1:
            continue  # along the margin, or a stamp across the page
        yield _Character("-" if char in _HYPHENS else char, box.left, box.right, box.bottom, box.top)


def _breaks(row: list[_Character], character: _Character) -> bool:
    """Whether a character begins another part: in another row, or far to the right in this one."""
    if character.text.isspace():
        return False
    last = next((one for one in reversed(row) if not one.text.isspace()), None)
    if last is None:
        return False
    height = last.top - last.bottom
    apart = character.left - last.right > _GAP * height or character.left < last.left - height
    return apart or character.bottom > last.top or character.top < last.bottom


def _line(row: list[_Character], left_out: Counter[str]) -> Line | None:
    """Return the characters of a row as a line, without references to footnotes, which are small and raised."""
    shown = [one for one in row if not one.text.isspace()]
    if not shown:
        return None
    height = median(one.top - one.bottom for one in shown)
    kept: list[_Character] = []
    raised = 0
    for one in row:
        small = one.top - one.bottom < 0.8 * height and one.bottom > median(c.bottom for c in shown) + 0.1 * height
        if small and one.text.isdigit() and kept and (kept[-1].text.isalpha() or kept[-1].text in ".,;:!?”\"')"):
            raised += 1
            continue
        kept.append(one)
    left_out["references to footnotes"] += bool(raised)
    text = re.sub(r"\s+", " ", "".join(one.text for one in kept)).strip()
    if not text:
        return None
    left, right = min(one.left for one in shown), max(one.right for one in shown)
    return Line(text, left, right, median(c.bottom for c in shown), median(c.top for c in shown), height)


def _chapters(
    document: pypdfium2.PdfDocument, blocks: list[Block], starts: list[int], title: str | None
) -> tuple[Chapter, ...]:
    """Divide the text at the entries of the outline, or at its headings if there is none."""
    entries: dict[int, str] = {}
    for entry_title, depth, page in _outline(document):
        if depth == 0 and 0 <= page < len(starts) and entry_title:
            entries.setdefault(_place(blocks, starts, page, entry_title), entry_title)
    entries.pop(len(blocks), None)
    if not entries:
        return chapters_by_headings(blocks, title)
    if min(entries) > 0:
        entries[0] = ""
    order = sorted(entries)
    parts = pairwise([*order, len(blocks)])
    chapters = [chapter_of(blocks[start:end], entries[start] or None) for start, end in parts]
    return tuple(chapter for chapter in chapters if chapter.title or chapter.text)


def _outline(document: pypdfium2.PdfDocument) -> Iterator[tuple[str, int, int]]:
    """Yield titles, depths and page indexes. An outline in a circle ends where it meets itself."""
    try:
        for count, one in enumerate(document.get_toc(max_depth=3)):
            if count >= _MOST_ENTRIES:
                return
            target = one.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None:
                yield " ".join((one.get_title() or "").split()), one.level, page
    except pypdfium2.PdfiumError:
        return


def _place(blocks: list[Block], starts: list[int], page: int, title: str) -> int:
    """Return the block at which an entry points: the one with its words, or the first one of its page."""
    end = starts[page + 1] if page + 1 < len(starts) else len(blocks)
    wanted = _letters(title)
    for at in range(starts[page], min(end + 1, len(blocks))):
        if wanted and _letters(blocks[at].text).startswith(wanted):
            return at
    for at in range(starts[page], min(end + 1, len(blocks))):
        if blocks[at].heading and _letters(blocks[at].text) and wanted.endswith(_letters(blocks[at].text)):
            return at
    return starts[page]


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _language(document: pypdfium2.PdfDocument) -> str | None:
    if not hasattr(pdfium, "FPDFCatalog_GetLanguage"):
        return None
    size = pdfium.FPDFCatalog_GetLanguage(document.raw, None, 0)
    if size < 3:
        return None
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFCatalog_GetLanguage(document.raw, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace") or None
