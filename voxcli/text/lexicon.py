"""Lexicons: how words are pronounced, as lists of what is written and what is said in its place.

A lexicon is a file of tab-separated columns: written, spoken, language, match (`word` or `part`), case (`case` or
`any`). Only the first two are needed. Of entries that match at one place, the longest counts; what it says is not
looked up again.
"""

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from voxcli.errors import RequestError
from voxcli.text.characters import properties_of
from voxcli.text.language import base_language, language_of
from voxcli.text.language_names import language_code
from voxcli.text.marks import Part, Pause, Replacement, Sentence
from voxcli.text.phonemes import alphabet_of
from voxcli.text.sentences.splitter import split_sentences

COLUMNS = ("written", "spoken", "language", "match", "case")
_MATCHES = {"": True, "word": True, "whole": True, "part": False}
_CASES = {"": None, "case": True, "any": False}
_KEPT = re.compile(r"\{[^{}\n]*\}|\[[^\[\]\n]*\]")
"""Phonemes and tags in a text, in which nothing is replaced."""
_LONE_IPA = re.compile(r"/[^/\n]+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class LexiconEntry:
    """A word and what is said in its place."""

    written: str
    spoken: str
    """Words, or phonemes in braces."""
    language: str | None = None
    """Code of the only language in which it counts."""
    whole: bool = True
    """Whether it has to be a word of its own, in scripts with spaces."""
    case: bool = False
    """Whether capitals have to be the same."""
    origin: str = ""
    """File and line, for messages."""

    @property
    def key(self) -> tuple[str, str | None, bool]:
        """What two entries have in common if only one of them can count."""
        return (self.written if self.case else _folded(self.written), self.language, self.case)


class LexiconProblem(NamedTuple):
    """What is wrong in the file of a lexicon."""

    line: int
    column: int
    """Of the table, from 1."""
    message: str


def read_lexicon(text: str, name: str) -> tuple[list[LexiconEntry], list[LexiconProblem]]:
    """Return the entries of a file, and what is wrong in it.

    Args:
        name: of the file, for messages.
    """
    entries, problems = [], []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if number == 1 and cells[0].lower() == COLUMNS[0]:
            continue
        entry, wrong = _read_entry(cells, f"{name} line {number}")
        problems += [LexiconProblem(number, column, message) for column, message in wrong]
        if entry and not wrong:
            entries.append(entry)
    return entries, problems


def _read_entry(cells: list[str], origin: str) -> tuple[LexiconEntry | None, list[tuple[int, str]]]:
    wrong: list[tuple[int, str]] = []
    if len(cells) < 2 or not cells[1]:
        return None, [(2, "what is spoken is missing: the columns are separated by tabs")]
    if len(cells) > len(COLUMNS):
        wrong.append((len(COLUMNS) + 1, f"there are {len(cells)} columns, and at most {len(COLUMNS)} count"))
    written, spoken, language, match, case = [*cells, "", "", "", ""][: len(COLUMNS)]
    written = unicodedata.normalize("NFC", " ".join(written.split()))
    if not written:
        wrong.append((1, "what is written is missing"))
    elif len(split_sentences(f"x {written} x")) > 1:
        wrong.append((1, f"{written!r} has the end of a sentence in it, and would never be found"))
    if _LONE_IPA.fullmatch(spoken):
        spoken = f"{{{spoken}}}"
    for braces in re.finditer(r"\{([^{}]*)\}", spoken):
        if alphabet_of(braces[1].strip()) is None:
            wrong.append((2, f"{braces[0]} is neither pinyin, as {{ni3}}, nor ARPAbet, nor IPA, as {{/həˈloʊ/}}"))
    code = base_language(language_code(language) or language) if language else None
    if language and not (code and re.fullmatch(r"[a-z]{2,3}", code)):
        wrong.append((3, f"{language!r} is not a language"))
    if match.lower() not in _MATCHES:
        wrong.append((4, f"{match!r} is neither word nor part"))
    if case.lower() not in _CASES:
        wrong.append((5, f"{case!r} is neither case nor any"))
    if wrong:
        return None, wrong
    exact = _CASES[case.lower()]
    entry = LexiconEntry(
        written=written,
        spoken=spoken,
        language=code,
        whole=_MATCHES[match.lower()],
        # A word in small letters may begin a sentence; one with capitals is a name.
        case=written != written.lower() if exact is None else exact,
        origin=origin,
    )
    return entry, []


def load_lexicon(path: Path) -> list[LexiconEntry]:
    """Return the entries of a file.

    Raises:
        RequestError: it cannot be read, or something in it is wrong; the message names the first mistakes.
    """
    entries, problems = read_lexicon(read_lexicon_text(path), str(path))
    if problems:
        shown = "; ".join(f"line {line}, column {column}: {message}" for line, column, message in problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise RequestError(
            f"The lexicon {path} is wrong in {shown}{more}.",
            on_command_line=f"To see all of it: voxcli lexicon check {path}. To speak without it: --no-lexicon",
        )
    return entries


def read_lexicon_text(path: Path) -> str:
    """Read the file of a lexicon.

    Raises:
        RequestError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise RequestError(f"Cannot read the lexicon {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"The lexicon {path} is not UTF-8 text.") from error


class Lexicon:
    """Entries to look up, those of an earlier list before those of a later one."""

    def __init__(self, lists: Iterable[Iterable[LexiconEntry]]) -> None:
        self.shadowed: list[tuple[LexiconEntry, LexiconEntry]] = []
        """Entries that never count, each with the one that counts instead."""
        self._entries: dict[tuple[str, str | None, bool], LexiconEntry] = {}
        for entries in lists:
            for entry in entries:
                first = self._entries.setdefault(entry.key, entry)
                if first is not entry:
                    self.shadowed.append((entry, first))
        self._by_first: dict[str, list[LexiconEntry]] = defaultdict(list)
        for entry in self._entries.values():
            self._by_first[_folded(entry.written)[0]].append(entry)
        for same in self._by_first.values():
            # Of two as long, the one for one language or with its own capitals is more exact.
            same.sort(key=lambda entry: (-len(entry.written), entry.language is None, not entry.case))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the entries that decides what is said."""
        deciding = sorted(
            [entry.written, entry.spoken, entry.language or "", entry.whole, entry.case]
            for entry in self._entries.values()
        )
        return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()

    @property
    def entries(self) -> list[LexiconEntry]:
        """The entries that count."""
        return list(self._entries.values())

    def find(self, text: str, language: str | None) -> Iterator[Replacement]:
        """Yield what is said in place of what, from left to right.

        language: code of the language of the text.
        """
        folded = _folded(text)
        kept = _kept_places(text)
        place = 0
        while place < len(text):
            if place in kept:
                place = kept[place]
            elif entry := self._match(text, folded, place, language, kept):
                yield Replacement((place, place + len(entry.written)), entry.spoken, f"lexicon: {entry.origin}")
                place += len(entry.written)
            else:
                place += 1

    def applied(self, parts: Iterable[Part], language: str | None = None) -> Iterator[Part]:
        """Yield the parts of a text, each with what is said in place of its words.

        language: in which all is spoken; None takes that of each sentence.
        """
        for part in parts:
            yield part if isinstance(part, Pause) else self.pronounced(part, language)

    def pronounced(self, part: str, language: str | None = None) -> Sentence:
        """Return a sentence with what is said in place of its words. What was replaced already stays."""
        sentence = part if isinstance(part, Sentence) else Sentence(part, None)
        spoken = base_language(sentence.manner.language or language) or language_of(sentence) or sentence.text_language
        before = [one for one in sentence.replacements if not one.why.startswith("lexicon: ")]
        taken = {place for one in before for place in range(*one.at)}
        found = [one for one in self.find(sentence, spoken) if taken.isdisjoint(range(*one.at))]
        return sentence.with_replacements(sorted([*before, *found]))

    def _match(
        self, text: str, folded: str, place: int, language: str | None, kept: dict[int, int]
    ) -> LexiconEntry | None:
        for entry in self._by_first.get(folded[place], ()):
            end = place + len(entry.written)
            if (text if entry.case else folded)[place:end] != (entry.written if entry.case else _folded(entry.written)):
                continue
            if entry.language and entry.language != language:
                continue
            if entry.whole and (_joins(text, place) or _joins(text, end)):
                continue
            if any(place < start < end for start in kept):
                continue
            return entry
        return None


def _kept_places(text: str) -> dict[int, int]:
    return {match.start(): match.end() for match in _KEPT.finditer(text)}


def _joins(text: str, place: int) -> bool:
    """Whether the characters before and behind a place belong to one word, in a script with spaces."""
    if not 0 < place < len(text):
        return False
    before, after = properties_of(text[place - 1]), properties_of(text[place])
    return (before.plain and after.plain) or after.attaches


def _folded(text: str) -> str:
    """Return a text in small letters, of the same length."""
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)
