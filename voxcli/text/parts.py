"""Parts of a text that may still be arriving: sentences and pauses, in the order they are spoken."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from voxcli.text.characters import is_speakable, without_emoji
from voxcli.text.language import TextLanguage, language_of
from voxcli.text.lines import SpokenLines, without_decoration
from voxcli.text.look_alikes import CharacterFolder, folded
from voxcli.text.marks import (
    PLAIN,
    MannerChange,
    Marked,
    MarkedUp,
    Part,
    Pause,
    Sentence,
    SpeakingManner,
    is_only_tags,
    parse_marks,
)
from voxcli.text.positions import TextPositions
from voxcli.text.reasoning import SpokenText, without_reasoning
from voxcli.text.sentences.splitter import SentenceSplitter
from voxcli.text.short_parts import ShortParts, count_syllables, ends_clause, ends_sentence
from voxcli.text.terminal import TerminalText, without_terminal_codes

if TYPE_CHECKING:
    from voxcli.text.markdown.reader import SpeakableMarkdown

_log = logging.getLogger(__name__)

_LINE_BREAKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)|[^\S\u00a0\u202f\u2009]+|\s{2,}")
"""White space, but for a single no-break or thin space between digits, which parts thousands."""
_BREAKS = {"\n": 1, "\u2028": 1, "\u2029": 2, "\f": 2}

_FEW_SYLLABLES, _SOME_SYLLABLES = 5, 12
"""In a pause of the writer, this much is spoken after a clause, and this much in the middle of one."""
_LONG_PAUSE, _LONGEST_PAUSE = 2.0, 4.0
"""Seconds. After the first, some words are spoken however they end; after the second, anything."""
_PLAYING_SECONDS = 1.0
"""While there is more than this to be heard, only whole sentences are spoken in a pause."""

IDLE_SECONDS = 0.4
"""After this long without more text, its writer has paused, and the text received so far may be spoken."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The writer of a text has paused. It comes again while the pause goes on."""

    seconds: float
    """Since the last text arrived."""


@dataclass(frozen=True, slots=True)
class Flush:
    """All text so far is to be spoken, as if it ended here, though no sentence may be complete."""


TextPiece: TypeAlias = str | Silence | Flush | MannerChange | Pause


class PartReader:
    """The text pipeline, from terminal codes to sentences and marks. Warns once about each tag that is left out."""

    def __init__(self, *, markdown: bool, tags: frozenset[str] = frozenset(), least_syllables: int = 0) -> None:
        """
        Args:
            markdown: whether the text is Markdown.
            tags: those that the voice performs, in lower case and without brackets. They stay in their sentences.
            least_syllables: a shorter part joins a neighbour.
        """
        self._terminal = TerminalText()
        self._spoken = SpokenText()
        self._characters = CharacterFolder()
        self._markdown = _new_markdown() if markdown else None
        self._lines = SpokenLines(hyphens=True)
        self._splitter = SentenceSplitter()
        self._short = ShortParts(least_syllables)
        self._language = TextLanguage()
        self._tags = tags
        self._warned: set[str] = set()  # tags
        self._unsplit = ""  # the text that is in no sentence yet, if there are tags
        self._held = ""  # tags before their sentence, or a sentence that a tag may follow

    def continue_from(self, earlier: "PartReader") -> None:
        """Take over the language of a text whose earlier part another reader has read, and what was warned of."""
        self._language, self._warned = earlier._language, earlier._warned

    def feed(self, text: str) -> list[Part]:
        """Take text; return the parts that are complete."""
        text = self._characters.feed(self._spoken.feed(self._terminal.feed(text)))
        return self._parts(self._sentences(text), more=True)

    def flush(self) -> list[Part]:
        """Return the parts that can be spoken, because the writer has paused."""
        text = self._characters.feed(self._spoken.feed(self._terminal.flush())) + self._characters.flush()
        sentences = self._sentences(text)
        plain = self._markdown.flush() if self._markdown else ""
        sentences += [*self._split(plain), *self._take(self._lines.flush())]
        return self._parts([*sentences, *self._splitter.flush()])

    def pause(self, seconds: float, *, playing: float = 0.0) -> list[Part]:
        """Return the parts that are worth speaking now, because the writer has paused.

        Args:
            seconds: since the last text arrived.
            playing: seconds of speech that a listener has yet to hear.
        """
        waiting = f"{self._short.held} {self._unsplit}{self._characters.held}{self._terminal.held}"
        syllables = count_syllables(waiting)
        if playing > _PLAYING_SECONDS:
            due = syllables >= _FEW_SYLLABLES and ends_sentence(waiting)
        elif ends_sentence(waiting):
            due = True
        else:
            enough = _FEW_SYLLABLES if ends_clause(waiting) else _SOME_SYLLABLES
            due = syllables >= enough or seconds >= (_LONG_PAUSE if syllables >= _FEW_SYLLABLES else _LONGEST_PAUSE)
        return self.flush() if due else []

    def finish(self) -> list[Part]:
        """Return the rest, because the text has ended."""
        text = self._spoken.feed(self._terminal.finish()) + self._spoken.finish()
        sentences = self._sentences(self._characters.feed(text) + self._characters.flush())
        plain = self._markdown.finish() if self._markdown else ""
        sentences += [*self._split(plain), *self._take(self._lines.finish())]
        return self._parts([*sentences, *self._splitter.finish()], ended=True)

    def _sentences(self, text: str) -> list[str]:
        self._language.feed(text)
        if not self._markdown:
            return self._split(text)
        sentences = []
        for line in text.splitlines(keepends=True):
            sentences += self._split(self._markdown.feed(line))
            if self._markdown.at_block_end:
                # A long block of code may follow, without a pause of the writer to flush this text.
                sentences += [*self._split("\n\n"), *self._splitter.flush()]
        return sentences

    def _split(self, text: str) -> list[str]:
        return self._take(self._lines.feed(text))

    def _take(self, text: str) -> list[str]:
        self._unsplit += text
        return self._splitter.feed(text)

    def _parts(self, sentences: list[str], *, more: bool = False, ended: bool = False) -> list[Part]:
        parts: list[Part] = []
        for sentence in self._with_tags(sentences, more=more, ended=ended):
            found, left_out = _marked(sentence, self._tags, self._language.language)
            newlines = sum(_BREAKS.get(char, 0) for char in sentence[len(sentence.rstrip()) :])
            for part in found:
                parts += self._short.add(part, newlines=newlines if part is found[-1] else 0)
            if newlines > 1:
                parts += self._short.flush()
            for tag in left_out:
                self._warn_about(tag)
        if not more:
            parts += self._short.flush()
        elif self._short.held and not self._held:
            # A mark may end the part, so that what follows it tells nothing.
            parts += self._short.show(self._splitter.begun.partition("[")[0])
        return parts

    def _with_tags(self, sentences: list[str], *, more: bool, ended: bool) -> list[str]:
        """Join a tag that stands alone to the sentence before it, or at the start of a text to the one after it."""
        self._unsplit = self._unsplit[sum(map(len, sentences)) :]
        if not self._tags:
            return sentences
        joined: list[str] = []
        for sentence in sentences:
            if self._held_speaks and ("\n" in self._held or not is_only_tags(sentence, self._tags)):
                joined.append(self._held)
                self._held = ""
            self._held += sentence
        tag_may_follow = more and "\n" not in self._held and self._unsplit.lstrip().startswith("[")
        if self._held and (ended or (self._held_speaks and not tag_may_follow)):
            joined.append(self._held)
            self._held = ""
        return joined

    @property
    def _held_speaks(self) -> bool:
        return bool(self._held) and not is_only_tags(self._held, self._tags)

    def _warn_about(self, tag: str) -> None:
        if tag in self._warned:
            return
        self._warned.add(tag)
        if tag.lower().strip("[ ").startswith("pause"):
            _log.warning("The mark %s is left out. Write [pause 0.5s] or [pause 500ms], up to 60 s.", tag)
        elif self._tags:
            known = " ".join(f"[{name}]" for name in sorted(self._tags))
            _log.warning("The tag %s is left out: this voice does not perform it. It knows: %s.", tag, known)
        else:
            _log.warning("The tag %s is left out: this voice performs no tags.", tag)


def _new_markdown() -> "SpeakableMarkdown":
    from voxcli.text.markdown.reader import SpeakableMarkdown  # its patterns take 20 ms to compile

    return SpeakableMarkdown()


def read_parts(
    text: Iterable[TextPiece],
    *,
    markdown: bool,
    tags: frozenset[str] = frozenset(),
    least_syllables: int = 0,
    playing: Callable[[], float] = lambda: 0.0,
) -> Iterator[Part]:
    """Yield the parts of a text as soon as they are complete, and where each sentence stands in it.

    Args:
        text: complete or still arriving, with changes of the manner and pauses where it has any.
        markdown: whether it is Markdown.
        tags: those that the voice performs, in lower case and without brackets.
        least_syllables: a shorter part joins a neighbour.
        playing: returns the seconds of speech that a listener has yet to hear.
    """
    new_reader = partial(PartReader, markdown=markdown, tags=tags, least_syllables=least_syllables)
    reader, positions, manner = new_reader(), TextPositions(), PLAIN
    for piece in text:
        match piece:
            case Silence():
                yield from _located(reader.pause(piece.seconds, playing=playing()), positions, manner)
            case Flush():
                yield from _located(reader.finish(), positions, manner)
                reader = new_reader()
            case MannerChange() | Pause():
                yield from _located(reader.finish(), positions, manner)
                (after := new_reader()).continue_from(reader)
                reader = after
                if isinstance(piece, Pause):
                    yield piece
                else:
                    positions.feed(MarkedUp("", piece.written))
                    manner = piece.manner
            case _:
                positions.feed(piece)
                yield from _located(reader.feed(piece), positions, manner)
    yield from _located(reader.finish(), positions, manner)


def _located(parts: Iterable[Part], positions: TextPositions, manner: SpeakingManner) -> Iterator[Part]:
    for part in parts:
        yield part if isinstance(part, Pause) else positions.located(part, manner)


def read_text(
    text: Iterable[TextPiece],
    *,
    markdown: bool,
    split: bool,
    tags: frozenset[str] = frozenset(),
    least_syllables: int = 0,
    playing: Callable[[], float] = lambda: 0.0,
) -> Iterator[Part]:
    """Yield the parts of a text, or all of it as one part if it is not to be split."""
    if split:
        yield from read_parts(text, markdown=markdown, tags=tags, least_syllables=least_syllables, playing=playing)
    elif is_speakable(whole := without_emoji(read_whole(pieces := list(text), markdown=markdown))):
        yield Sentence(whole, None, (0, sum(len(piece) for piece in pieces if isinstance(piece, str))))


def read_whole(text: Iterable[TextPiece], *, markdown: bool) -> str:
    """Return a whole text unsplit, without control sequences and reasoning; of Markdown, its plain text."""
    whole = _entering("".join(piece for piece in text if isinstance(piece, str)))
    if not markdown:
        return whole
    plain = _new_markdown()
    return plain.feed(whole) + plain.finish()


def _entering(text: str) -> str:
    return folded(without_reasoning(without_terminal_codes(text)))


def read_lines(text: str, gap: float, *, tags: frozenset[str] = frozenset()) -> Iterator[Part]:
    """Yield the lines into which a client's protocol cut its text, with a gap of some seconds between them."""
    text = _entering(text)
    language = language_of(text)
    for number, line in enumerate(text.split("\n")):
        if number:
            yield Pause(gap)
        yield from _marked(line, tags, language).parts


def _marked(text: str, tags: frozenset[str], language: str | None) -> Marked:
    """Split a text at its marks, and leave out what is silent."""
    found, left_out = parse_marks(text, tags)
    parts: list[Part] = []
    for part in found:
        if isinstance(part, Pause):
            parts.append(part)
        elif is_speakable(part):
            # A voice may read a line break as a longer pause.
            parts.append(Sentence(_LINE_BREAKS.sub(" ", without_emoji(without_decoration(part))).strip(), language))
    return Marked(parts, left_out)
