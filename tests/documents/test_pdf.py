import pytest

from tests.documents.printed import PICTURE, Text, column, pdf
from voxcli.documents import Document, open_document
from voxcli.errors import RequestError

pytest.importorskip("pypdfium2")

LEFT = [
    "The first column begins here",
    "and goes on with a second",
    "line, then with a third, and",
    "it ends in the middle of",
]
RIGHT = ["a sentence that goes on in", "the second column of this", "page, where it also comes to", "its end."]


def read(pages: list[list[Text]], **more: object) -> Document:
    return open_document(pdf(pages, **more), "paper.pdf")  # type: ignore[arg-type]


def text_of(*pages: list[Text]) -> str:
    (chapter,) = read(list(pages)).chapters
    return chapter.whole


def test_lines_become_paragraphs() -> None:
    lines = [
        "A paragraph of this page has",
        "several lines, of which the",
        "last is short.",
        "",
        "Another one follows after",
        "a space.",
    ]
    assert text_of(column(lines)) == (
        "A paragraph of this page has several lines, of which the last is short.\n\nAnother one follows after a space."
    )


def test_ligatures_of_fonts_that_do_not_name_them_are_read() -> None:
    assert text_of(column(["The first o\x1ece has a ru\x0fe."])) == "The first office has a ruffle."


def test_an_indent_begins_a_paragraph() -> None:
    texts = column(["One paragraph without an indent", "ends right at the margin of it."])
    texts += [Text(90, 671.4, "Another one has an indent and"), Text(72, 657.1, "goes on at the margin again.")]
    assert text_of(texts).count("\n\n") == 1


def test_columns_are_read_one_after_another() -> None:
    title = Text(150, 740, "A Title Across Both Columns of a Page", 18)
    document = read([[title, *column(LEFT), *column(RIGHT, left=330)]])
    (chapter,) = document.chapters
    assert chapter.title == "A Title Across Both Columns of a Page"
    assert chapter.text == " ".join([*LEFT, *RIGHT])


def test_columns_are_read_in_order_however_the_file_has_them() -> None:
    rows = [text for pair in zip(column(LEFT), column(RIGHT, left=330), strict=True) for text in pair]
    assert text_of(rows) == " ".join([*LEFT, *RIGHT])


def test_words_divided_at_the_end_of_a_line_are_joined() -> None:
    assert text_of(column(["He was known for his foolish-", "ness, but he was a well-", "known man."])) == (
        "He was known for his foolishness, but he was a well-known man."
    )


def paged(at: int, lines: list[str], *, number: str = "") -> list[Text]:
    head = Text(72, 760, "THE STORY OF A" if at % 2 else "ANN AUTHOR", 9)
    return [head, *column(lines), Text(300, 30, number or str(at + 11), 9)]


def test_heads_and_numbers_of_pages_are_left_out_and_paragraphs_go_on_across_them() -> None:
    pages = [
        paged(at, [f"Page {at} begins in words", "and it ends in the middle of a", "sentence that is longer, which"])
        for at in range(6)
    ]
    pages = [[Text(t.left, t.bottom, t.text.replace("Page", "page"), t.size) for t in page] for page in pages]
    text = text_of(*pages)
    assert "AUTHOR" not in text
    assert "STORY" not in text
    assert "11" not in text
    assert "\n" not in text
    assert text.count("which page") == 5


def test_footnotes_and_references_to_them_are_left_out() -> None:
    body = column(
        ["He said it was so.", "Nobody believed him then, as", "is told elsewhere in this book", "and in others."] * 4
    )
    reference = Text(body[0].left + 85, body[0].bottom + 5, "1", 6)
    notes = column(["1 See the letter of May.", "which is lost."], top=100, size=8)
    document = read([[body[0], reference, *body[1:], *notes]])
    assert "letter" not in document.chapters[0].text
    assert "so.1" not in document.chapters[0].text
    assert document.left_out["footnotes"] == 1


def test_the_outline_gives_the_chapters() -> None:
    pages = [[Text(72, 740, f"Chapter {at}", 16), *column([f"This is the text of number {at}."])] for at in (1, 2, 3)]
    document = read(
        pages, outline=[("Chapter 1", 0), ("Chapter 3", 2)], info="/Title (A Book) /Author (Ann)", language="en-GB"
    )
    assert [chapter.title for chapter in document.chapters] == ["Chapter 1", "Chapter 3"]
    assert document.chapters[0].text.endswith("Chapter 2\n\nThis is the text of number 2.")
    assert (document.title, document.author, document.language) == ("A Book", "Ann", "en-GB")


def test_headings_give_the_chapters_if_there_is_no_outline() -> None:
    pages = [[Text(72, 740, f"Chapter {at}", 16), *column([f"This is the text of number {at}."])] for at in (1, 2, 3)]
    assert [chapter.title for chapter in read(pages).chapters] == ["Chapter 1", "Chapter 2", "Chapter 3"]


def test_an_outline_in_a_circle_ends() -> None:
    pages = [column([f"This is the text of number {at}."]) for at in (1, 2)]
    assert len(read(pages, outline=[("One", 0), ("Two", 1)], circle=True).chapters) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pdf([[PICTURE], [PICTURE]]), "its pages are pictures"),
        (pdf([[]]), "it has no text layer"),
        (pdf([column(["Text"])], locked=True), "protected with a password"),
        (b"%PDF-1.7\nnothing", "is damaged"),
        (pdf([[Text(10, at % 700, "x" * 1000, 1) for at in range(201)]]), "more characters than a page can hold"),
        (pdf([[]] * 10_001), "has 10,001 pages"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_document(data, "paper.pdf")
    assert message in str(caught.value)
    assert "paper.pdf" in str(caught.value)


def test_pages_that_are_pictures_among_others_are_counted() -> None:
    pages = [column(["This page has text, which is read.", "It is long enough for two."]), [PICTURE]]
    assert read(pages).left_out == {"scanned pages": 1}
