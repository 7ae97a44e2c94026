"""Cues of subtitles: the sentences of a stream of speech, each divided into what fits on a screen, with its times.

The durations are those of the Netflix Timed Text Style Guides (partnerhelp.netflixstudios.com): 5/6 s to 7 s, two
frames between two cues, no gap that is shorter than half a second otherwise, 20 characters a second, or 9 wide ones.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.transcript import Transcript, WordTime, word_times
from voxcli.text.characters import is_cjk
from voxcli.text.cue_lines import COLUMNS, columns_of, cue_texts, line_columns
from voxcli.text.marks import Sentence, manner_of

_LEAST_SECONDS, _MOST_SECONDS = 5 / 6, 7.0
_BETWEEN_SECONDS = 2 / 24
"""Between two cues, so that a change of text is seen."""
_FLICKER_SECONDS = 0.5
"""A gap between two cues that is shorter is closed up to the above."""
_COLUMNS_PER_SECOND, _WIDE_COLUMNS_PER_SECOND = 20.0, 18.0
"""That are read."""
_TIGHT_SECONDS = 0.25
"""A cue that is shorter is not followed by a gap."""
_TOO_LONG, _TOO_SHORT = 8.0, 20.0
"""Costs of each second that a cue is longer or shorter than these; see `cue_texts`."""
_PAUSE_EASE = 0.5
"""What a break costs at a pause, compared to one without."""

_NO_BREAK_SPACES = ("\u00a0", "\u202f", "\u2009")

_FRAME_SECONDS = 0.01
_PAUSE_SECONDS = 0.1
"""Shorter silence is the closure of a consonant."""
_QUIET_DB = 30.0
"""Below the loud parts of a sentence."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is on the screen at a time."""

    start: float
    """Seconds from the beginning of the sound."""
    end: float
    text: str
    lines: tuple[str, ...]
    """The text in one or two lines."""
    speaker: str | None
    """Who speaks, where a text names its speakers."""
    new_speaker: bool
    """Whether somebody else has spoken the cue before."""


@dataclass(frozen=True, slots=True)
class TimedSentence:
    """A sentence with the times of its words."""

    mark: SentenceMark
    words: list[WordTime]


@dataclass(frozen=True, slots=True)
class CuedPassage:
    """A sentence that has been spoken, or a few that are too short for cues of their own."""

    sentences: tuple[TimedSentence, ...]
    cues: tuple[Cue, ...]


class CueStream:
    """Turns a stream of speech into cues, a passage at a time, however the sound was cut on its way."""

    def __init__(self) -> None:
        self.newest: CuedPassage | None = None
        """The last passage, whose end may still change when the next one begins."""
        self.settled: dict[int, CuedPassage] = {}
        """The passages before it, by number from 0. They will not change, and may be dropped."""
        self._number = 0
        self._levels: _Levels | None = None
        self._seconds = 0.0
        self._spoken: list[TimedSentence] = []  # of the newest passage
        self._begun: SentenceMark | None = None
        self._speaker: str | None = None  # of the passage before
        self._shown_until = 0.0
        self._transcript = Transcript()

    def feed(self, chunk: AudioChunk) -> None:
        """Take sound."""
        if self._levels is None:
            self._levels = _Levels(chunk.sample_rate)
        self._levels.feed(chunk.samples)
        self._seconds = self._levels.seconds

    def mark(self, mark: SentenceMark) -> None:
        """Take the mark of what was fed so far."""
        self._transcript.note(mark)
        if mark.end is None:
            self._begin(mark)
        else:
            self._end(mark)

    def finish(self) -> None:
        """Take the end of the sound, which may have come in the middle of a sentence."""
        mark = self._begun
        if mark is not None and (sounded := mark.text[: self._transcript.count(mark, self._seconds)]):
            start, _ = mark.span or (0, 0)
            span = (start, self._transcript.until(self._seconds).position) if mark.span else None
            text = Sentence(sounded, None, span, manner=manner_of(mark.text))
            self._end(SentenceMark(text=text, start=mark.start, end=self._seconds))
        self._settle(self._seconds, last=True)

    def _begin(self, mark: SentenceMark) -> None:
        if self._spoken and not self._joins(mark):
            self._settle(mark.start)
        if not self._spoken and self._levels:
            self._levels.forget(mark.start)
        self._begun = mark

    def _joins(self, mark: SentenceMark) -> bool:
        """Whether a sentence shares a cue with those before it, which would be gone too soon otherwise."""
        first = self._spoken[0].mark
        soon = mark.start - _BETWEEN_SECONDS - first.start < _LEAST_SECONDS
        return soon and first.speaker == mark.speaker

    def _end(self, mark: SentenceMark) -> None:
        pauses = self._levels.pauses(mark.start, mark.end or mark.start) if self._levels else []
        spoken = [*self._spoken, TimedSentence(mark, word_times(mark, pauses=pauses))]
        newest = self._passage(spoken)
        # All at the end, so that Ctrl-C before that changes nothing.
        self._begun, self._spoken, self.newest = None, spoken, newest

    def _settle(self, until: float, *, last: bool = False) -> None:
        """Complete the newest passage, whose last cue may stay on the screen for a while."""
        if self.newest is None:
            return
        *others, cue = self.newest.cues
        cues = _rounded([*others, _prolonged(cue, until, 0.0 if last else _BETWEEN_SECONDS)])
        self.settled[self._number] = replace(self.newest, cues=tuple(cues))
        self._speaker, self._shown_until = cue.speaker, cues[-1].end
        self.newest, self._spoken, self._number = None, [], self._number + 1

    def _passage(self, sentences: Sequence[TimedSentence]) -> CuedPassage:
        text, words = _one_text(sentences)
        speaker = sentences[0].mark.speaker
        pauses = {word.at[0] for before, word in pairwise(words) if word.start > before.end}
        at = _Times(words)
        texts = cue_texts(
            text,
            indent=columns_of(speaker) + 2 if speaker else 0,
            ease=lambda start: _PAUSE_EASE if start in pauses else 1.0,
            strain=lambda start, end: _strain(at.end(end) - at.start(start)),
        )
        starts = [max(at.start(one.span[0]), self._shown_until) for one in texts]
        cues = [
            Cue(start, at.end(one.span[1]), text[slice(*one.span)], one.lines, speaker, new_speaker=False)
            for start, one in zip(starts, texts, strict=True)
        ]
        cues[0] = replace(cues[0], new_speaker=speaker != self._speaker)
        cues[:-1] = [_prolonged(cue, after.start, _BETWEEN_SECONDS) for cue, after in pairwise(cues)]
        cues = _rounded(cues)
        return CuedPassage(tuple(sentences), tuple(cues))


class _Times:
    """The times of the characters of a text, from those of its words."""

    def __init__(self, words: Sequence[WordTime]) -> None:
        self._words = words
        self._starts = [word.at[0] for word in words]

    def start(self, char: int) -> float:
        """Return when a character begins."""
        return self._at(self._words[bisect_right(self._starts, char) - 1], char)

    def end(self, char: int) -> float:
        """Return when the character before this one ends."""
        return self._at(self._words[bisect_left(self._starts, char) - 1], char)

    def _at(self, word: WordTime, char: int) -> float:
        first, last = word.at
        share = min((char - first) / (last - first), 1.0)
        return word.start + share * (word.end - word.start)


def _one_text(sentences: Sequence[TimedSentence]) -> tuple[str, list[WordTime]]:
    """Return the text of sentences with single spaces, and their words in it."""
    text, words = "", []
    for sentence in sentences:
        written, last = sentence.mark.text, 0
        for word in sentence.words:
            start, end = word.at
            apart = start > last if last else bool(text) and not (is_cjk(text[-1]) and is_cjk(written[start]))
            between = written[last:start] if apart and last else ""
            text += (between if between in _NO_BREAK_SPACES else " ") if apart else ""
            words.append(replace(word, at=(len(text), len(text) + end - start)))
            text, last = text + written[start:end], end
    return text, words


def _strain(seconds: float) -> float:
    """Return the cost of a cue that stays too long, or not long enough."""
    return _TOO_LONG * max(0.0, seconds - _MOST_SECONDS) + _TOO_SHORT * max(0.0, _LEAST_SECONDS - seconds)


def _prolonged(cue: Cue, until: float, between: float) -> Cue:
    """Let a cue stay as long as it takes to read it, if there is time before the next one."""
    speed = _COLUMNS_PER_SECOND if line_columns(cue.text) == COLUMNS else _WIDE_COLUMNS_PER_SECOND
    wanted = max(cue.end, cue.start + _LEAST_SECONDS, cue.start + columns_of(cue.text) / speed)
    room = until - between
    if until - cue.end < _FLICKER_SECONDS:
        wanted = room
    if room - cue.start < _TIGHT_SECONDS:
        room = wanted = until
    return replace(cue, end=min(wanted, room))


def _rounded(cues: Sequence[Cue]) -> list[Cue]:
    """Return cues whose times are whole milliseconds, as files have them, and in order."""
    rounded: list[Cue] = []
    for cue in cues:
        start = max(round(cue.start, 3), rounded[-1].end if rounded else 0.0)
        rounded.append(replace(cue, start=start, end=max(round(cue.end, 3), round(start + 0.001, 3))))
    return rounded


class _Levels:
    """The power of the sound in frames, counted from its beginning, from some moment on."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._frame = round(_FRAME_SECONDS * sample_rate)
        self._rest: Samples = np.zeros(0, np.float32)  # not a whole frame yet
        self._samples = 0
        self._first = 0  # frame that is kept
        self._powers: list[float] = []

    @property
    def seconds(self) -> float:
        """Of sound so far."""
        return self._samples / self._rate

    def feed(self, samples: Samples) -> None:
        """Take sound."""
        self._samples += len(samples)
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._frame
        self._rest = samples[whole:]
        self._powers += np.square(samples[:whole].reshape(-1, self._frame)).mean(axis=1, dtype=np.float64).tolist()

    def forget(self, seconds: float) -> None:
        """Drop what was before."""
        count = max(0, int(seconds * self._rate / self._frame) - self._first)
        del self._powers[:count]
        self._first += count

    def pauses(self, start: float, end: float) -> list[tuple[float, float]]:
        """Return where it is quiet between two moments that are not, in seconds."""
        each = self._frame / self._rate
        first, last = int(start / each), int(end / each)
        powers = self._powers[max(0, first - self._first) : max(0, last - self._first)]
        if not powers:
            return []
        quiet = float(np.percentile(powers, 90)) * 10 ** (-_QUIET_DB / 10)
        runs = [(key, len(list(run))) for key, run in groupby(powers, lambda power: power <= quiet)]
        found, at = [], first
        for number, (is_quiet, count) in enumerate(runs):
            if is_quiet and 0 < number < len(runs) - 1 and count * each >= _PAUSE_SECONDS:
                found.append((at * each, (at + count) * each))
            at += count
        return found
