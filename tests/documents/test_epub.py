import zipfile
from io import BytesIO

import pytest

from tests.documents.made import PNG, archive, epub, xhtml
from voxcli.documents import Document, open_document
from voxcli.errors import RequestError

pytest.importorskip("lxml")

TWO = {"one.xhtml": "<h1>One</h1><p>First.</p>", "two.xhtml": "<h1>Two</h1><p>Second.</p><p>Third.</p>"}
TOC = [("One", "one.xhtml"), ("Two", "two.xhtml")]


def titles(document: Document) -> list[str | None]:
    return [chapter.title for chapter in document.chapters]


def text_of(body: str) -> str:
    """Return the text of a page of a book."""
    (chapter,) = open_document(epub({"p.xhtml": body}), "book.epub").chapters
    return chapter.whole


def test_a_book_has_chapters_title_author_language_and_cover() -> None:
    document = open_document(epub(TWO, toc=TOC, cover=PNG), "book.epub")
    assert titles(document) == ["One", "Two"]
    assert [chapter.text for chapter in document.chapters] == ["First.", "Second.\n\nThird."]
    assert (document.title, document.author, document.language) == ("A Book", "Ann Author", "en")
    assert document.cover is not None
    assert (document.cover.data, document.cover.media_type) == (PNG, "image/png")


@pytest.mark.parametrize("contents", [{"toc": TOC}, {"ncx": TOC}, {}])
def test_chapters_are_the_same_from_either_table_of_contents_and_from_headings(contents: dict[str, object]) -> None:
    document = open_document(epub(TWO, **contents), "book.epub")  # type: ignore[arg-type]
    assert titles(document) == ["One", "Two"]


def test_chapters_within_a_page_begin_at_their_anchors() -> None:
    page = '<h2 id="a">One</h2><p>First.</p><h2>Aside</h2><p>More.</p><p id="b">Second.</p>'
    book = epub({"p.xhtml": page}, toc=[("One", "p.xhtml#a"), ("Two", "p.xhtml#b")])
    document = open_document(book, "book.epub")
    assert titles(document) == ["One", "Two"]
    assert document.chapters[0].text == "First.\n\nAside\n\nMore."


def test_parts_hold_chapters_and_sections_are_none() -> None:
    toc = (
        '<li><a href="one.xhtml">Part</a><ol><li><a href="two.xhtml">Two</a>'
        '<ol><li><a href="two.xhtml#s">Section</a></li></ol></li></ol></li>'
    )
    pages = {"one.xhtml": "<h1>Part</h1>", "two.xhtml": '<h2>Two</h2><p>Text.</p><h3 id="s">Section</h3><p>More.</p>'}
    document = open_document(epub(pages, toc=toc), "book.epub")
    assert titles(document) == ["Part", "Two"]


def test_the_title_of_the_page_is_announced_once() -> None:
    pages = {"one.xhtml": "<h1>Chapter 1</h1><h2>The Beginning</h2><p>Text.</p>"}
    (chapter,) = open_document(epub(pages, toc=[("The Beginning", "one.xhtml")]), "book.epub").chapters
    assert chapter.whole == "Chapter 1. The Beginning\n\nText."


def test_sections_right_below_a_title_are_text() -> None:
    pages = {"one.xhtml": "<h1>1 Start</h1><h2>1.1 Version</h2><p>Text.</p>"}
    (chapter,) = open_document(epub(pages, toc=[("1 Start", "one.xhtml")]), "book.epub").chapters
    assert (chapter.title, chapter.text) == ("1 Start", "1.1 Version\n\nText.")


def test_pages_before_the_first_entry_are_kept_and_those_outside_the_order_are_not() -> None:
    pages = {"front.xhtml": "<p>For Ben.</p>", **TWO, "notes.xhtml": "<p>Left out.</p>"}
    order = ["front.xhtml", "one.xhtml", "two.xhtml", "one.xhtml", "missing"]
    document = open_document(epub(pages, toc=TOC, spine=order), "book.epub")
    assert [chapter.whole for chapter in document.chapters] == [
        "For Ben.",
        "One\n\nFirst.",
        "Two\n\nSecond.\n\nThird.",
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>He left.<a epub:type='noteref' href='#n'>1</a> Then</p>", "He left. Then"),
        ("<p>He left.</p><aside epub:type='footnote' id='n'>Note.</aside>", "He left."),
        ('<p>He left.<sup><a href="#n">2</a></sup> Then</p>', "He left. Then"),
        ("<p>He left<sup>3</sup> at the 1<sup>st</sup> of 5 m<sup>2</sup></p>", "He left at the 1st of 5 m²"),
        ("<p><ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>です</p>", "かんじです"),
        ("<p><ruby>汉<rt>hàn</rt>字<rt>zì</rt></ruby>。</p>", "汉字。"),
        ("<p><span class='dropcap'>O</span>nce upon</p>", "Once upon"),
        ("<p><img src='o.png' alt='O'/>nce upon</p>", "Once upon"),
        ("<p>be\u00adfore<wbr/>hand\u200b</p>", "beforehand"),
        ('<p>one <span epub:type="pagebreak" id="p12">12</span>two<span class="pagenum">[13]</span></p>', "one two"),
        ("<p>Roses are red,<br/>\n  violets are blue</p>", "Roses are red,\nviolets are blue"),
        ("<p>A</p><hr/><p>B</p><p>* * *</p><p>C</p><hr/>", "A\n\n[pause 1s]\n\nB\n\n[pause 1s]\n\nC"),
        ("<ol start='3'><li>three</li><li><p>four</p></li></ol><ul><li>dot</li></ul>", "3. three\n\n4. four\n\ndot"),
        ("<pre><code>x = 1</code></pre><p>so</p><pre>two\nlines</pre>", "so\n\ntwo\nlines"),
        ("<p>A</p><p><img alt='A map'/></p><p><img alt='x.png'/><img src='y'/></p>", "A\n\nA map"),
        (
            "<table><tr><th>Name</th><th>Age</th></tr><tr><td>Anna</td><td>30</td></tr></table>",
            "Name: Anna, Age: 30.",
        ),
        ("<table><tr><td><table><tr><td>In</td></tr></table></td><td>Out</td></tr></table>", "In\n\nOut"),
        ("<p>a&nbsp;b &amp; c&mdash;d</p>", "a\xa0b & c—d"),
        ("<p>He said <q>yes</q>.</p><script>no()</script><p hidden='hidden'>no</p>", "He said “yes”."),
    ],
)  # fmt: skip
def test_a_page_is_read_as_a_listener_wants_it(body: str, text: str) -> None:
    assert text_of(body) == text


def test_what_is_left_out_is_counted() -> None:
    body = '<p>A<sup><a href="#n">1</a></sup></p><div class="footnote"><p>Note.</p></div><p><img src="a"/></p>'
    left_out = open_document(epub({"p.xhtml": body}), "book.epub").left_out
    assert left_out == {"references to footnotes": 1, "footnotes": 1, "pictures without a description": 1}


def test_a_page_with_mistakes_is_read_as_browsers_do() -> None:
    assert text_of("<p>One<br>two <b>three</p><p>four") == "One\ntwo three\n\nfour"


ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:EncryptedData><enc:EncryptionMethod Algorithm="{}"/></enc:EncryptedData></encryption>'
)


def test_fonts_may_be_obfuscated() -> None:
    extra = {"META-INF/encryption.xml": ENCRYPTION.format("http://www.idpf.org/2008/embedding")}
    assert titles(open_document(epub(TWO, toc=TOC, extra=extra), "book.epub")) == ["One", "Two"]


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><html><body><p>&b;</p></body></html>'
)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (epub(TWO, extra={"META-INF/encryption.xml": ENCRYPTION.format("aes")}), "protected (DRM)"),
        (epub(TWO, extra={"META-INF/license.lcpl": "{}"}), "protected by LCP"),
        (epub(TWO, extra={f"OEBPS/{at}.css": "" for at in range(5000)}), "holds 5,005 files"),
        (epub({"p.xhtml": "x" * 2**21}), "unpacks to more"),
        (epub({"p.xhtml": "<div>" * 300 + "deep" + "</div>" * 300}), "nested more than 200 deep"),
        (epub(TWO, extra={"OEBPS/one.xhtml": BILLION}), "entities of its own"),
        (epub({}), "has no text to read"),
        (epub({"p.xhtml": "<p><img src='a.png'/></p>"}), "has no text to read"),
        (archive({"mimetype": "application/epub+zip", "a.txt": "a"}), "an archive, but not"),
        (epub(TWO)[:-40], "is damaged"),
        (b"PK\x03\x04" + bytes(100), "is damaged"),
    ],
)
def test_a_book_that_cannot_be_read_gets_a_sentence(book: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_document(book, "book.epub")
    assert message in str(caught.value)
    assert "book.epub" in str(caught.value)


def test_a_book_with_a_page_missing_or_locked_gets_a_sentence() -> None:
    whole = epub(TWO)
    without = BytesIO()
    with zipfile.ZipFile(BytesIO(whole)) as source, zipfile.ZipFile(without, "w") as out:
        for entry in source.infolist():
            if entry.filename != "OEBPS/two.xhtml":
                out.writestr(entry, source.read(entry))
    with pytest.raises(RequestError, match="names a file that it does not hold, OEBPS/two"):
        open_document(without.getvalue(), "book.epub")
    locked = bytearray(whole)
    at = whole.index(b"PK\x01\x02")
    while at >= 0:  # the flag of a password, in the directory
        locked[at + 8] |= 1
        at = whole.find(b"PK\x01\x02", at + 4)
    with pytest.raises(RequestError, match="password"):
        open_document(bytes(locked), "book.epub")


def test_a_contents_that_points_nowhere_does_no_harm() -> None:
    book = epub(TWO, toc=[("Self", "nav.xhtml"), ("Gone", "gone.xhtml#x"), ("Two", "two.xhtml#nothing")])
    assert titles(open_document(book, "book.epub")) == ["One", "Two"]


def test_pages_in_other_encodings_are_read() -> None:
    page = xhtml("<p>他走进房间。</p>").replace("utf-8", "gb18030").encode("gb18030")
    (chapter,) = open_document(epub({"p.xhtml": ""}, extra={"OEBPS/p.xhtml": page}), "book.epub").chapters
    assert chapter.text == "他走进房间。"
