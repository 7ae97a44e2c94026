"""EPUB 2 and 3: the reading order, the table of contents, the cover, and what is known about the book."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree

from voxcli.documents.archive import Archive
from voxcli.documents.document import Block, Chapter, Cover, Document, chapter_of, chapters_by_headings
from voxcli.documents.markup import local_name, parse_page, parse_xml, text_of
from voxcli.documents.page_text import PageText
from voxcli.errors import RequestError

_CONTAINER = "META-INF/container.xml"
_FONT_ALGORITHMS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
"""Obfuscation of fonts, which are not read."""
_PAGES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml"})
_PICTURES = frozenset({"image/jpeg", "image/png"})
_MOST_COVER_BYTES = 2**24
_MOST_ENTRIES = 5000
_OPF_FILE_AS = "{http://www.idpf.org/2007/opf}role"


@dataclass(frozen=True, slots=True)
class _Item:
    path: str
    media_type: str
    properties: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the table of contents."""

    title: str
    path: str
    fragment: str
    depth: int


@dataclass(slots=True)
class _Pages:
    """The pages in reading order, as one row of blocks."""

    blocks: list[Block] = field(default_factory=list)
    starts: dict[str, int] = field(default_factory=dict)
    """From the path of a page to its first block."""
    anchors: dict[tuple[str, str], int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read_epub(source: Path | bytes, name: str) -> Document:
    """Read a book.

    Raises:
        RequestError: it is damaged, protected, or too large.
    """
    with Archive(source, name) as archive:
        _refuse_protection(archive, name)
        package_path = _package_path(archive, name)
        package = parse_xml(archive.read(package_path), name)
        base = posixpath.dirname(package_path)
        items = _items(package, base)
        pages = _read_pages(archive, package, items, name)
        entries = list(_contents(archive, package, items, name))
        title = _metadata(package, "title")
        return Document(
            chapters=_chapters(pages, entries, title),
            title=title,
            author=_author(package),
            language=_metadata(package, "language"),
            cover=_cover(archive, package, items),
            left_out=pages.left_out,
        )


def _refuse_protection(archive: Archive, name: str) -> None:
    advice = " Read a copy without protection, as its publisher or library offers it."
    if "META-INF/license.lcpl" in archive:
        raise RequestError(f"{name} is protected by LCP, so only its own reading program can open it.{advice}")
    if "META-INF/encryption.xml" in archive:
        encryption = parse_xml(archive.read("META-INF/encryption.xml"), name)
        algorithms = {
            one.get("Algorithm") or ""
            for data in encryption.iter("{*}EncryptedData")
            for one in data.iterchildren("{*}EncryptionMethod")
        }
        if algorithms - _FONT_ALGORITHMS:
            raise RequestError(f"{name} is protected (DRM), so only the program it was bought for can open it.{advice}")


def _package_path(archive: Archive, name: str) -> str:
    if _CONTAINER in archive:
        for one in parse_xml(archive.read(_CONTAINER), name).iter("{*}rootfile"):
            if path := one.get("full-path"):
                return unquote(path)
    found = sorted(path for path in archive.names if path.endswith(".opf"))
    if not found:
        raise RequestError(f"{name} is not an EPUB book, or is damaged: it does not say which pages it has.")
    return found[0]


def _items(package: etree._Element, base: str) -> dict[str, _Item]:
    items = {}
    for one in package.iter("{*}item"):
        if (identifier := one.get("id")) and (address := one.get("href")):
            properties = frozenset((one.get("properties") or "").split())
            items[identifier] = _Item(_resolved(address, base), (one.get("media-type") or "").lower(), properties)
    return items


def _resolved(address: str, base: str) -> str:
    """Return the path in the archive of a relative address."""
    return posixpath.normpath(posixpath.join(base, unquote(urlsplit(address).path))).lstrip("./")


def _read_pages(archive: Archive, package: etree._Element, items: dict[str, _Item], name: str) -> _Pages:
    pages = _Pages()
    order = [items.get(one.get("idref") or "") for one in package.iter("{*}itemref") if one.get("linear") != "no"]
    for item in order:
        if item is None or "nav" in item.properties or item.path in pages.starts:
            continue  # a page that comes twice is read once
        if item.media_type and item.media_type not in _PAGES:
            pages.left_out["pages of pictures"] += 1
            continue
        page = PageText()
        page.add(parse_page(archive.read(item.path), f"{name}, {item.path}"))
        first = len(pages.blocks)
        pages.starts[item.path] = first
        pages.anchors.update({(item.path, anchor): first + at for anchor, at in page.anchors.items()})
        pages.blocks += page.blocks
        pages.left_out.update(page.left_out)
    return pages


def _contents(archive: Archive, package: etree._Element, items: dict[str, _Item], name: str) -> Iterator[_Entry]:
    """Yield the table of contents: of EPUB 3 if there is one, or that of EPUB 2."""
    navigation = next((item for item in items.values() if "nav" in item.properties), None)
    if navigation and navigation.path in archive:
        root = parse_page(archive.read(navigation.path), name)
        if found := list(_navigation_entries(root, posixpath.dirname(navigation.path)))[:_MOST_ENTRIES]:
            yield from found
            return
    spine = next(package.iter("{*}spine"), None)
    ncx = items.get(spine.get("toc") or "") if spine is not None else None
    ncx = ncx or next((item for item in items.values() if item.media_type == "application/x-dtbncx+xml"), None)
    if ncx and ncx.path in archive:
        root = parse_xml(archive.read(ncx.path), name)
        for count, point in enumerate(root.iter("{*}navPoint")):
            if count >= _MOST_ENTRIES:
                return
            label, content = point.find("{*}navLabel"), point.find("{*}content")
            if content is not None:
                depth = sum(1 for one in point.iterancestors("{*}navPoint"))
                yield _entry(text_of(label), content.get("src") or "", posixpath.dirname(ncx.path), depth)


def _navigation_entries(root: etree._Element, base: str) -> Iterator[_Entry]:
    navs = [one for one in root.iter() if local_name(one) == "nav"]
    kinds = [f"{one.get('{http://www.idpf.org/2007/ops}type') or one.get('epub:type') or ''}" for one in navs]
    toc = next((nav for nav, kind in zip(navs, kinds, strict=True) if "toc" in kind.split()), navs[0] if navs else None)
    for link in toc.iter() if toc is not None else ():
        if local_name(link) == "a" and (address := link.get("href")):
            depth = sum(1 for one in link.iterancestors() if local_name(one) == "ol") - 1
            yield _entry(text_of(link), address, base, depth)


def _entry(title: str, address: str, base: str, depth: int) -> _Entry:
    return _Entry(title, _resolved(address, base), unquote(urlsplit(address).fragment), depth)


def _chapters(pages: _Pages, entries: list[_Entry], title: str | None) -> tuple[Chapter, ...]:
    """Divide the pages at the entries of the table of contents.

    Those on top count, and those below them that begin a page of their own: chapters of a part, but not sections.
    """
    starts: dict[int, str] = {}
    for entry in entries:
        at = pages.anchors.get((entry.path, entry.fragment), pages.starts.get(entry.path))
        if at is not None and (entry.depth == 0 or at == pages.starts.get(entry.path)):
            starts.setdefault(at, entry.title)
    if not starts:
        return _chapters_by_pages(pages, title)
    if any(not block.is_rule for block in pages.blocks[: min(starts)]):
        starts.setdefault(0, "")
    order = sorted(starts)
    parts = zip(order, [*order[1:], len(pages.blocks)], strict=True)
    chapters = [chapter_of(pages.blocks[start:end], starts[start] or None) for start, end in parts]
    return tuple(chapter for chapter in chapters if chapter.title or chapter.text)


def _chapters_by_pages(pages: _Pages, title: str | None) -> tuple[Chapter, ...]:
    if sum(1 for block in pages.blocks if block.heading) > 1:
        return chapters_by_headings(pages.blocks, title)
    order = sorted({0, *pages.starts.values()})
    parts = zip(order, [*order[1:], len(pages.blocks)], strict=True)
    chapters = [chapter_of(pages.blocks[start:end]) for start, end in parts]
    return tuple(chapter for chapter in chapters if chapter.title or chapter.text)


def _metadata(package: etree._Element, name: str) -> str | None:
    return next(
        (text for one in package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}") if (text := text_of(one))), None
    )


def _author(package: etree._Element) -> str | None:
    """Return the authors; other people, such as illustrators, only if there is no author."""
    creators = list(package.iter("{http://purl.org/dc/elements/1.1/}creator"))
    roles = {
        (one.get("refines") or "").removeprefix("#"): text_of(one)
        for one in package.iter("{*}meta")
        if one.get("property") == "role"
    }
    found = [(text_of(one), one.get(_OPF_FILE_AS) or roles.get(one.get("id") or "", "")) for one in creators]
    authors = [name for name, role in found if name and role in ("aut", "")] or [name for name, _ in found if name]
    return ", ".join(authors) or None


def _cover(archive: Archive, package: etree._Element, items: dict[str, _Item]) -> Cover | None:
    marked = next((item for item in items.values() if "cover-image" in item.properties), None)
    for one in package.iter("{*}meta"):
        if one.get("name") == "cover" and marked is None:
            marked = items.get(one.get("content") or "")
    named = (item for key, item in items.items() if item.media_type in _PICTURES and "cover" in key.lower())
    cover = marked or next(named, None)
    if cover is None or cover.media_type not in _PICTURES or cover.path not in archive:
        return None
    data = archive.read(cover.path)
    return Cover(data, cover.media_type) if len(data) <= _MOST_COVER_BYTES else None
