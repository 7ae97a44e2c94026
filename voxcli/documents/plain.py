"""Plain text and Markdown as documents: chapters from headings, or from lines such as "Chapter 7" and "第七章"."""

import re
from collections.abc import Iterator

from voxcli.documents.document import Block, Document, chapters_by_headings
from voxcli.errors import RequestError
from voxcli.text.encodings import decode_text
from voxcli.text.parts import read_whole

_FIRST_LEVEL = 0xE110
"""Private characters that carry the level of a heading through the Markdown reader."""
_LEVELS = range(1, 7)
_LEVEL_MARK = re.compile(f"[{chr(_FIRST_LEVEL + 1)}-{chr(_FIRST_LEVEL + 6)}]")
_ATX = re.compile(r"^( {0,3}(#{1,6})[ \t]+)(?=\S)", re.MULTILINE)
_SETEXT = re.compile(r"(?:(?<=\n\n)|\A)( {0,3}(?=[^\s>#*+|-])[^\n]+)\n( {0,3}(?:=+|-{2,})[ \t]*)(?=\n|\Z)")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^(title|author|lang|language)[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty first second third fourth fifth sixth seventh eighth ninth tenth the"
)
_NUMBER = rf"(?:\d{{1,4}}|[ivxlcdm]{{1,8}}|(?:{'|'.join(_NUMBER_WORDS.split())})(?:[- ]\w+)?)"
_CHAPTER_LINE = re.compile(
    rf"(?:chapter|chap\.|part|book|volume|kapitel|teil|chapitre|partie|capítulo|capitolo|hoofdstuk|rozdział|глава|часть)"
    rf"[ \t]+{_NUMBER}\b[^\n]{{0,80}}|(?:prologue|epilogue|preface|foreword|introduction|afterword)\.?"
    r"|第[ 　]?[一二三四五六七八九十百千零〇两兩\d０-９]{1,7}[ 　]?[章回節节卷部話话集幕][^\n。！？]{0,40}"
    r"|(?:序章|序幕|楔子|尾声|後記|后记)",
    re.IGNORECASE,
)


def read_plain(data: bytes, name: str) -> Document:
    """Read a text without markup.

    Raises:
        RequestError: it is binary, or in an unknown encoding.
    """
    text = _decoded(data, name).replace("\r\n", "\n").replace("\r", "\n")
    return Document(chapters=chapters_by_headings(list(_plain_blocks(text))))


def read_markdown(data: bytes, name: str) -> Document:
    """Read Markdown, with its headings as chapters.

    Raises:
        RequestError: it is binary, or in an unknown encoding.
    """
    text = _LEVEL_MARK.sub("", _decoded(data, name).replace("\r\n", "\n").replace("\r", "\n"))
    front = _FRONT_MATTER.match(text)
    fields = {key.lower(): value.strip("\"'") for key, value in _FIELD.findall(front[1])} if front else {}
    body = text[front.end() :] if front else text
    marked = _SETEXT.sub(lambda line: f"{'#' if '=' in line[2] else '##'} {line[1].strip()}\n", body)
    marked = _ATX.sub(lambda start: start[1] + chr(_FIRST_LEVEL + len(start[2])), marked)
    blocks = [_marked_block(block) for block in _paragraphs(read_whole([marked], markdown=True))]
    return Document(
        chapters=chapters_by_headings(blocks, fields.get("title")),
        title=fields.get("title") or next((block.text for block in blocks if block.heading == 1), None),
        author=fields.get("author"),
        language=fields.get("lang") or fields.get("language"),
    )


def _decoded(data: bytes, name: str) -> str:
    decoded = decode_text(data)
    if decoded is None:
        raise RequestError(f"{name} is not text, or in an unknown encoding.")
    return decoded.text


def _paragraphs(text: str) -> Iterator[str]:
    return (block.strip("\n") for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text) if block.strip())


def _plain_blocks(text: str) -> Iterator[Block]:
    """Yield the paragraphs. A line that names a chapter is a heading, also where no blank line follows."""
    for paragraph in _paragraphs(text):
        kept: list[str] = []
        for line in paragraph.split("\n"):
            if _CHAPTER_LINE.fullmatch(line.strip(" \t　")):
                if kept:
                    yield Block("\n".join(kept))
                    kept = []
                yield Block(" ".join(line.split()), heading=1)
            else:
                kept.append(line)
        if kept:
            yield Block("\n".join(kept))


def _marked_block(text: str) -> Block:
    level = ord(text[0]) - _FIRST_LEVEL
    plain = _LEVEL_MARK.sub("", text)
    return Block(plain, level) if level in _LEVELS else Block(plain)
