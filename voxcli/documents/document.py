"""Document types: what a book, an article or a page holds for a listener, chapter by chapter."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from voxcli.errors import RequestError

MAX_DOCUMENT_BYTES = 512 * 2**20
"""Of a file with pictures. Its text may be much smaller only."""
MAX_TEXT_CHARACTERS = 2**25
"""About 600 hours of speech."""

RULE_MARK = "[pause 1s]"
"""A break between scenes, as a mark of the text."""
_PLURAL = re.compile(r"s\b")
_BETWEEN_PARAGRAPHS = re.compile(r"(?<!\[pause 1s\])\n\n(?!\[pause 1s\])")

LONGEST_CELL = 300
"""Characters in a table that is one. Others lay out a page."""
_END_MARKS = tuple(".!?:;,。！？：；，…")


@dataclass(frozen=True, slots=True)
class Cover:
    """The picture of a book."""

    data: bytes = field(repr=False)
    media_type: str
    """image/jpeg or image/png."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter: paragraphs with a blank line between them, and marks such as `[pause 1s]`."""

    title: str | None
    """As it is announced; None if there is nothing to announce. Not part of the text."""
    text: str

    @property
    def whole(self) -> str:
        """The title and the text."""
        return "\n\n".join(filter(None, [self.title, self.text]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Silence in seconds, besides what a voice makes between sentences."""

    chapter: float = 2.0
    """Between two chapters; half of it follows a title."""
    paragraph: float = 0.4

    def spoken(self, chapter: Chapter) -> str:
        """Return what is spoken of a chapter: title and paragraphs, with marks for the pauses between them."""
        text = chapter.text
        if self.paragraph:
            text = _BETWEEN_PARAGRAPHS.sub(f"\n\n[pause {self.paragraph:g}s]\n\n", text)
        after_title = f"[pause {self.chapter / 2:g}s]" if self.chapter and text else ""
        return "\n\n".join(filter(None, [chapter.title, after_title if chapter.title else "", text]))

    @property
    def between_chapters(self) -> str:
        """The mark between two chapters."""
        return f"[pause {self.chapter:g}s]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text in chapters, and what is known about it."""

    chapters: tuple[Chapter, ...]
    title: str | None = None
    author: str | None = None
    language: str | None = None
    """Such as "en" or "zh-Hans"; None if the document does not say."""
    cover: Cover | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    """What is not spoken, and how often: "footnotes", "blocks of code"."""

    def __post_init__(self) -> None:
        if sum(len(chapter.text) for chapter in self.chapters) > MAX_TEXT_CHARACTERS:
            raise RequestError(
                f"The document has more than {MAX_TEXT_CHARACTERS:,} characters, which are hundreds of hours of "
                "speech. Divide it first."
            )

    @property
    def left_out_words(self) -> str:
        """What is not spoken, in words: "3 footnotes, 1 block of code". Empty if nothing is left out."""
        return ", ".join(
            f"{count} {_PLURAL.sub('', what, count=1) if count == 1 else what}"
            for what, count in self.left_out.items()
            if count
        )

    def spoken(self, pauses: Pauses | None = None) -> str:
        """Return what is spoken, with marks for the pauses between chapters and paragraphs."""
        pauses = pauses or Pauses()
        between = f"\n\n{pauses.between_chapters}\n\n" if pauses.chapter else "\n\n"
        return between.join(map(pauses.spoken, self.chapters))


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading, or a break between scenes."""

    text: str
    heading: int = 0
    """1 to 6; 0 for other text."""

    @property
    def is_rule(self) -> bool:
        return self.text == RULE_MARK


def chapter_of(blocks: Sequence[Block], title: str | None = None) -> Chapter:
    """Return blocks as a chapter. Headings at its start are its title, otherwise the one given.

    title: of a table of contents. If the headings are part of it, it is announced as a whole.
    """
    lead = next((at for at, block in enumerate(blocks) if not (block.heading or block.is_rule)), len(blocks))
    if title:  # what follows it are sections
        said = (at for at in range(1, lead) if _letters(title) in _letters(_joined_headings(blocks[:at])))
        lead = next(said, lead)
    if own := _joined_headings(blocks[:lead]):
        rest = blocks[lead:]
        title = title if title and _letters(own) in _letters(title) else own
    else:
        rest = blocks
        if title and rest and _letters(rest[0].text) == _letters(title):
            rest = rest[1:]
    return Chapter(title, "\n\n".join(block.text for block in _trimmed(rest)))


def _joined_headings(blocks: Iterable[Block]) -> str:
    return joined_titles(block.text for block in blocks if block.heading)


def joined_titles(titles: Iterable[str]) -> str:
    """Return headings that follow one another as one: "Chapter 1. The Beginning"."""
    joined = ""
    for title in titles:
        if _letters(title) and _letters(title) in _letters(joined):
            continue
        joined += f"{'' if not joined else ' ' if joined[-1] in '.!?:。！？：' else '. '}{title}"
    return joined


def chapters_by_headings(blocks: Sequence[Block], title: str | None = None) -> tuple[Chapter, ...]:
    """Divide blocks at the highest headings of which there are several, or at all of the only level there is."""
    levels = Counter(block.heading for block in blocks if block.heading)
    several = sorted(level for level, count in levels.items() if count > 1)
    level = several[0] if several else max(levels, default=0)
    starts = [at for at, block in enumerate(blocks) if 0 < block.heading <= level]
    # A heading right below another one belongs to the same chapter.
    starts = [at for at in starts if at == 0 or at - 1 not in starts]
    if not starts or (starts[0] > 0 and any(not block.is_rule for block in blocks[: starts[0]])):
        starts = [0, *starts]
    parts = [blocks[start:end] for start, end in zip(starts, [*starts[1:], len(blocks)], strict=True)]
    chapters = [chapter_of(part) for part in parts]
    if chapters and chapters[0].title is None:
        chapters[0] = replace(chapters[0], title=title)
    return tuple(chapter for chapter in chapters if chapter.title or chapter.text)


def table_sentences(rows: Sequence[Sequence[Sequence[Block]]], *, has_header: bool) -> Iterator[Block]:
    """Yield a table as sentences, a row each: "Name: Anna, age: 30." What is not a table of short cells stays as it is.

    Args:
        rows: cells of blocks.
        has_header: whether the first row names the columns.
    """
    texts = [
        [", ".join(block.text.replace("\n", ", ") for block in cell if not block.is_rule) for cell in row]
        for row in rows
    ]
    if max(map(len, texts), default=0) < 2 or any(len(text) > LONGEST_CELL for row in texts for text in row):
        yield from (block for row in rows for cell in row for block in cell)
        return
    header = texts[0] if has_header and len(texts) > 1 else []
    for row in texts[1:] if header else texts:
        names = [*header, *[""] * (len(row) - len(header))]
        named = [f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell]
        if named:
            yield Block(ended(", ".join(named)))


def words(text: str) -> frozenset[str]:
    """Return a set of names that are written in a row."""
    return frozenset(text.split())


def ended(text: str) -> str:
    """Return a text with a full stop, unless it ends with another mark."""
    return text if text.endswith(_END_MARKS) else f"{text}."


def _trimmed(blocks: Sequence[Block]) -> Sequence[Block]:
    """Leave out breaks at the start and the end."""
    kept = [at for at, block in enumerate(blocks) if not block.is_rule]
    return blocks[kept[0] : kept[-1] + 1] if kept else []


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()
