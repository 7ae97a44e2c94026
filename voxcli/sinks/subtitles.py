"""Subtitle files that grow with the speech and are valid at every moment: SubRip, WebVTT, LRC and JSON.

Sources: w3.org/TR/webvtt1 ("WebVTT file body", "cue text escapes"); SubRip and LRC have no standard, and are written as
FFmpeg and the players that build on it read them.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import FileIO
from typing import Any, TypeAlias

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import SubtitleFormat
from voxcli.sinks.writer import write_all
from voxcli.synthesis.cues import Cue, CuedPassage, CueStream, TimedSentence
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.transcript import bookmark_times
from voxcli.text.characters import is_right_to_left

_UNSEEN = "\u200b"
"""Zero-width space: parts characters that a player would take for markup."""
_SUBRIP_MARKUP = re.compile(r"<(?=[/a-zA-Z])|--(?=>)")
_WIDE_BRACES = str.maketrans("{}", "\uff5b\uff5d")
"""FFmpeg and libass show nothing that is in braces, and SubRip has no escape for them."""
_EMBED, _END_EMBED = "\u202b", "\u202c"
"""Set the direction of a line from right to left, which SubRip cannot say otherwise."""


VoiceOf: TypeAlias = Callable[[str | None], str | None]
"""Returns the name of the voice of a speaker, or of the whole text for None; None if it has no name."""


def _unknown(speaker: str | None) -> str | None:
    return None


class SubtitleLayout(ABC):
    """The text of one format."""

    start = end = ""

    def __init__(self, voice_of: VoiceOf = _unknown) -> None:
        self._voice_of = voice_of

    @abstractmethod
    def render(self, passage: CuedPassage, count: int) -> tuple[str, int]:
        """Return the text of a passage, and how many entries there are after it.

        count: of entries before it.
        """


class SubRip(SubtitleLayout):
    """SRT. The name of a speaker stands before his first words."""

    def render(self, passage: CuedPassage, count: int) -> tuple[str, int]:
        blocks = []
        for number, cue in enumerate(passage.cues, count + 1):
            lines = [_SUBRIP_MARKUP.sub(rf"\g<0>{_UNSEEN}", line.translate(_WIDE_BRACES)) for line in named_lines(cue)]
            lines = [f"{_EMBED}{line}{_END_EMBED}" if is_right_to_left(line) else line for line in lines]
            times = f"{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}"
            blocks.append("\n".join([str(number), times, *lines, "", ""]))
        return "".join(blocks), count + len(blocks)


class WebVtt(SubtitleLayout):
    """WebVTT, with the speakers as voices."""

    start = "WEBVTT\n\n"

    def render(self, passage: CuedPassage, count: int) -> tuple[str, int]:
        blocks = []
        for cue in passage.cues:
            text = "\n".join(_escaped(line) for line in cue.lines)
            voice = f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""
            blocks.append(f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{voice}{text}\n\n")
        return "".join(blocks), count + len(blocks)


class Lrc(SubtitleLayout):
    """LRC, as music players show lyrics: each cue on a line of its own, with the time at which it begins."""

    def render(self, passage: CuedPassage, count: int) -> tuple[str, int]:
        lines = []
        for cue in passage.cues:
            hundredths = round(cue.start * 100)
            name = f"{cue.speaker}: " if cue.speaker and cue.new_speaker else ""
            lines.append(f"[{hundredths // 6000:02}:{hundredths % 6000 / 100:05.2f}]{name}{cue.text}\n")
        return "".join(lines), count + len(lines)


class Sentences(SubtitleLayout):
    """JSON: the sentences and their words, with seconds and the position in the text."""

    start, end = '{"sentences": [', "\n]}\n"

    def render(self, passage: CuedPassage, count: int) -> tuple[str, int]:
        entries = []
        for number, sentence in enumerate(passage.sentences, count):
            fields = sentence_fields(sentence) | {"voice": self._voice_of(sentence.mark.speaker)}
            entry = json.dumps(fields, ensure_ascii=False)
            entries.append(f"{',' if number else ''}\n{entry}")
        return "".join(entries), count + len(entries)


_LAYOUTS: dict[SubtitleFormat, type[SubtitleLayout]] = {
    SubtitleFormat.SRT: SubRip,
    SubtitleFormat.VTT: WebVtt,
    SubtitleFormat.LRC: Lrc,
    SubtitleFormat.JSON: Sentences,
}


def render_subtitles(passages: Iterable[CuedPassage], format: SubtitleFormat) -> str:
    """Return the subtitles of speech that is complete."""
    layout, count = _LAYOUTS[format](), 0
    texts = [layout.start]
    for passage in passages:
        text, count = layout.render(passage, count)
        texts.append(text)
    return "".join([*texts, layout.end])


def sentence_fields(sentence: TimedSentence) -> dict[str, Any]:
    """Return a sentence as JSON."""
    text = sentence.mark.text
    words = [
        {"text": text[slice(*word.at)], "start": _seconds(word.start), "end": _seconds(word.end)}
        for word in sentence.words
    ]
    return {**mark_fields(sentence.mark), "words": words}


def mark_fields(mark: SentenceMark) -> dict[str, Any]:
    """Return a sentence as JSON, without its words."""
    marks = [{"name": name, "at": _seconds(seconds)} for name, seconds in bookmark_times(mark)]
    return {
        "start": _seconds(mark.start),
        "end": None if mark.end is None else _seconds(mark.end),
        "text": mark.text,
        "position": mark.span,
        "speaker": mark.speaker,
        **({"marks": marks} if marks else {}),
    }


def named_lines(cue: Cue) -> Sequence[str]:
    """Return the lines of a cue, after the name of its speaker if that is somebody else than before."""
    if not (cue.speaker and cue.new_speaker):
        return cue.lines
    return [f"{cue.speaker.upper()}: {cue.lines[0]}", *cue.lines[1:]]


@dataclass(frozen=True, slots=True)
class _Done:
    """What has been written."""

    at: int = 0
    """Bytes that will not change."""
    tail: bytes = b""
    """Those after them, which may."""
    count: int = 0
    """Entries among the former."""
    passages: int = 0


class SubtitleWriter:
    """Writes the subtitles of one stream of speech.

    In a file that is open for reading too, the newest passage and what closes the file are written again, with one
    call, when more is known. In a pipe, a passage is written when it will not change any more.
    """

    def __init__(self, file: FileIO, format: SubtitleFormat, voice_of: VoiceOf = _unknown) -> None:
        self._file = file
        self._layout = _LAYOUTS[format](voice_of)
        self._cues = CueStream()
        self._in_place = file.readable()
        self._failed = False
        self._done = _Done()
        self._grow()

    def write(self, chunk: AudioChunk) -> None:
        self._cues.feed(chunk)

    def mark(self, mark: SentenceMark) -> None:
        """Take the mark of what was written so far."""
        self._cues.mark(mark)
        self._grow()

    def finish(self, *, complete: bool = True) -> None:
        self._cues.finish()
        if not self._failed:
            self._grow(last=True)

    def _grow(self, *, last: bool = False) -> None:
        done, cues = self._done, self._cues
        passages, count, texts = done.passages, done.count, [] if done.at else [self._layout.start]
        while passages in cues.settled:
            text, count = self._layout.render(cues.settled[passages], count)
            texts.append(text)
            passages += 1
        fixed, tail = "".join(texts).encode(), ""
        if self._in_place:
            tail = self._layout.render(cues.newest, count)[0] if cues.newest else ""
        tail += self._layout.end if self._in_place or last else ""
        new = _Done(done.at + len(fixed), tail.encode(), count, passages)
        if fixed + new.tail != done.tail:
            self._write(done, fixed + new.tail)
        # At once: an interrupt before this writes the same text again, in the same place.
        self._done = new
        for number in range(done.passages, passages):
            cues.settled.pop(number, None)

    def _write(self, done: _Done, data: bytes) -> None:
        """Write text in place of the one that may change."""
        if not self._in_place:
            write_all(self._file, data)
            return
        try:
            self._file.seek(done.at)
            write_all(self._file, data)
            if len(data) < len(done.tail):
                self._file.truncate()
        except OSError:
            # A full disk: the text of before has its room there.
            self._failed = True
            self._file.seek(done.at)
            write_all(self._file, done.tail)
            self._file.truncate()
            raise


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _seconds(seconds: float) -> float:
    return round(seconds, 6)
