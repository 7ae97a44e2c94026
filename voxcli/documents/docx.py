"""DOCX: paragraphs, headings, lists and tables of a Word document, without what was deleted, and without notes.

Read from its XML: python-docx passes over inserted text, and unpacks without limits.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lxml import etree

from voxcli.documents.archive import Archive
from voxcli.documents.document import RULE_MARK, Block, Document, chapters_by_headings, table_sentences, words
from voxcli.documents.markup import parse_xml, text_of

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VALUE = f"{_WORD}val"
_SKIPPED = words("del moveFrom instrText delText Fallback rPr pPr rt rubyPr sectPr commentReference")
_REFERENCES = words("footnoteReference endnoteReference")
_COUNTED = words("decimal decimalZero upperRoman lowerRoman upperLetter lowerLetter ordinal chineseCounting")
_HEADING = re.compile(r"heading (\d)")
_KANA = re.compile(r"[\u3040-\u30ff\s]+")
_SUPERSCRIPT = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_TITLE = "title"


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    heading: int
    list_number: str = ""
    """Of the list that its paragraphs are items of."""


def read_docx(data: bytes, name: str) -> Document:
    """Read a Word document, with its headings as chapters.

    Raises:
        RequestError: it is damaged, protected, or too large.
    """
    with Archive(data, name) as archive:
        body = parse_xml(archive.read("word/document.xml"), name)
        styles = parse_xml(archive.read("word/styles.xml"), name) if "word/styles.xml" in archive else None
        numbering = parse_xml(archive.read("word/numbering.xml"), name) if "word/numbering.xml" in archive else None
        core = parse_xml(archive.read("docProps/core.xml"), name) if "docProps/core.xml" in archive else None
    reader = _WordText(_styles(styles), _Numbers(numbering))
    blocks = list(reader.blocks(body))
    title = _property(core, "title") or reader.title
    return Document(
        chapters=chapters_by_headings(blocks, title),
        title=title,
        author=_property(core, "creator"),
        language=_property(core, "language") or _language(styles),
        left_out=reader.left_out,
    )


def _property(core: etree._Element | None, name: str) -> str | None:
    found = next(core.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}"), None) if core is not None else None
    return text_of(found) or None


def _language(styles: etree._Element | None) -> str | None:
    found = next(styles.iter(f"{_WORD}lang"), None) if styles is not None else None
    return found.get(_VALUE) if found is not None else None


def _styles(root: etree._Element | None) -> dict[str, _Style]:
    styles = {}
    for one in root.iter(f"{_WORD}style") if root is not None else ():
        named = one.find(f"{_WORD}name")
        style_name = (named.get(_VALUE) or "" if named is not None else "").lower()
        level = _HEADING.match(style_name)
        outline = one.find(f"{_WORD}pPr/{_WORD}outlineLvl")
        heading = int(level[1]) if level else _outline_level(outline)
        number = one.find(f"{_WORD}pPr/{_WORD}numPr/{_WORD}numId")
        list_number = number.get(_VALUE) or "" if number is not None else ""
        styles[one.get(f"{_WORD}styleId") or ""] = _Style(style_name, min(heading, 6), list_number)
    return styles


def _outline_level(outline: etree._Element | None) -> int:
    value = outline.get(_VALUE) if outline is not None else None
    return int(value) + 1 if value and value.isdigit() and int(value) < 6 else 0


class _Numbers:
    """Counts the items of numbered lists."""

    def __init__(self, root: etree._Element | None) -> None:
        self._formats: dict[tuple[str, str], str] = {}
        self._lists: dict[str, str] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        for one in root.iter(f"{_WORD}abstractNum") if root is not None else ():
            for level in one.iter(f"{_WORD}lvl"):
                form = level.find(f"{_WORD}numFmt")
                key = (one.get(f"{_WORD}abstractNumId") or "", level.get(f"{_WORD}ilvl") or "0")
                self._formats[key] = (form.get(_VALUE) or "") if form is not None else ""
        for one in root.iter(f"{_WORD}num") if root is not None else ():
            abstract = one.find(f"{_WORD}abstractNumId")
            self._lists[one.get(f"{_WORD}numId") or ""] = (abstract.get(_VALUE) or "") if abstract is not None else ""

    def next(self, number: str, level: str) -> str:
        """Return the number before the next item, with a space; empty in a list of bullets."""
        if self._formats.get((self._lists.get(number, ""), level)) not in _COUNTED:
            return ""
        depth = int(level) if level.isdigit() else 0
        self._counts[number, depth] += 1
        for key in [key for key in self._counts if key[0] == number and key[1] > depth]:
            del self._counts[key]
        return f"{self._counts[number, depth]}. "


class _WordText:
    """Turns the body of a document into blocks."""

    def __init__(self, styles: dict[str, _Style], numbers: _Numbers) -> None:
        self.left_out: Counter[str] = Counter()
        self.title: str | None = None
        self._styles = styles
        self._numbers = numbers

    def blocks(self, parent: etree._Element) -> Iterator[Block]:
        for one in parent:
            match _name(one):
                case "p":
                    yield from self._paragraph(one)
                case "tbl":
                    yield from self._table(one)
                case "sdt" if _is_contents(one):
                    self.left_out["tables of contents"] += 1
                case name if name and name not in _SKIPPED:
                    yield from self.blocks(one)

    def _paragraph(self, paragraph: etree._Element) -> Iterator[Block]:
        style = self._style(paragraph)
        if style.name.startswith("toc "):
            return
        text = "".join(self._text(paragraph))
        lines = [" ".join(line.split()) for line in text.split("\v")]
        spoken = "\n".join(line for line in lines if line)
        if style.name == _TITLE and spoken:
            self.title = self.title or spoken.replace("\n", " ")
            yield Block(spoken.replace("\n", ". "), 1)
        elif spoken and style.heading:
            yield Block(spoken.replace("\n", ". "), style.heading)
        elif spoken and not any(char.isalnum() for char in spoken):
            yield Block(RULE_MARK)
        elif spoken:
            yield Block(self._number(paragraph, style.list_number) + spoken)
        for box in _text_boxes(paragraph):
            yield from self.blocks(box)

    def _style(self, paragraph: etree._Element) -> _Style:
        found = paragraph.find(f"{_WORD}pPr/{_WORD}pStyle")
        style = self._styles.get(found.get(_VALUE) or "" if found is not None else "", _Style("", 0))
        outline = _outline_level(paragraph.find(f"{_WORD}pPr/{_WORD}outlineLvl"))
        return replace(style, heading=outline) if outline and not style.heading else style

    def _number(self, paragraph: etree._Element, number: str) -> str:
        """Return the number of an item in a list.

        number: of the list, as its style has it.
        """
        own = paragraph.find(f"{_WORD}pPr/{_WORD}numPr/{_WORD}numId")
        level = paragraph.find(f"{_WORD}pPr/{_WORD}numPr/{_WORD}ilvl")
        return self._numbers.next(
            (own.get(_VALUE) or "") if own is not None else number,
            (level.get(_VALUE) or "0") if level is not None else "0",
        )

    def _text(self, parent: etree._Element) -> Iterator[str]:
        for one in parent:
            name = _name(one)
            if name in _REFERENCES:
                self.left_out["references to footnotes"] += 1
            elif name == "r" and _is_hidden(one):
                continue
            elif name == "t":
                yield _raised(one) if parent is not None else ""
            elif name in ("tab", "ptab"):
                yield " "
            elif name in ("br", "cr"):
                yield "" if one.get(f"{_WORD}type") in ("page", "column") else "\v"
            elif name == "noBreakHyphen":
                yield "-"
            elif name == "ruby":
                yield self._ruby(one)
            elif name == "docPr":
                yield self._picture(one)
            elif name not in _SKIPPED and name != "txbxContent":
                yield from self._text(one)

    def _ruby(self, ruby: etree._Element) -> str:
        reading, base = (
            "".join(part.itertext(f"{_WORD}t")) for name in ("rt", "rubyBase") for part in ruby.iter(_WORD + name)
        )
        return reading if _KANA.fullmatch(reading) else base

    def _picture(self, properties: etree._Element) -> str:
        described = " ".join((properties.get("descr") or "").split())
        if not described:
            self.left_out["pictures without a description"] += 1
        return f" {described} " if described else ""

    def _table(self, table: etree._Element) -> Iterator[Block]:
        rows = list(table.iterchildren(f"{_WORD}tr"))
        cells = [list(row.iterchildren(f"{_WORD}tc")) for row in rows]
        inner = [[list(self.blocks(cell)) for cell in row] for row in cells]
        has_header = bool(rows) and rows[0].find(f"{_WORD}trPr/{_WORD}tblHeader") is not None
        yield from table_sentences(inner, has_header=has_header)


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _is_contents(part: etree._Element) -> bool:
    gallery = next(part.iter(f"{_WORD}docPartGallery"), None)
    return gallery is not None and gallery.get(_VALUE) == "Table of Contents"


def _is_hidden(run: etree._Element) -> bool:
    hidden = run.find(f"{_WORD}rPr/{_WORD}vanish")
    return hidden is not None and hidden.get(_VALUE) not in ("0", "false")


def _raised(text: etree._Element) -> str:
    """Return the text of a run; a raised number as an exponent."""
    run = text.getparent()
    raised = run.find(f"{_WORD}rPr/{_WORD}vertAlign") if run is not None else None
    content = text.text or ""
    if raised is not None and raised.get(_VALUE) == "superscript" and re.fullmatch(r"[-+]?\d+|n", content):
        return content.translate(_SUPERSCRIPT)
    return content


def _text_boxes(paragraph: etree._Element) -> Iterator[etree._Element]:
    for box in paragraph.iter(f"{_WORD}txbxContent"):
        parents = [_name(parent) for parent in box.iterancestors()]
        if "Fallback" not in parents and "txbxContent" not in parents[: parents.index("p")]:
            yield box
