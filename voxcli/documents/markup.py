"""XML and HTML parsed without entities of their own, without addresses that are followed, and to a limited depth."""

import html
import re

from lxml import etree

from voxcli.errors import RequestError
from voxcli.text.encodings import decode_text

MAX_DEPTH = 200
"""Of elements in one another."""

_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_KEPT = ("amp", "lt", "gt", "quot", "apos")
_DECLARES_ENTITIES = re.compile(rb"<!ENTITY\b")
_WIDE_DECLARATION = re.compile(rb"<\x00?!\x00?E\x00?N\x00?T\x00?I\x00?T\x00?Y\x00?")
_DECLARED = re.compile(
    rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)|<meta[^>]+charset\s*=\s*["']?([\w.-]+)"""
)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def parse_xml(data: bytes, name: str) -> etree._Element:
    """Parse XML.

    Raises:
        RequestError: it is damaged, declares entities, or is nested too deep.
    """
    _refuse_entities(data, name)
    try:
        root = etree.fromstring(_without_named_entities(data), _xml_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise RequestError(f"{name} is damaged: {error}.") from error
    if root is None:
        raise RequestError(f"{name} is damaged: it has no content.")
    return _limited(root, name)


def parse_page(data: bytes, name: str) -> etree._Element:
    """Parse XHTML, or HTML with all the mistakes that browsers forgive.

    Raises:
        RequestError: it declares entities, or is nested too deep.
    """
    _refuse_entities(data, name)
    if data.lstrip()[:5] == b"<?xml" or b"http://www.w3.org/1999/xhtml" in data[:2000]:
        try:
            root = etree.fromstring(_without_named_entities(data), _xml_parser())
            if root is not None:
                return _limited(root, name)
        except (etree.XMLSyntaxError, ValueError):
            pass  # read as HTML instead
    text = _declared_text(data)
    if text is None:
        decoded = decode_text(data)
        text = decoded.text if decoded else data.decode("utf-8", "replace")
    text = _XML_DECLARATION.sub("", text).replace("\0", "")
    parser = etree.HTMLParser(no_network=True, huge_tree=False, encoding="utf-8")
    try:
        found = etree.fromstring(text.encode("utf-8", "replace") or b"<p/>", parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise RequestError(f"{name} is damaged: {error}.") from error
    if found is None:
        found = etree.Element("html")
    return _limited(found, name)


def local_name(element: etree._Element) -> str:
    """Return the name of an element without its namespace, in lower case; empty for a comment and the like."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def text_of(element: etree._Element | None) -> str:
    """Return the text within an element, with single spaces."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _xml_parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _refuse_entities(data: bytes, name: str) -> None:
    if _DECLARES_ENTITIES.search(data) or _WIDE_DECLARATION.search(data[:4096]):
        raise RequestError(f"{name} declares XML entities of its own, which may hide a trap. It is not read.")


def _without_named_entities(data: bytes) -> bytes:
    """Replace the entities of HTML, such as `&nbsp;`, which XML does not know. Others stay."""

    def character(match: re.Match[str]) -> str:
        name = match[1]
        return match[0] if name in _KEPT else html.unescape(match[0]).replace("&", "&amp;")

    if b"&" not in data or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data
    # Latin-1 keeps each byte, in every encoding that has ASCII; what is put in is written as a number.
    text = _ENTITY.sub(lambda match: "".join(_numbered(char) for char in character(match)), data.decode("latin-1"))
    return text.encode("latin-1")


def _numbered(char: str) -> str:
    return char if char.isascii() else f"&#{ord(char)};"


def _declared_text(data: bytes) -> str | None:
    found = _DECLARED.search(data[:2048])
    if not found:
        return None
    try:
        return data.decode((found[1] or found[2]).decode())
    except (LookupError, UnicodeError):
        return None


def _limited(root: etree._Element, name: str) -> etree._Element:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise RequestError(f"{name} has elements nested more than {MAX_DEPTH} deep. It is not read.")
    return root
