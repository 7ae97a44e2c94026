"""Parts of a text that may still be arriving: sentences and pauses, in the order they are spoken."""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from voxcli.text.characters import is_speakable
from voxcli.text.language import TextLanguage
from voxcli.text.marks import Part, Pause, parse_marks
from voxcli.text.sentences.splitter import SentenceSplitter

if TYPE_CHECKING:
    from voxcli.text.markdown.reader import SpeakableMarkdown

_log = logging.getLogger(__name__)

_LINE_BREAKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)|[^\S\u00a0\u202f\u2009]+|\s{2,}")
"""White space, but for a single no-break or thin space between digits, which parts thousands."""


class Sentence(str):
    """A part to speak that knows the language of its text, which a number alone does not tell."""

    __slots__ = ("text_language",)

    text_language: str | None

    def __new__(cls, text: str, text_language: str | None) -> "Sentence":
        sentence = super().__new__(cls, text)
        sentence.text_language = text_language
        return sentence


class PartReader:
    """The text pipeline: Markdown, sentences, marks. Warns once about each unknown tag in brackets."""

    def __init__(self, *, markdown: bool) -> None:
        """markdown: whether the text is Markdown."""
        self._markdown = _new_markdown() if markdown else None
        self._splitter = SentenceSplitter()
        self._language = TextLanguage()
        self._warned: set[str] = set()

    def feed(self, text: str) -> list[Part]:
        """Take text; return the parts that are complete."""
        self._language.feed(text)
        if not self._markdown:
            return self._parts(self._splitter.feed(text))
        sentences = []
        for line in text.splitlines(keepends=True):
            sentences += self._splitter.feed(self._markdown.feed(line))
            if self._markdown.at_block_end:
                # A long block of code may follow, without a pause of the writer to flush this text.
                sentences += [*self._splitter.feed("\n\n"), *self._splitter.flush()]
        return self._parts(sentences)

    def flush(self) -> list[Part]:
        """Return the parts that can be spoken, because the writer has paused."""
        plain = self._markdown.flush() if self._markdown else ""
        return self._parts([*self._splitter.feed(plain), *self._splitter.flush()])

    def finish(self) -> list[Part]:
        """Return the rest, because the text has ended."""
        plain = self._markdown.finish() if self._markdown else ""
        return self._parts([*self._splitter.feed(plain), *self._splitter.finish()])

    def _parts(self, sentences: list[str]) -> list[Part]:
        parts: list[Part] = []
        for sentence in sentences:
            found, unknown = parse_marks(sentence)
            for part in found:
                if isinstance(part, Pause):
                    parts.append(part)
                elif is_speakable(part):
                    # A voice may read a line break as a longer pause.
                    parts.append(Sentence(_LINE_BREAKS.sub(" ", part).strip(), self._language.language))
            for tag in unknown:
                self._warn_about_tag(tag)
        return parts

    def _warn_about_tag(self, tag: str) -> None:
        if tag not in self._warned:
            self._warned.add(tag)
            _log.warning("Unknown mark %s is not read. Known marks: [pause 0.5s].", tag)


def _new_markdown() -> "SpeakableMarkdown":
    from voxcli.text.markdown.reader import SpeakableMarkdown  # its patterns take 20 ms to compile

    return SpeakableMarkdown()


def read_parts(text: Iterable[str | None], *, markdown: bool) -> Iterator[Part]:
    """Yield the parts of a text as soon as they are complete. None in `text` means that the writer has paused."""
    reader = PartReader(markdown=markdown)
    for piece in text:
        yield from reader.flush() if piece is None else reader.feed(piece)
    yield from reader.finish()


def read_text(text: Iterable[str | None], *, markdown: bool, split: bool) -> Iterator[Part]:
    """Yield the parts of a text, or all of it as one part if it is not to be split."""
    if split:
        yield from read_parts(text, markdown=markdown)
    else:
        yield read_whole(text, markdown=markdown)


def read_whole(text: Iterable[str | None], *, markdown: bool) -> str:
    """Return a whole text unsplit; of Markdown, its plain text."""
    whole = "".join(piece for piece in text if piece)
    if not markdown:
        return whole
    plain = _new_markdown()
    return plain.feed(whole) + plain.finish()
