"""Scripts: texts of several speakers, with `NAME: line` and `[voice:name]`, read while they may still be arriving.

A name stands at the start of a line and speaks to the end of its paragraph. What has no name is spoken in the voice of
the whole text, or in the one that the last `[voice:name]` named, as in Kokoro-FastAPI. A direction in parentheses
behind a name, as in `ANNA (whispering): …`, describes how the line is spoken; on a line of its own it is narration.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from voxcli.errors import RequestError
from voxcli.text.marks import PLAIN, MannerChange, Pause, SpeakingManner
from voxcli.text.parts import Flush, TextPiece

_log = logging.getLogger(__name__)

_MOST_HELD = 200
"""Characters at the start of a line that may turn out to be a name and a direction."""
_SIGN = r"(?:\*\*|__)?"
_HEAD = re.compile(
    rf"[ \t]*{_SIGN}(?P<name>[^\W\d_][^:：()（）\[\]\n*_]{{0,59}}?){_SIGN}[ \t]*"
    rf"(?:[(（](?P<before>[^()（）\n]{{1,120}})[)）])?[ \t]*{_SIGN}[ \t]*[:：](?!//){_SIGN}[ \t]*"
    r"(?:[(（](?P<after>[^()（）\n]{1,120})[)）][ \t]*)?"
)
_AFTER_NAME = re.compile(r"[*_ \t]*(?:[(（][^()（）]*(?:[)）][*_ \t]*)?)?(?:[:：][*_ \t]*(?:[(（][^()（）]*)?)?")
"""What may stand between a name and what is spoken, perhaps in part: signs, a direction, the colon, a direction."""
_NAME_SO_FAR = re.compile(rf"[ \t]*{_SIGN}(?P<name>(?:[^\W\d_][^:：()（）\[\]\n*_]*)?)")
_DIRECTION = re.compile(r"([ \t]*[*_]{0,2}[(（])([^()（）\n]*)([)）][*_]{0,2}[ \t]*(?:\n|\Z))")
_VOICE = re.compile(r"\[voice:\s*([^\[\]\n]{1,80}?)\s*\]", re.IGNORECASE)
_VOICE_SO_FAR = re.compile(r"\[(?:v(?:o(?:i(?:c(?:e(?::[^\[\]\n]{0,81})?)?)?)?)?)?\Z", re.IGNORECASE)


class UnknownName(NamedTuple):
    """A name in a script that is not in its cast."""

    name: str
    line: int
    """From 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptNames:
    """The names that a script is read with."""

    speakers: Mapping[str, str]
    """Speakers by each spelling of their names; a name in a script may also be in capitals."""
    prose: frozenset[str] = frozenset()
    """Words in capitals before a colon that are no names, such as NOTE."""
    lines: bool = True
    """Whether lines may begin with a name; else there is `[voice:name]` alone."""
    any_voice: bool = False
    """Whether `[voice:name]` may name a voice that is not in the cast; it is the speaker then."""

    def find(self, name: str) -> str | None:
        """Return the speaker of that name, as it is spelled or in capitals."""
        folded = _folded(name)
        for spelling, speaker in self.speakers.items():
            if name == spelling or (folded == _folded(spelling) and name in (name.upper(), name.title())):
                return speaker
        return None

    def find_voice(self, name: str) -> str | None:
        """Return the speaker that `[voice:name]` names."""
        for spelling, speaker in self.speakers.items():
            if _folded(name) == _folded(spelling):
                return speaker
        return name if self.any_voice else None

    def may_begin(self, text: str) -> bool:
        """Whether a name may begin with this text."""
        folded = _folded(text)
        capitals = text == text.upper() != text.lower()
        return capitals or any(_folded(spelling).startswith(folded) for spelling in self.speakers)

    def is_unknown(self, name: str) -> bool:
        """Whether a text before a colon looks like a name that should be in the cast: it is in capitals."""
        letters = [char for char in name if char.isalpha()]
        cased = len(letters) > 1 and all(char.isupper() for char in letters)
        return cased and _folded(name) not in map(_folded, self.prose)


@dataclass(slots=True)
class _Turn:
    """Who speaks now, and what is not spoken before the next words."""

    base: SpeakingManner = PLAIN
    """Of what has no name."""
    wanted: SpeakingManner = PLAIN
    current: SpeakingManner = PLAIN
    named: bool = False
    """Whether a name has begun since there were words, so that a sentence ends there though the speaker stays."""
    written: str = ""
    spoke: bool = False


class ScriptReader:
    """Splits a script into turns. The parts that come of it do not depend on how the text was cut on its way."""

    def __init__(
        self,
        names: ScriptNames,
        *,
        pause: float = 0.0,
        read_directions: bool = True,
        styles: bool = True,
        warned: set[str] | None = None,
        unknown: list[UnknownName] | None = None,
    ) -> None:
        """
        Args:
            pause: seconds between two speakers.
            read_directions: whether directions on a line of their own are narration; else they are left out.
            styles: whether the voices follow a direction behind a name; else it is left out, with a warning.
            warned: what was warned of already; with the same set, another reader does not warn again.
            unknown: takes the names that are not in the cast; None raises an error for the first.
        """
        self.voices: dict[str, None] = {}
        """The speakers that had a turn, in order."""
        self._names, self._pause, self._read_directions = names, pause, read_directions
        self._unknown, self._styles = unknown, styles
        self._warned = set() if warned is None else warned
        self._turn = _Turn()
        self._held = ""
        self._line = 1
        self._line_starts = True

    def pieces(self, text: Iterable[TextPiece]) -> Iterator[TextPiece]:
        """Yield the text with the changes of its speakers.

        Raises:
            RequestError: a name is not in the cast.
        """
        for piece in text:
            if isinstance(piece, str):
                self._held += piece
                yield from self._take(ended=False)
            else:
                if isinstance(piece, Flush):
                    yield from self._take(ended=True)
                    self._line_starts = True
                yield piece
        yield from self._take(ended=True)

    def _take(self, *, ended: bool) -> Iterator[TextPiece]:
        while self._held:
            before = self._held
            yield from self._take_start(ended=ended) if self._line_starts else self._take_rest(ended=ended)
            if self._held == before and self._waits(ended=ended):
                return

    def _waits(self, *, ended: bool) -> bool:
        if self._line_starts:
            return not ended and self._may_be_start()
        return not ended and _VOICE_SO_FAR.search(self._held) is not None

    def _may_be_start(self) -> bool:
        """Whether more text may show that the line begins with a name, is a direction, or is empty."""
        line = self._held
        if "\n" in line or len(line) >= _MOST_HELD or not self._names.lines:
            return False
        if not line.strip(" \t*_"):
            return True
        if line.lstrip(" \t*_")[0] in "(（":
            return True
        name = _NAME_SO_FAR.match(line)
        rest = line[name.end() :] if name else line
        if name is None or not self._names.may_begin(name["name"].strip()):
            return False
        return _AFTER_NAME.fullmatch(rest) is not None

    def _take_start(self, *, ended: bool) -> Iterator[TextPiece]:
        """Take the start of a line, once it is known what it is."""
        if self._waits(ended=ended):
            return
        line, newline, _ = self._held.partition("\n")
        if not self._names.lines:
            self._line_starts = False
            return
        if not line.strip():
            if newline and self._turn.wanted != self._turn.base:
                self._turn.wanted = self._turn.base  # a paragraph has ended
            yield from self._unspoken(line + newline)
            return
        if len(line) < _MOST_HELD and (direction := _DIRECTION.match(self._held)):
            yield from self._take_direction(*direction.groups())
            return
        self._line_starts = False
        head = _HEAD.match(self._held[:_MOST_HELD])
        name = head["name"].strip() if head else ""
        speaker = self._names.find(name) if head else None
        if head and speaker is None and self._names.is_unknown(name):
            self._note_unknown(name)
            speaker = name
        if head and speaker is not None:
            self._turn.wanted = replace(PLAIN, speaker=speaker, style=self._style(head["before"] or head["after"]))
            self._turn.named = True
            yield from self._unspoken(head[0])

    def _take_direction(self, opening: str, text: str, closing: str) -> Iterator[TextPiece]:
        """Take a direction. Without its parentheses, as some models do not speak what is in them."""
        turn = self._turn
        speaking, turn.wanted, turn.named = turn.wanted, turn.base, True
        yield from self._unspoken(opening)
        if self._read_directions:
            self._held = self._held[len(text) :]
            yield from self._spoken(text)
        else:
            yield from self._unspoken(text)
        turn.wanted, turn.named = speaking, True
        yield from self._unspoken(closing)

    def _take_rest(self, *, ended: bool) -> Iterator[TextPiece]:
        """Take a line to its end, or to where the voice changes."""
        line = self._held[: self._held.find("\n") + 1] or self._held
        if voice := _VOICE.search(line):
            self._held = self._held[voice.start() :]
            yield from self._spoken(line[: voice.start()])
            self._change_voice(voice[1])
            yield from self._unspoken(voice[0])
            return
        part = None if ended or line.endswith("\n") else _VOICE_SO_FAR.search(line)
        text = line[: part.start()] if part else line
        self._held = self._held[len(text) :]
        yield from self._spoken(text)
        self._line_starts = text.endswith("\n")

    def _change_voice(self, name: str) -> None:
        speaker = self._names.find_voice(name)
        if speaker is None:
            self._note_unknown(name)
            speaker = name
        self._turn.base = self._turn.wanted = replace(PLAIN, speaker=speaker)

    def _style(self, direction: str | None) -> str | None:
        if not direction or self._styles:
            return direction
        if not self._warned and self._unknown is None:
            self._warned.add(direction)
            _log.warning("Directions such as (%s) are left out: this voice does not follow them.", direction)
        return None

    def _note_unknown(self, name: str) -> None:
        found = UnknownName(name, self._line)
        if self._unknown is None:
            raise RequestError(f"Line {found.line} names {name}, who is not in the cast.")
        self._unknown.append(found)

    def _unspoken(self, text: str) -> Iterator[TextPiece]:
        """Pass over what is not spoken. White space within a turn is left to the reader of the text."""
        turn = self._turn
        self._held = self._held[len(text) :]
        self._line += text.count("\n")
        if text.isspace() and turn.wanted == turn.current and not turn.written and not turn.named:
            yield text
        else:
            turn.written += text

    def _spoken(self, text: str) -> Iterator[TextPiece]:
        turn = self._turn
        self._line += text.count("\n")
        if text and not text.strip() and turn.written:
            turn.written += text
            return
        if not text:
            return
        if turn.wanted != turn.current or turn.named or turn.written:
            if turn.spoke and self._pause and turn.wanted.speaker != turn.current.speaker:
                yield Pause(self._pause)
            yield MannerChange(turn.wanted, turn.written)
            turn.current, turn.written, turn.named = turn.wanted, "", False
        if turn.current.speaker:
            self.voices.setdefault(turn.current.speaker)
        turn.spoke = True
        yield text


def read_script(text: str, names: ScriptNames) -> tuple[dict[str, None], list[UnknownName]]:
    """Return the speakers of a complete script in the order of their turns, and the names that are not in the cast."""
    unknown: list[UnknownName] = []
    reader = ScriptReader(names, unknown=unknown)
    for _ in reader.pieces([text]):
        pass
    return reader.voices, unknown


def names_in(text: str) -> list[str]:
    """Return what looks like the names of speakers in a script without a cast, in order.

    Those are the beginnings of lines before a colon that are in capitals, or that come twice or more and have no more
    than two words, each with a capital.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        if head := _HEAD.match(line):
            counts[head["name"].strip()] += 1
    capitals = ScriptNames(speakers={})
    return [
        name
        for name, count in counts.items()
        if capitals.is_unknown(name) or (count > 1 and len(name.split()) <= 2 and name.istitle())
    ]


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
