"""HTML pages: from a file, or saved from a web site."""

from lxml import etree

from voxcli.documents.document import Document, chapters_by_headings
from voxcli.documents.markup import local_name, parse_page, text_of
from voxcli.documents.page_text import PageText


def read_page(data: bytes, name: str) -> Document:
    """Read an HTML page, with its headings as chapters.

    Raises:
        RequestError: it declares entities, or is nested too deep.
    """
    root = parse_page(data, name)
    title = text_of(next((one for one in root.iter() if local_name(one) == "title"), None)) or None
    page = PageText(whole_page=True)
    for part in _main_parts(root):
        page.add(part)
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    return Document(
        chapters=chapters_by_headings(page.blocks, title),
        title=title,
        author=_author(root),
        language=language or None,
        left_out=page.left_out,
    )


def _main_parts(root: etree._Element) -> list[etree._Element]:
    """Return what a page says of itself to be its content, or all of it."""
    for name in ("main", "article"):
        if found := [one for one in root.iter() if local_name(one) == name]:
            return [one for one in found if not any(parent in found for parent in one.iterancestors())]
    return [root]


def _author(root: etree._Element) -> str | None:
    for one in root.iter():
        if local_name(one) == "meta" and (one.get("name") or "").lower() in ("author", "dc.creator"):
            return (one.get("content") or "").strip() or None
    return None
