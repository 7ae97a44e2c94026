from io import BytesIO
from typing import Any

import pytest

from tests.documents.made import archive
from voxcli.documents import open_document
from voxcli.errors import RequestError

docx = pytest.importorskip("docx")
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def saved(document: Any) -> bytes:
    data = BytesIO()
    document.save(data)
    return data.getvalue()


def test_headings_are_chapters_and_the_rest_is_text() -> None:
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = "A Book", "Ann"
    document.core_properties.language = "de"
    document.add_heading("Eins", 1)
    document.add_paragraph("Erster Absatz.")
    document.add_heading("Unterpunkt", 2)
    document.add_paragraph("Punkt", style="List Bullet")
    for text in ("erstens", "zweitens"):
        document.add_paragraph(text, style="List Number")
    document.add_heading("Zwei", 1)
    table = document.add_table(2, 2)
    for at, text in enumerate(("Name", "Alter", "Anna", "30")):
        table.cell(at // 2, at % 2).text = text
    document.add_paragraph("* * *")
    last = document.add_paragraph("Zeile")
    last.add_run().add_break()
    last.add_run("zwei")
    read = open_document(saved(document), "book.docx")
    assert [chapter.title for chapter in read.chapters] == ["Eins", "Zwei"]
    assert read.chapters[0].text == "Erster Absatz.\n\nUnterpunkt\n\nPunkt\n\n1. erstens\n\n2. zweitens"
    assert read.chapters[1].text == "Name, Alter.\n\nAnna, 30.\n\n[pause 1s]\n\nZeile\nzwei"
    assert (read.title, read.author, read.language) == ("A Book", "Ann", "de")


def with_body(inner: str) -> bytes:
    body = (
        f'<w:document xmlns:w="{WORD}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        f"<w:body>{inner}</w:body></w:document>"
    )
    return archive({"[Content_Types].xml": "<x/>", "word/document.xml": body})


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (f"{run('kept ')}<w:del>{run('gone ')}</w:del><w:ins>{run('added')}</w:ins>", "kept added"),
        (f"{run('Text')}<w:r><w:footnoteReference w:id='2'/></w:r>{run(' goes on')}", "Text goes on"),
        (f"{run('shown')}{run(' hidden', '<w:vanish/>')}", "shown"),
        (f"{run('5 m')}{run('2', '<w:vertAlign w:val=&quot;superscript&quot;/>'.replace('&quot;', chr(34)))}", "5 m²"),
        (f"<w:hyperlink>{run('a link')}</w:hyperlink><w:r><w:softHyphen/></w:r>{run('.')}", "a link."),
        (
            f"<w:r><w:ruby><w:rt>{run('かんじ')}</w:rt><w:rubyBase>{run('漢字')}</w:rubyBase></w:ruby></w:r>",
            "かんじ",
        ),
        (
            "<w:r><mc:AlternateContent><mc:Choice><w:drawing><wp:docPr descr='A map'/><w:txbxContent><w:p>"
            f"{run('In a box')}</w:p></w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:txbxContent><w:p>"
            f"{run('In a box')}</w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r>",
            "A map\n\nIn a box",
        ),
    ],
)  # fmt: skip
def test_a_paragraph_has_what_a_reader_sees(inner: str, text: str) -> None:
    (chapter,) = open_document(with_body(f"<w:p>{inner}</w:p>"), "a.docx").chapters
    assert chapter.text == text


def test_tables_of_contents_are_left_out() -> None:
    contents = '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    inner = f"{contents}<w:sdtContent><w:p>{run('One 3')}</w:p></w:sdtContent></w:sdt><w:p>{run('Text')}</w:p>"
    document = open_document(with_body(inner), "a.docx")
    assert [chapter.text for chapter in document.chapters] == ["Text"]
    assert document.left_out == {"tables of contents": 1}


def test_a_table_with_a_header_names_its_columns() -> None:
    def row(*cells: str, header: str = "") -> str:
        return f"<w:tr>{header}{''.join(f'<w:tc><w:p>{run(cell)}</w:p></w:tc>' for cell in cells)}</w:tr>"

    header = "<w:trPr><w:tblHeader/></w:trPr>"
    table = f"<w:tbl>{row('Name', 'Age', header=header)}{row('Anna', '30')}</w:tbl>"
    assert open_document(with_body(table), "a.docx").chapters[0].text == "Name: Anna, Age: 30."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "Save it as DOCX without a password"),
        (with_body("<w:p>"), "is damaged"),
        (with_body(""), "has no text to read"),
    ],
)
def test_a_document_that_cannot_be_read_gets_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        open_document(data, "a.docx")
