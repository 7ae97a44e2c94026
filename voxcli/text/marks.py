"""Marks in square brackets: pauses, tags that a voice performs, citations, and what is only text.

`[pause 0.5s]` is silence. `[laughing]` is an instruction to a voice, for engines that know the tag. `[1]` refers to a
list of sources, and a narrator skips it. All other brackets are text.
"""

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from voxcli.text.tag_words import CONTROLS, DEGREES, MANNERS, SOUNDS

DEFAULT_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 60.0
MAX_TAG_LENGTH = 40
"""In characters, including the brackets."""

# The tags of VoxCPM2's documentation (voxcpm.readthedocs.io, "Cookbook"), as the model spells them.
_VOXCPM2 = (
    "laughing sigh Uhm Shh Question-ah Question-ei Question-en Question-oh Surprise-wa Surprise-yo Dissatisfaction-hnn"
)
VOXCPM2_TAGS = frozenset(_VOXCPM2.lower().split())
"""The tags that VoxCPM2 performs, in lower case."""
_SPELLINGS = {name.lower(): name for name in _VOXCPM2.split()}

_NAMES = frozenset((SOUNDS + MANNERS).split())
_QUALIFIERS = _NAMES | frozenset(DEGREES.split())
_THROAT = frozenset({"clear", "clears", "clearing"})

_SOURCE = r"\[(?:\^?[1-9]\d{0,2}|\^[^\[\]\s]+)\]"
_MARK = re.compile(
    rf"\({_SOURCE}(?:[,; ]*{_SOURCE})*\)|"
    r"\[(?P<inner>[^\[\]\n]{1,200})\](?!\()"  # [text](address) is a link
    r"|【\d+(?::\d+)?†[^【】\n]{0,100}】"  # a source, as OpenAI's assistants name it
    r"|\ue200[^\ue200-\ue202\n]{0,40}\ue202[^\ue200\ue201\n]{0,200}\ue201"  # as its chats write it
)
_PAUSE = re.compile(
    r"\s*(?:(?P<length>short|brief|medium|long)\s+)?pause\b[\s:=]*"
    r"(?:(?P<amount>[-+]?\d+(?:[.,]\d+)?)\s*(?P<unit>[a-z]*))?\s*",
    re.IGNORECASE,
)
_LENGTHS = {"short": 0.25, "brief": 0.25, "medium": 0.5, "long": 1.0}
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
}
_SETTING = re.compile(r"(?P<name>[a-z]+)(?:\s*[:=]\s*|\s+(?=[-+\d]))[-+\w.%' ]+", re.IGNORECASE)
_CITATION = re.compile(
    r"\^?[1-9]\d{0,2}(?:\s*[,;–-]\s*[1-9]\d{0,2})*|\^[^\s\^]+|(?:note|nb)\s\d+|citation needed|\d+(?::\d+)?†.*",
    re.IGNORECASE,
)
_NO_SPACE_BEFORE = re.compile(r"[\s,.;:!?…)]|\Z")
# After these words, a number in brackets is part of the sentence: "as [3] shows", "see [1] and [2]".
_REFERRING = re.compile(
    r"(?:\b(?:and|as|by|cf|chapter|entry|eq|equation|fig|figure|from|in|item|like|of|or|page|ref|refs|reference|section"
    r"|see|step|table|than|to|und|siehe|voir|et|ver|y)\.?|[见如与和])\s*\Z",
    re.IGNORECASE,
)
_NAME_OF_INDEXED = re.compile(
    r"(?:(?<![A-Za-z])[A-Za-z]|\w*[\d_.]\w*|\w*[a-z][A-Z]\w*|(?i:arr|array|args|argv|data|dict|index|items?|list|map|matrix"
    r"|rows?|table|tuple|values?|vector))\Z"
)
# Characters before an index, as in `array[first]` and `rows[1][last]`.
_BEFORE_INDEX = frozenset(string.ascii_letters + string.digits + "_])")
_WORDS = re.compile(r"[^\W\d_]{2}|[\u2e80-\u9fff]")


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence requested by a mark."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingManner:
    """How a part of a text is spoken, as far as that differs from the rest; factors multiply what holds for all."""

    speaker: str | None = None
    """Name of the speaker; None for the voice of the whole text."""
    speed: float = 1.0
    volume: float = 1.0
    language: str | None = None
    """Such as "zh" or "en"; None leaves that of the whole text."""
    style: str | None = None
    """A direction, such as "whispering", for voices that follow a description."""


PLAIN = SpeakingManner()


@dataclass(frozen=True, slots=True)
class MannerChange:
    """From here on, the text is spoken in another manner. What came before is spoken as if it ended here."""

    manner: SpeakingManner
    written: str = ""
    """Markup that stands here in the text and is not spoken, such as the name of a speaker."""


class Replacement(NamedTuple):
    """Other words, or phonemes, that are spoken in place of what is written."""

    at: tuple[int, int]
    """Where it begins and ends in the sentence, in characters."""
    said: str
    why: str
    """Where it comes from, for the user."""


class MarkedUp(str):
    """A piece of a text that is written otherwise, with markup or references to characters."""

    __slots__ = ("bookmarks", "said", "why", "written")

    written: str
    said: str | None
    """What is spoken in its place; None speaks it as it is."""
    why: str
    """Where that comes from, for the user."""
    bookmarks: tuple[tuple[int, str], ...]
    """Named places in it: how many characters are before, and the name."""

    def __new__(
        cls,
        text: str,
        written: str,
        *,
        said: str | None = None,
        why: str = "",
        bookmarks: tuple[tuple[int, str], ...] = (),
    ) -> "MarkedUp":
        piece = super().__new__(cls, text)
        piece.written, piece.said, piece.why, piece.bookmarks = written, said, why, bookmarks
        return piece


class Sentence(str):
    """A part to speak, as it is written, that knows where it comes from and how it is spoken."""

    __slots__ = ("bookmarks", "manner", "replacements", "span", "text_language")

    text_language: str | None
    """Language of its text, which a number alone does not tell."""
    span: tuple[int, int] | None
    """Where it begins and ends in that text, in characters; see `TextPositions`."""
    manner: SpeakingManner
    replacements: tuple[Replacement, ...]
    """In order, none inside another."""
    bookmarks: tuple[tuple[int, str], ...]
    """Named places in it, in characters, in order."""

    def __new__(
        cls,
        text: str,
        text_language: str | None,
        span: tuple[int, int] | None = None,
        *,
        manner: SpeakingManner = PLAIN,
        replacements: tuple[Replacement, ...] = (),
        bookmarks: tuple[tuple[int, str], ...] = (),
    ) -> "Sentence":
        sentence = super().__new__(cls, text)
        sentence.text_language = text_language
        sentence.span = span
        sentence.manner = manner
        sentence.replacements = replacements
        sentence.bookmarks = bookmarks
        return sentence

    def with_replacements(self, replacements: Iterable[Replacement]) -> "Sentence":
        """Return the same sentence with other replacements."""
        return Sentence(
            self,
            self.text_language,
            self.span,
            manner=self.manner,
            replacements=tuple(replacements),
            bookmarks=self.bookmarks,
        )

    @property
    def said(self) -> str:
        """What the engine is given: the text with its replacements."""
        pieces, end = [], 0
        for replacement in self.replacements:
            start, after = replacement.at
            pieces += [self[end:start], replacement.said]
            end = after
        return "".join([*pieces, self[end:]])


def manner_of(part: str) -> SpeakingManner:
    """Return how a part is spoken."""
    return part.manner if isinstance(part, Sentence) else PLAIN


Part: TypeAlias = str | Pause


class Marked(NamedTuple):
    """A text split at its marks."""

    parts: list[Part]
    """Text to speak, and pauses."""
    unknown: list[str]
    """Tags that the voice does not perform and pauses that make no sense, as written. They are not in `parts`; callers
    should warn about them."""


def parse_marks(text: str, performed: frozenset[str] = frozenset()) -> Marked:
    """Split a text at its marks.

    Args:
        text: usually one sentence.
        performed: the tags that the voice performs, in lower case and without brackets. They stay in the text.
    """
    parts: list[Part] = []
    unknown: list[str] = []
    pending = ""
    end = 0
    for mark in _MARK.finditer(text):
        pending += text[end : mark.start()]
        end = mark.end()
        meaning = _meaning(mark, pending, performed)
        if isinstance(meaning, Pause):
            parts += [pending, meaning] if pending else [meaning]
            pending = ""
        elif meaning:
            pending += meaning
        else:
            if meaning is None:
                unknown.append(mark[0])
            # Avoid a space before the comma in "Oh [laugh], no".
            if pending.endswith(" ") and _NO_SPACE_BEFORE.match(text, end):
                pending = pending[:-1]
    pending += text[end:]
    if pending:
        parts.append(pending)
    return Marked(parts, unknown)


def is_only_tags(text: str, performed: frozenset[str]) -> bool:
    """Whether a text has nothing to speak besides tags that the voice performs."""
    names = re.findall(r"\[([^\[\]\n]+)\]|([^\s\[\]])", text)
    return bool(names) and all(name.lower() in performed for name, _ in names)


def is_mark(inner: str) -> bool:
    """Whether the text between two brackets is a mark: a pause, a tag or the number of a source."""
    return _PAUSE.match(inner) is not None or _CITATION.fullmatch(inner.strip()) is not None or _is_tag(inner.lower())


def _meaning(mark: re.Match[str], before: str, performed: frozenset[str]) -> str | Pause | None:
    """Return what a mark becomes: a pause, text (none if it is skipped), or None if nothing can perform it."""
    inner: str | None = mark["inner"]
    if inner is None:
        return ""
    if pause := _PAUSE.match(inner):
        return _pause(pause, inner)
    name = inner.strip().lower()
    if name in performed:
        return f"[{_SPELLINGS.get(name, inner.strip())}]"
    if len(mark[0]) <= MAX_TAG_LENGTH and _is_tag(name):
        return None
    indexes = before[-1:] in _BEFORE_INDEX and bool(before)
    if _CITATION.fullmatch(inner.strip()):
        cites = before.strip() and not _REFERRING.search(before)
        return "" if cites and not (indexes and _NAME_OF_INDEXED.search(before)) else mark[0]
    # A narrator reads "[the author]" without the brackets, and models would take them for a tag.
    return inner if _WORDS.search(inner) and not indexes else mark[0]


def _pause(pause: re.Match[str], inner: str) -> Pause | None:
    if pause.end() < len(inner) or (pause["length"] and pause["amount"]):
        return None
    if pause["amount"] is None:
        return Pause(_LENGTHS.get((pause["length"] or "").lower(), DEFAULT_PAUSE_SECONDS))
    unit = _UNITS.get(pause["unit"].lower())
    seconds = float(pause["amount"].replace(",", ".")) * unit if unit else -1
    return Pause(seconds) if 0 <= seconds <= MAX_PAUSE_SECONDS else None


def _is_tag(name: str) -> bool:
    """Whether a bracket in lower case is an instruction to a voice: "laughs nervously", "emotion=happy", "music"."""
    if (setting := _SETTING.fullmatch(name)) and setting["name"] in CONTROLS.split():
        return True
    words = name.split()
    if not words or len(words) > 4:
        return False
    if words[0] in _THROAT and words[1:] == ["throat"]:
        return True
    return all(word in _QUALIFIERS for word in words) and any(word in _NAMES for word in words)
