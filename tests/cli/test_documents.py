"""Documents on the command line: spoken, listed, piped, and refused in words."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents.made import epub
from tests.documents.printed import column, pdf
from tests.program import Run, said
from voxcli.cli.text_source import Arriving, FromDocument, Whole, open_text_file
from voxcli.documents import open_document
from voxcli.text.parts import Silence, read_text

pytest.importorskip("lxml")

BOOK = epub(
    {
        "one.xhtml": "<h1>One</h1><p>First * paragraph.</p><p>1984. Second #2 [sic].<br/>A line</p>",
        "two.xhtml": "<h1>Two</h1><p>Last_one_.</p>",
    },
    toc=[("One", "one.xhtml"), ("Two", "two.xhtml")],
)


def parts(source: FromDocument | Whole, *, markdown: bool) -> list[object]:
    pieces = source.pieces(lambda: None, markdown=markdown)
    return list(read_text(pieces, markdown=markdown, split=True))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.epub"
    path.write_bytes(BOOK)
    return path


def test_chapters_are_listed(run: Run, book: Path) -> None:
    done = run("say", "-f", "book.epub", "--list-chapters")
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.decode().splitlines()[1:3]] == [["1", "One"], ["2", "Two"]]
    as_json = json.loads(run("say", "-f", "-", "--list-chapters", "--chapters", "2-", "--json", stdin=BOOK).stdout)
    assert (as_json["title"], [chapter["title"] for chapter in as_json["chapters"]]) == ("A Book", ["Two"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-f", "book.epub", "--chapters", "3"], 2, "There is no chapter 3: the document has 2 chapters."),
        (["-f", "book.epub", "--chapters", "2-1"], 2, "There is no chapter 2-1"),
        (["-f", "book.epub", "--chapters", "two"], 2, "'two' is not a chapter or a range."),
        (["hello", "--chapters", "1"], 2, "--chapters is for one document"),
        (["book.epub"], 2, "book.epub is a file. To speak what is in it: -f book.epub"),
        (["-f", "locked.pdf"], 4, "locked.pdf is protected with a password"),
    ],
)
def test_what_cannot_be_done_is_told(run: Run, book: Path, arguments: list[str], code: int, message: str) -> None:
    book.with_name("locked.pdf").write_bytes(pdf([column(["Text"])], locked=True))
    done = run("say", *arguments, "-o", "x.wav")
    assert done.returncode == code
    assert message in " ".join(said(done).split())
    assert not book.with_name("x.wav").exists()


def test_a_document_is_spoken_with_its_pauses_and_only_the_chapters_asked_for(run: Run, book: Path) -> None:
    said = []
    for arguments in (["-f", "book.epub"], ["-f", "book.epub", "--chapters", "2"]):
        done = run("say", *arguments, "-o", "x.wav", "-o", "x.json", "--force")
        assert done.returncode == 0, said(done)
        said.append(book.with_name("x.json").read_text("utf-8"))
    assert "First" in said[0]
    assert "First" not in said[1]
    assert "Last" in said[1]


SIGNS = [
    "He [a.b] * and [c d](e.f) _x_, [g]: h",
    "1. one",
    "- dash",
    "# three & <b>",
    "`code`",
    "a\nB line",
    "[pause 1s]",
]


@given(st.lists(st.sampled_from(SIGNS), min_size=1, max_size=5))
@settings(max_examples=25)
def test_a_document_reads_the_same_among_markdown_as_alone(paragraphs: list[str]) -> None:
    source = FromDocument("\n\n".join(paragraphs))
    assert parts(source, markdown=True) == parts(source, markdown=False)


@pytest.mark.parametrize("markdown", [True, False])
def test_a_document_may_come_through_a_pipe(book: Path, markdown: bool) -> None:
    with book.open("rb") as file:
        arriving = Arriving(file.fileno(), "standard input").pieces(lambda: None, markdown=markdown)
        pieces = [piece for piece in arriving if not isinstance(piece, Silence)]
    expected = parts(FromDocument(open_document(BOOK).spoken()), markdown=False)
    assert list(read_text(pieces, markdown=markdown, split=True)) == expected


@pytest.mark.parametrize(("encoding", "name"), [("utf-16", "UTF-16"), ("gb18030", "GB18030"), ("utf-16-le", "UTF-16")])
def test_texts_in_other_encodings_are_read_and_named(
    encoding: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "他走进房间，看见桌子上放着一封信。"
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(encoding))
    source = open_text_file(path)
    assert isinstance(source, Whole)
    assert source.text == text
    assert f"it is read as {name}" in caplog.text
    with path.open("rb") as file:
        pieces = Arriving(file.fileno(), "standard input").pieces(lambda: None)
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == text


def test_a_huge_file_is_refused_without_reading_it(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(2 * 2**30)
    done = run("say", "-f", "huge.txt", "-o", "x.wav")
    assert done.returncode == 4
    assert "huge.txt is larger than 512 MiB" in said(done)
