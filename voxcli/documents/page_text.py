"""Text of a page for a listener: paragraphs and headings of HTML, without what is only seen.

Left out: numbers of pages, references to footnotes and the footnotes, code, scripts, navigation, and pictures without a
description. Of annotated characters (ruby) the reading is kept if it is kana, and the characters otherwise.
"""

import re
from collections import Counter

from lxml import etree

from voxcli.documents.document import RULE_MARK, Block, ended, table_sentences, words
from voxcli.documents.markup import local_name, text_of

_SKIPPED = words(
    "script style head nav noscript template svg form button select textarea audio video canvas iframe object "
    "embed map rp datalist dialog menu del s strike"
)
_SKIPPED_ON_PAGES = words("footer aside")
_BLOCKS = words(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure "
    "footer form header hgroup html legend li main ol p pre section summary table tbody td tfoot th thead tr "
    "ul"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
_REFERENCES = words("noteref doc-noteref")
_NOTES = words("footnote footnotes endnote endnotes rearnote rearnotes doc-footnote doc-endnote doc-endnotes")
_UNSPOKEN = words("pagebreak doc-pagebreak doc-backlink backlink index doc-index toc doc-toc landmarks page-list")
_PAGE_CLASSES = words("pagenum pageno pagenumber page-number page-num pagebreak page_number page")
_CODE_CLASSES = re.compile(r"\b(code|sourceCode|highlight|listing|programlisting|language-\w+)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[\[({]?(?:p\.?\s*|page\s*|pg\s*)?(?:\d{1,4}|[ivxlc]{1,7})[\])}]?", re.IGNORECASE)
_REFERENCE = re.compile(r"[\[(]?(?:\d{1,3}|[*†‡§¶]+|[a-z])[\])]?")
_BEFORE_REFERENCE = re.compile(r"[^\W\d_]{3}$|[.,;:!?”\"’)]$")
_SUPERSCRIPT = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_FILE_NAME = re.compile(r"[\w\- ]+\.(jpe?g|png|gif|svg|webp|bmp|tiff?)|image\s*\d*|img\w*\d+|cover|picture|photo", re.I)
_KANA = re.compile(r"[\u3040-\u30ff\s]+")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_LINE = "\v"
"""A line break in the text that is collected."""
_DECORATION = re.compile(r"[\W_]{1,40}")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")


class PageText:
    """Collects the blocks of one page after another, and where each element with an id begins."""

    def __init__(self, *, whole_page: bool = False) -> None:
        """whole_page: whether it is a page of a web site, with things around its text."""
        self.blocks: list[Block] = []
        self.anchors: dict[str, int] = {}
        """From ids to the index of the block that is the first one at or after it."""
        self.left_out: Counter[str] = Counter()
        self._whole_page = whole_page
        self._pending: list[str] = []
        self._heading = 0
        self._number = ""  # of an item, before its first paragraph

    def add(self, root: etree._Element) -> None:
        """Take the text of an element."""
        self._walk(root)
        self._flush()

    def _walk(self, element: etree._Element) -> None:
        name = local_name(element)
        if identifier := (element.get("id") or (element.get("name") if name == "a" else None)):
            opens = name in _BLOCKS or name in _HEADINGS  # a paragraph of its own
            self.anchors.setdefault(identifier, len(self.blocks) + (opens and self._has_text))
        if not name or self._is_left_out(element, name):
            return
        match name:
            case "br":
                self._pending.append(_LINE)
            case "hr":
                self._rule()
            case "img" | "image":
                self._picture(element)
            case "ruby":
                self._pending.append(_ruby(element))
            case "sup":
                self._superscript(element)
            case "pre":
                self._preformatted(element)
            case "math":
                self._pending.append(element.get("alttext") or text_of(element))
            case "table":
                self._table(element)
            case "q":
                self._pending.append("“")
                self._children(element)
                self._pending.append("”")
            case _ if name in _HEADINGS or element.get("role") == "heading":
                self._headline(element, _HEADINGS.get(name) or _level(element))
            case _ if name in _BLOCKS:
                self._flush()
                if name == "li":
                    self._number = _marker(element)
                self._children(element)
                self._flush()
            case _:
                self._children(element)

    def _children(self, element: etree._Element) -> None:
        if element.text:
            self._pending.append(element.text)
        for child in element:
            self._walk(child)
            if child.tail:
                self._pending.append(child.tail)

    @property
    def _has_text(self) -> bool:
        return any(not piece.isspace() for piece in self._pending)

    def _is_left_out(self, element: etree._Element, name: str) -> bool:
        if name in _SKIPPED or (self._whole_page and name in _SKIPPED_ON_PAGES):
            return True
        hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
        if hidden or "display:none" in (element.get("style") or "").replace(" ", ""):
            return True
        kinds = _kinds(element)
        if kinds & _UNSPOKEN:
            return True
        if kinds & _REFERENCES:
            return True
        classes = frozenset((element.get("class") or "").lower().split())
        if kinds & _NOTES or (classes & _NOTES and name in _BLOCKS):
            self.left_out["footnotes"] += 1
            return True
        return bool(classes & _PAGE_CLASSES) and _NUMBER.fullmatch(text_of(element)) is not None

    def _headline(self, element: etree._Element, level: int) -> None:
        self._flush()
        outer, self._heading = self._heading, level
        self._children(element)
        self._flush()
        self._heading = outer

    def _rule(self) -> None:
        self._flush()
        self.blocks.append(Block(RULE_MARK))

    def _picture(self, element: etree._Element) -> None:
        alt = " ".join((element.get("alt") or "").split())
        if not alt or _FILE_NAME.fullmatch(alt):
            self.left_out["pictures without a description"] += 1
        elif len(alt) == 1 or self._has_text:
            self._pending.append(alt if len(alt) == 1 else f" {alt} ")  # one letter is the initial of a chapter
        else:
            self._pending.append(alt)
            parent = element.getparent()
            follows = element.tail and element.tail.strip()
            if not follows and (parent is None or local_name(parent) in _BLOCKS):
                self._flush()

    def _superscript(self, element: etree._Element) -> None:
        text = text_of(element)
        links = element.find(".//{*}a") is not None or element.find(".//a") is not None
        parent = element.getparent()
        linked = parent is not None and local_name(parent) == "a" and (parent.get("href") or "").find("#") >= 0
        before = "".join(self._pending[-3:]).rstrip()
        refers = _REFERENCE.fullmatch(text) and (links or linked or not text.isalnum())
        if refers or (text.isdigit() and _BEFORE_REFERENCE.search(before)):
            self.left_out["references to footnotes"] += 1
        else:
            self._pending.append(text.translate(_SUPERSCRIPT) if re.fullmatch(r"[-+]?\d+|n", text) else text)

    def _preformatted(self, element: etree._Element) -> None:
        self._flush()
        code = element.find("{*}code") is not None or element.find("code") is not None
        if code or _CODE_CLASSES.search(element.get("class") or ""):
            self.left_out["blocks of code"] += 1
            return
        before = len(self._pending)
        self._children(element)
        self._pending[before:] = [piece.replace("\n", _LINE) for piece in self._pending[before:]]
        self._flush()

    def _table(self, table: etree._Element) -> None:
        self._flush()
        rows = [row for row in table.iter() if local_name(row) == "tr"]
        cells = [[cell for cell in row if local_name(cell) in ("td", "th")] for row in rows]
        if any(local_name(one) == "table" for one in table.iterdescendants()) or table.get("role") == "presentation":
            self._children(table)
            self._flush()
            return
        caption = next((one for one in table if local_name(one) == "caption"), None)
        if caption is not None:
            self._walk(caption)
        has_header = bool(cells and cells[0]) and all(local_name(cell) == "th" for cell in cells[0])
        self.blocks += table_sentences([[self._cell(cell) for cell in row] for row in cells], has_header=has_header)

    def _cell(self, cell: etree._Element) -> list[Block]:
        inner = PageText()
        inner.add(cell)
        self.left_out.update(inner.left_out)
        return inner.blocks

    def _flush(self) -> None:
        text = _INVISIBLE.sub("", "".join(self._pending))
        self._pending = []
        lines = [_SPACES.sub(" ", line).strip() for line in text.split(_LINE)]
        lines = [line for line in lines if line]
        if not lines:
            return
        if self._heading:
            self.blocks.append(Block(" ".join([*map(ended, lines[:-1]), lines[-1]]), self._heading))
        elif _DECORATION.fullmatch("".join(lines)):
            self.blocks.append(Block(RULE_MARK))
        else:
            self.blocks.append(Block(self._number + "\n".join(lines)))
            self._number = ""


def _kinds(element: etree._Element) -> frozenset[str]:
    kinds = f"{element.get(_EPUB_TYPE) or ''} {element.get('epub:type') or ''} {element.get('role') or ''}"
    return frozenset(kinds.lower().split())


def _level(element: etree._Element) -> int:
    level = element.get("aria-level") or ""
    return min(6, max(1, int(level))) if level.isascii() and level.isdigit() else 2


def _ruby(element: etree._Element) -> str:
    """Return the reading of annotated characters if it is kana, otherwise the characters."""
    base, reading = [element.text or ""], []
    for child in element:
        if local_name(child) in ("rt", "rtc"):
            reading.append(text_of(child))
        elif local_name(child) != "rp":
            base.append("".join(child.itertext()))
        base.append(child.tail or "")
    spoken = "".join(reading)
    return spoken if spoken and _KANA.fullmatch(spoken) else "".join("".join(base).split())


def _marker(element: etree._Element) -> str:
    """Return the number of an item in an ordered list."""
    parent = element.getparent()
    if parent is None or local_name(parent) != "ol":
        return ""
    value, start = element.get("value") or "", parent.get("start") or ""
    if value.isascii() and value.isdigit():
        return f"{int(value)}. "
    before = sum(1 for one in element.itersiblings(preceding=True) if local_name(one) == "li")
    return f"{(int(start) if start.isascii() and start.isdigit() else 1) + before}. "
