"""Text that is still arriving, made into sentences and pauses that can be spoken one after another."""

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from voxcli.text.characters import is_speakable
from voxcli.text.marks import Part, Pause, parse_marks
from voxcli.text.sentences.splitter import SentenceSplitter

if TYPE_CHECKING:
    from voxcli.text.markdown.reader import SpeakableMarkdown

_log = logging.getLogger(__name__)


class PartReader:
    """Markdown, sentences and marks in a row. Warns once about each bracket tag that it does not know."""

    def __init__(self, *, markdown: bool) -> None:
        """markdown: whether the text is Markdown."""
        self._markdown = _new_markdown() if markdown else None
        self._splitter = SentenceSplitter()
        self._warned: set[str] = set()

    def feed(self, text: str) -> list[Part]:
        """Take text; return what can be spoken already."""
        if not self._markdown:
            return self._parts(self._splitter.feed(text))
        sentences = []
        for line in text.splitlines(keepends=True):
            sentences += self._splitter.feed(self._markdown.feed(line))
            if self._markdown.at_block_end:
                # What follows may be a long block of code, during which the writer makes no pause.
                sentences += [*self._splitter.feed("\n\n"), *self._splitter.flush()]
        return self._parts(sentences)

    def flush(self) -> list[Part]:
        """Return what can be spoken now that the writer has made a pause."""
        plain = self._markdown.flush() if self._markdown else ""
        return self._parts([*self._splitter.feed(plain), *self._splitter.flush()])

    def finish(self) -> list[Part]:
        """Return the rest."""
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
                    # A voice may take a blank line for a longer pause than the sentence's own.
                    parts.append(" ".join(part.split()))
            for tag in unknown:
                self._warn_of_tag(tag)
        return parts

    def _warn_of_tag(self, tag: str) -> None:
        if tag not in self._warned:
            self._warned.add(tag)
            _log.warning("%s is no mark that voxcli knows, and is not read. It knows [pause 0.5s].", tag)


def _new_markdown() -> "SpeakableMarkdown":
    from voxcli.text.markdown.reader import SpeakableMarkdown  # its patterns take 20 ms to compile

    return SpeakableMarkdown()


def read_parts(text: Iterable[str | None], *, markdown: bool) -> Iterator[Part]:
    """Yield the parts of a text as soon as they are certain. None in the text is a pause of its writer."""
    reader = PartReader(markdown=markdown)
    for piece in text:
        yield from reader.flush() if piece is None else reader.feed(piece)
    yield from reader.finish()


def read_whole(text: Iterable[str | None], *, markdown: bool) -> str:
    """Return a whole text as it stands, without its Markdown if it is that."""
    whole = "".join(piece for piece in text if piece)
    if not markdown:
        return whole
    plain = _new_markdown()
    return plain.feed(whole) + plain.finish()
