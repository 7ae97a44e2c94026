"""Text, Markdown and HTML as documents, and what is none."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.documents import Document, DocumentKind, Pauses, find_kind, open_document
from voxcli.errors import NotFound, RequestError

PAGE = """<!DOCTYPE html><html lang="en-GB"><head><title>News</title><meta name="author" content="Ann"></head><body>
<header><nav><a href="/">Home</a></nav></header><div>Buy now!</div>
<main><h1>An Article</h1><p>Intro.</p><h2>First</h2><p>One.</p><h2>Second</h2><p>Two.</p><footer>Share</footer></main>
<footer>Imprint</footer></body></html>"""


def chapters(text: str, name: str) -> list[tuple[str | None, str]]:
    return [(chapter.title, chapter.text) for chapter in open_document(text.encode(), name).chapters]


def test_the_headings_of_markdown_are_its_chapters() -> None:
    front = '---\ntitle: "A Book"\nauthor: Ann\nlang: de\n---\n'
    text = front + "# Eins\n\nText *so*.\n\n```\n# no\n```\n\nZwei\n====\n\n- Punkt\n"
    assert chapters(text, "a.md") == [("Eins", "Text so."), ("Zwei", "Punkt")]
    document = open_document(text.encode(), "a.md")
    assert (document.title, document.author, document.language) == ("A Book", "Ann", "de")


def test_a_title_above_chapters_is_announced_with_the_first() -> None:
    text = "# The Book\n\n## One\n\nText.\n\n## Two\n\nMore.\n\n### Below\n\nStill."
    assert chapters(text, "a.md") == [("The Book. One", "Text."), ("Two", "More.\n\nBelow\n\nStill.")]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Chapter 1\n\nText.\n\nCHAPTER II: The End\nMore.", ["Chapter 1", "CHAPTER II: The End"]),
        ("第一章 起\n他走了。\n\n第二章 承\n他回来了。", ["第一章 起", "第二章 承"]),
        ("Kapitel drei war lang.\n\nPart of it.", [None]),
        ("Just text.", [None]),
    ],
)
def test_lines_that_name_chapters_divide_a_text(text: str, titles: list[str | None]) -> None:
    assert [title for title, _ in chapters(text, "a.txt")] == titles


def test_a_web_page_is_read_without_what_is_around_it() -> None:
    assert chapters(PAGE, "page") == [("An Article", "Intro."), ("First", "One."), ("Second", "Two.")]
    document = open_document(PAGE.encode(), "page")
    assert (document.title, document.author, document.language) == ("News", "Ann", "en-GB")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "shift_jis"])
def test_a_page_says_its_encoding_or_it_is_found(encoding: str) -> None:
    declared = f'<meta charset="{encoding}">' if encoding != "utf-16" else ""
    for head in {declared, ""}:
        page = f"<!doctype html><html>{head}<p>これは本です。日本の本です。</p></html>"
        if encoding == "gb18030" and not head:
            continue  # is one for Chinese
        (chapter,) = open_document(page.encode(encoding), "page.html").chapters
        assert chapter.text == "これは本です。日本の本です。"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"{\\rtf1 text}", "a.rtf", "a.rtf is RTF"),
        (bytes(60) + b"BOOKMOBI", "a.azw3", "a.azw3 is a Kindle book"),
        (b"\xeb\x0c\xd9\x41DRMION\xee", "a.kfx", "Kindle book, which is protected"),
        (b'{"id": 1}', "a.lcpl", "an LCP license"),
        (b"<fulfillmentToken/>", "a.acsm", "a ticket of Adobe"),
        (b'<?xml version="1.0"?><FictionBook/>', "a.fb2", "a.fb2 is FictionBook"),
        (b"plain words", "a.epub", "a.epub is damaged, or not EPUB"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a.txt", "a.txt is not text"),
        (b"", "a.txt", "a.txt has no text to read"),
    ],
)
def test_what_is_no_document_gets_a_sentence(data: bytes, name: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_document(data, name)
    assert message in str(caught.value)


def test_a_library_that_is_not_installed_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [*filter(lambda name: name.startswith("voxcli.documents."), sys.modules)]:
        if name.rpartition(".")[2] in ("page", "page_text", "markup", "epub", "docx"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(NotFound) as caught:
        open_document(PAGE.encode(), "page.html")
    assert "Reading HTML needs lxml" in str(caught.value)
    assert "voxcli[documents]" in caught.value.for_command_line or "[documents]" in caught.value.for_command_line


def test_pauses_are_marks_between_paragraphs_and_chapters() -> None:
    document = open_document(b"# One\n\nA.\n\nB.\n\n# Two\n\nC.", "a.md")
    assert document.spoken(Pauses(chapter=3, paragraph=0.5)).split("\n\n") == [
        *("One", "[pause 1.5s]", "A.", "[pause 0.5s]", "B.", "[pause 3s]"),
        *("Two", "[pause 1.5s]", "C."),
    ]
    assert document.spoken(Pauses(chapter=0, paragraph=0)) == "One\n\nA.\n\nB.\n\nTwo\n\nC."


def document_or_sentence(data: bytes, name: str) -> bool:
    """Whether bytes are read as a document, or refused in words."""
    try:
        return isinstance(open_document(data, name), Document)
    except RequestError as error:
        return str(error).endswith(".")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.sampled_from(["a.txt", "a.md"]))
@settings(max_examples=40)
def test_any_text_is_a_document_or_a_sentence(text: str, name: str) -> None:
    assert document_or_sentence(text.encode(), name)


@settings(max_examples=40)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"%PDF-1.7\n", b"<html>"]))
def test_any_bytes_are_a_document_or_a_sentence(data: bytes, start: bytes) -> None:
    assert document_or_sentence(start + data, "a")


def test_the_kind_of_a_file_shows_in_its_first_bytes(tmp_path: Path) -> None:
    kinds = {b"PK\x03\x04": DocumentKind.ZIP, b"%PDF-1.4": DocumentKind.PDF, b"\n <!DOCTYPE HTML>": DocumentKind.HTML}
    assert {start: find_kind(start) for start in kinds} == kinds
    assert find_kind(b"words") is None
    assert find_kind(b"<speak>words</speak>") is None
    with pytest.raises(RequestError, match="Cannot read"):
        open_document(tmp_path / "missing.epub")
