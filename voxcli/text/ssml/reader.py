"""Reader of SSML: a part of W3C's Speech Synthesis Markup Language 1.1, found by its root element `speak`.

Its text is spoken as if it were plain; its elements become pauses, changes of voice and manner, other words, and named
places. Whatever else is in a document is refused with its place, and never spoken: https://www.w3.org/TR/speech-synthesis11
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from xml.parsers import expat

from voxcli.errors import RequestError
from voxcli.text.characters import is_speakable
from voxcli.text.language import base_language, language_of
from voxcli.text.marks import MAX_PAUSE_SECONDS, PLAIN, MannerChange, MarkedUp, Pause, SpeakingManner
from voxcli.text.parts import TextPiece
from voxcli.text.sentences.splitter import split_sentences
from voxcli.text.ssml.other_words import Unspoken, spoken_for
from voxcli.text.ssml.values import (
    ELEMENTS,
    EMPTY,
    NEEDED,
    STRENGTHS,
    TEXT_ONLY,
    WITH_LANGUAGE,
    read_gain,
    read_rate,
)

_NAMESPACES = ("", "http://www.w3.org/2001/10/synthesis")
_XML = "http://www.w3.org/XML/1998/namespace"
_HARMLESS = ("base", "id", "space")
"""Attributes of `xml:` that change nothing here."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_MOST_DEPTH = 64
_MOST_PROBLEMS = 20
_SLOWEST, _FASTEST, _LOUDEST = 0.25, 4.0, 4.0


class SsmlDocument(NamedTuple):
    """A document, ready to be read as a text."""

    pieces: list[TextPiece]
    voices: tuple[str, ...]
    """Names of voices, in order. Each is the speaker of its parts."""


def read_ssml(text: str) -> SsmlDocument:
    """Read a document.

    Raises:
        RequestError: it is not well-formed, or has something in it that cannot be spoken; the message has all places.
    """
    return _Reader(text).read()


@dataclass(slots=True)
class _Item:
    """A piece of the text, and where it begins in the document."""

    start: int
    piece: TextPiece


@dataclass(slots=True)
class _Open:
    """An element that is open."""

    name: str
    manner: SpeakingManner
    attributes: Mapping[str, str]
    content: str = ""
    start: int = 0
    """Of its content, in bytes."""


@dataclass(slots=True)
class _Reader:
    """Reads one document."""

    text: str
    problems: list[str] = field(default_factory=list)
    _parser: expat.XMLParserType = field(default_factory=lambda: expat.ParserCreate("utf-8", " "))
    _items: list[_Item] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _voices: dict[str, None] = field(default_factory=dict)
    _spoken: SpeakingManner = PLAIN
    """Of the text so far."""
    _apart: bool = False
    """Whether a sentence has ended though its text may not show it."""
    _bookmarks: list[str] = field(default_factory=list)
    """Before the next text."""
    _last_text: int | None = None
    """Index of the last item with text."""
    _depth_told: bool = False

    def read(self) -> SsmlDocument:
        parser = self._parser
        parser.namespace_prefixes = True
        parser.buffer_text = False
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.ProcessingInstructionHandler = lambda target, data: self._note(f"<?{target}?> is not supported")
        data = self.text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            place = f"line {error.lineno}, column {error.offset + 1}"
            self.problems.append(f"{place}: {reason}")
        if self.problems:
            more = len(self.problems) - _MOST_PROBLEMS
            shown = "; ".join(self.problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
            raise RequestError(
                f"The SSML cannot be spoken: {shown}.",
                on_command_line="To speak the markup itself, as text: --no-ssml",
            )
        return SsmlDocument(list(self._pieces(data)), tuple(self._voices))

    def _refuse_doctype(self, *declaration: object) -> None:
        raise RequestError(f"The SSML cannot be spoken: {self._place}: document type declarations are not read.")

    @property
    def _place(self) -> str:
        return f"line {self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}"

    def _pieces(self, data: bytes) -> Iterator[TextPiece]:
        """Give each item what it is written as: the document up to the next one."""
        starts = [0, *(item.start for item in self._items[1:]), len(data)]
        for item, start, end in zip(self._items, starts, starts[1:], strict=False):
            written = data[start:end].decode("utf-8", "surrogatepass")
            match item.piece:
                case MarkedUp() as piece:
                    yield MarkedUp(piece, written, said=piece.said, why=piece.why, bookmarks=piece.bookmarks)
                case MannerChange() as change:
                    yield replace(change, written=written)
                case other:
                    yield other
                    yield MarkedUp("", written)

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self._place}: {problem}")

    # Elements

    def _begin(self, full: str, attributes: Mapping[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        namespace, name, prefix = _parted(full)
        manner = self._open[-1].manner if self._open else PLAIN
        if len(self._open) >= _MOST_DEPTH:
            self._open.append(_Open("", manner, {}))
            if not self._depth_told:
                self._note(f"there are more than {_MOST_DEPTH} elements in one another")
                self._depth_told = True
            return
        shown = f"{prefix}:{name}" if prefix else name
        known = namespace in _NAMESPACES and name in ELEMENTS
        outer = self._open[-1].name if self._open else None
        if not known:
            self._note(f"<{shown}> is not supported")
        elif (name == "speak") != (outer is None):
            self._note(f"<{shown}> cannot be {'the root' if outer is None else 'within another element'}")
        elif outer in TEXT_ONLY or outer in EMPTY:
            self._note(f"<{shown}> cannot be within <{outer}>")
        values = self._attributes(name, attributes) if known else {}
        opened = _Open(name if known else "", self._changed(name, values, manner), values)
        self._open.append(opened)
        self._items.append(_Item(start, MarkedUp("", "")))
        if name in ("p", "s") and known:
            self._apart = True
        elif name == "break" and known:
            self._pause(values, start)
        elif name == "mark" and known:
            self._bookmarks.append(values.get("name", ""))

    def _attributes(self, element: str, attributes: Mapping[str, str]) -> dict[str, str]:
        values = {}
        for full, value in attributes.items():
            namespace, name, prefix = _parted(full)
            if namespace == _XML and name == "lang" and element in WITH_LANGUAGE:
                values["lang"] = value.strip()
                if values["lang"] and not _LANGUAGE.fullmatch(values["lang"]):
                    self._note(f"{value!r} is not a language, such as en or zh-CN")
            elif namespace == _XML and name in _HARMLESS:
                continue
            elif name in ELEMENTS[element] and (not namespace or name == "schemaLocation"):
                values[name] = value.strip()
            else:
                shown = f"{prefix}:{name}" if prefix else name
                self._note(f"the attribute {shown} of <{element}> is not supported")
        needed = NEEDED.get(element)
        if needed and not values.get(needed) and not (element == "voice" and values.get("lang")):
            self._note(f"<{element}> needs the attribute {'xml:' if needed == 'lang' else ''}{needed}")
        return values

    def _changed(self, element: str, values: Mapping[str, str], manner: SpeakingManner) -> SpeakingManner:
        """Return the manner of what is in an element."""
        if language := values.get("lang"):
            manner = replace(manner, language=language)
        if element == "voice" and (voice := values.get("name")):
            manner = replace(manner, speaker=voice)
            self._voices.setdefault(voice)
        if rate := values.get("rate"):
            speed = self._value("rate", rate, read_rate)
            manner = replace(manner, speed=manner.speed * speed)
            if not _SLOWEST <= manner.speed <= _FASTEST:
                self._note(f"the rate {rate!r} makes {manner.speed:g}, outside {_SLOWEST:g} to {_FASTEST:g}")
        if volume := values.get("volume"):
            gain = self._value("volume", volume, read_gain)
            manner = replace(manner, volume=manner.volume * gain)
            if manner.volume > _LOUDEST:
                self._note(f"the volume {volume!r} makes a gain of {manner.volume:g}, above {_LOUDEST:g}")
        return manner

    def _value(self, attribute: str, value: str, read: Callable[[str], float | None]) -> float:
        found = read(value.lower())
        if found is None:
            self._note(f"{value!r} is no value of {attribute}")
            return 1.0
        return found

    def _pause(self, values: Mapping[str, str], start: int) -> None:
        strength = values.get("strength", "medium").lower()
        seconds = STRENGTHS.get(strength)
        if seconds is None:
            self._note(f"{strength!r} is no value of strength")
            seconds = 0.0
        if (time := values.get("time")) is not None:
            found = re.fullmatch(r"\+?(\d+(?:\.\d*)?|\.\d+)(ms|s)", time)
            seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
            if not 0 <= seconds <= MAX_PAUSE_SECONDS:
                self._note(f"the time {time!r} is not from 0s to {MAX_PAUSE_SECONDS:g}s")
        if seconds > 0:
            self._items.append(_Item(start, Pause(seconds)))

    def _end(self, name: str) -> None:
        closed = self._open.pop()
        if closed.name in TEXT_ONLY:
            self._replaced(closed)
        if closed.name in ("p", "s"):
            self._apart = True
        if closed.name == "speak":
            self._put_last_bookmarks()
        self._items.append(_Item(self._parser.CurrentByteIndex, MarkedUp("", "")))

    # Text

    def _characters(self, data: str) -> None:
        opened = self._open[-1]
        start = self._parser.CurrentByteIndex
        text = re.sub(r"\s", " ", data)
        if opened.name in TEXT_ONLY:
            opened.start = opened.start if opened.content else start
            opened.content += text
        elif opened.name in EMPTY:
            if text.strip():
                self._note(f"there is text in <{opened.name}>")
        elif opened.name:
            self._say(start, text, opened.manner)

    def _say(self, start: int, text: str, manner: SpeakingManner, *, said: str | None = None, why: str = "") -> None:
        """Add text. White space between elements changes nothing."""
        if text.strip():
            if manner != self._spoken:
                self._items.append(_Item(start, MannerChange(manner)))
                self._spoken = manner
            elif self._apart:
                self._items.append(_Item(start, MarkedUp("\n\n", "")))
            self._apart = False
            first = len(text) - len(text.lstrip())
            bookmarks = tuple((first, name) for name in self._bookmarks)
            self._bookmarks = []
            self._last_text = len(self._items)
        else:
            bookmarks = ()
        self._items.append(_Item(start, MarkedUp(text, "", said=said, why=why, bookmarks=bookmarks)))

    def _put_last_bookmarks(self) -> None:
        """Put the marks that no text follows behind the last text."""
        if self._last_text is None or not self._bookmarks:
            return
        item = self._items[self._last_text]
        assert isinstance(item.piece, MarkedUp)
        at = len(item.piece.rstrip())
        marks = (*item.piece.bookmarks, *((at, name) for name in self._bookmarks))
        item.piece = MarkedUp(item.piece, "", said=item.piece.said, why=item.piece.why, bookmarks=marks)

    def _replaced(self, closed: _Open) -> None:
        """Add the content of an element that is spoken in other words."""
        content = " ".join(closed.content.split())
        language = base_language(closed.manner.language) or language_of(self.text)
        try:
            said = spoken_for(closed.name, closed.attributes, content, language)
        except Unspoken as error:
            self._note(str(error))
            return
        # What a reader of subtitles sees; only words can be found again.
        text = content if is_speakable(content) and len(split_sentences(f"x {content} x")) == 1 else said
        if text.startswith("{"):
            self._note(f"<{closed.name}> has no text that could be written")
            return
        why = f"SSML: {closed.name}"
        self._say(closed.start or self._parser.CurrentByteIndex, text, closed.manner, said=said, why=why)


def _parted(full: str) -> tuple[str, str, str]:
    """Return the namespace, the name and the prefix of a name, as expat joins them."""
    parts = full.split(" ")
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""
