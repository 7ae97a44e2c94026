"""Pace of an engine against playback, and how much has to wait before playback starts."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcli.text.characters import properties_of

if TYPE_CHECKING:
    from voxcli.synthesis.request import SentenceMark
    from voxcli.synthesis.timing import Timings

_WIDE_CHARACTER_SECONDS, _DIGIT_SECONDS, _CHARACTER_SECONDS = 0.22, 0.25, 0.065
"""About 270 Chinese characters, or 180 English words, in a minute; digits are spelled out."""
_FIRST_MARGIN, _MARGIN = 1.3, 1.15
"""By which estimated durations are taken to be longer, before and after a part has shown how long it is."""
_LONGER = 0.15
"""Part of its duration by which an utterance that is longer than estimated is expected to go on."""
_REAL_TIME = 1.02
_TIGHT = 1.5
"""An engine that is slower than this may not have begun the next sentence when the last one has been played."""
_LONGEST_SECONDS = 30.0
"""Rather than longer than this, a listener waits before each sentence."""
_RECENT_SECONDS = 4.0
"""Audio over which the speed is averaged, exponentially: an engine slows down when another program starts."""
_PATCH_SECONDS = 0.12
"""Chunks are measured together up to this duration: the first patch of an utterance comes in two, the second one at
once."""
_WAITED_SECONDS = 0.005
_DEVICE_SECONDS, _BUSY_DEVICE_SECONDS = 0.1, 0.3
"""Audio that the loudspeaker takes at once when it starts, also after a long wait."""
_USUAL_NOISE = 0.1
"""Relative deviation of the time for a chunk, counted like one that was measured."""
_DEVIATIONS = 2.0
"""Standard deviations of the time for the rest that are covered."""


def speaking_seconds(text: str) -> float:
    """Estimate how long a text is when it is spoken."""
    digits = sum(char.isdigit() for char in text)
    wide = sum(properties_of(char).columns > 1 for char in text if not char.isdigit())
    others = len(text) - wide - digits
    return wide * _WIDE_CHARACTER_SECONDS + digits * _DIGIT_SECONDS + others * _CHARACTER_SECONDS


class Pace:
    """Work per second of audio, as it was lately, and how much it varies."""

    def __init__(self) -> None:
        self.audio = 0.0
        self._work, self._squares, self._chunks = 0.0, 0.0, 0.0

    def note(self, audio: float, work: float) -> None:
        """Count audio, and the work that it took, both in seconds."""
        kept = math.exp(-audio / _RECENT_SECONDS)
        self.audio = kept * self.audio + audio
        self._work = kept * self._work + work
        self._squares = kept * self._squares + work * work / audio
        self._chunks = kept * self._chunks + 1

    def scale(self, ratio: float) -> None:
        """Expect this multiple of the work from now on."""
        self._work, self._squares = ratio * self._work, ratio * ratio * self._squares

    @property
    def factor(self) -> float:
        """Seconds of work per second of audio: above 1 is slower than it is played."""
        return self._work / self.audio

    def needed(self, remaining: float, deviations: float = _DEVIATIONS) -> float:
        """Return how much has to be there already, so that the remaining seconds do not come too late.

        They take `factor * remaining` seconds of work, of which `remaining` are played meanwhile. With independent
        chunks the deviation of that grows with the square root of what remains, and with `remaining` itself as far as
        the factor is known from few chunks only.
        """
        usual = (_USUAL_NOISE * self.factor) ** 2 * self.audio / self._chunks
        variance = max(0.0, self._squares - self._work * self.factor) + usual
        deviation = math.sqrt(variance / (self._chunks + 1) * (remaining + remaining * remaining / self.audio))
        return max(0.0, remaining * (self.factor - 1) + deviations * deviation)


@dataclass(slots=True)
class _Lengths:
    """Estimated and true durations of the parts of a text."""

    text_seconds: float | None
    """Of the whole text, estimated; None if it is still being written."""
    spoken: float = 0.0
    estimated: float = 0.0
    """Of the parts that are complete."""
    part_began: float = 0.0
    part_seconds: float = 0.0

    def rest_of_part(self, audio: float) -> float:
        done = audio - self.part_began
        return max(self.part_seconds * self._correction - done, _LONGER * done)

    def rest_of_text(self, audio: float) -> float:
        return max((self.text_seconds or 0.0) * self._correction - audio, self.rest_of_part(audio))

    @property
    def _correction(self) -> float:
        if not self.estimated:
            return _FIRST_MARGIN
        return _MARGIN * min(max(self.spoken / self.estimated, 0.5), 2.0)


class StartBuffer:
    """Tells how much audio has to wait before playback starts, so that it does not stall on a slow machine.

    Playback starts when there is enough for the whole text, if that is known and does not take too long. After that,
    and otherwise, it goes on with each sentence when there is enough for that sentence: if the engine has slowed down,
    there is a pause between two sentences, and not a gap within one.
    """

    def __init__(
        self, timings: "Timings", *, text_seconds: float | None, rate: float = 1.0, works_ahead: bool = False
    ) -> None:
        """
        Args:
            timings: of the stream, kept up to date by a `Stopwatch`.
            text_seconds: estimated duration of the whole text at its rate; None if it is still being written.
            rate: speaking rate, 1 for normal.
            works_ahead: whether the engine is another process, which works while this one does something else. Its
                speed is that of the chunks after the first one that had to be waited for.
        """
        self._behind = works_ahead
        self._seen_waited = 0.0
        self._timings = timings
        self._rate = rate
        self._lengths = _Lengths(text_seconds)
        self._pace: Pace | None = None  # from the second chunk on
        self._seen_audio, self._seen_work = 0.0, 0.0
        self._within_part = False
        self._playing = False
        self.delay: float | None = None
        """Seconds until playback starts, as last estimated; None while the engine seems fast enough."""

    @property
    def speed(self) -> float | None:
        """Seconds of audio per second of work, lately and without the first patch; None before the second one."""
        return 1 / max(self._pace.factor, 1e-9) if self._pace and self._pace.audio else None

    @property
    def by_sentence(self) -> bool:
        """Whether playback waits before each sentence, because the length of the text is unknown or too great."""
        pace, lengths = self._pace, self._lengths
        if self._playing or lengths.text_seconds is None:
            return True
        if pace is None or not pace.audio:  # there is no second chunk yet
            return False
        return lengths.text_seconds * (pace.factor - 1) > _LONGEST_SECONDS

    @property
    def pauses(self) -> bool:
        """Whether the next sentence may come late, so that it has to wait until enough of it is there."""
        return self.by_sentence and self.speed is not None and self.speed < _TIGHT

    def expect(self, ratio: float) -> None:
        """Expect that the next part takes this multiple of the work, because it has other steps."""
        if self._pace:
            self._pace.scale(ratio)

    def begin_part(self, text: str) -> None:
        """Note that this part of the text is spoken, and that its first chunk is there."""
        self._lengths.part_seconds = speaking_seconds(text) / self._rate
        self._within_part = True

    def end_part(self) -> None:
        """Note that the part is complete: its true duration corrects the estimate of the others."""
        lengths, audio = self._lengths, self._timings.audio
        lengths.spoken += audio - lengths.part_began
        lengths.estimated += lengths.part_seconds
        lengths.part_began, lengths.part_seconds = audio, 0.0
        self._within_part = False

    def pass_mark(self, mark: "SentenceMark") -> bool:
        """Take note of a mark between the chunks; return whether what waits is to be played now."""
        if mark.end is None:
            self.begin_part(mark.text)
            return False
        self.end_part()
        return self.pauses

    def released(self) -> None:
        """Note that what waited is played, whatever was needed: from now on, each sentence waits for itself."""
        self._playing = self._playing or self._timings.chunks > 0

    def measure(self) -> None:
        """Take note of the chunks since the last call."""
        timings = self._timings
        if self._behind:
            self._catch_up()
            return
        audio, work = timings.audio - self._seen_audio, timings.working - self._seen_work
        if audio < _PATCH_SECONDS:
            return
        self._seen_audio, self._seen_work = timings.audio, timings.working
        if self._pace is None:
            self._pace = Pace()  # the first patch also has to read the prompt
        else:
            self._pace.note(audio, work)

    def _catch_up(self) -> None:
        """Leave out the chunks that were there already, as it is not known when they were made."""
        timings = self._timings
        waited, self._seen_waited = timings.waited - self._seen_waited, timings.waited
        self._seen_audio, self._seen_work = timings.audio, timings.working
        if waited >= _WAITED_SECONDS and timings.audio >= _PATCH_SECONDS:
            self._behind, self._pace = False, Pace()

    def needed(self, queued: float) -> float:
        """Return how many seconds of audio have to wait before playback starts, or goes on after a pause.

        queued: seconds that wait already.
        """
        self.measure()
        needed = self._needed(queued)
        self._playing = self._playing or queued >= needed
        return needed

    def _needed(self, queued: float) -> float:
        timings, speed = self._timings, self.speed
        self.delay = None
        if speed is None or self._pace is None:
            # The first patch takes longer than others. If it was too late for the second one, that one will tell.
            late = timings.working > max(0.0, timings.audio - _DEVICE_SECONDS)
            return queued + 1 if late else 0.0
        if speed >= _REAL_TIME:
            return 0.0
        if self.by_sentence and not self._within_part:
            return queued + 1  # silence before the next sentence, whose first chunk will tell
        lengths, audio = self._lengths, timings.audio
        remaining = lengths.rest_of_part(audio) if self.by_sentence else lengths.rest_of_text(audio)
        # A patch more, since each is there only when it is complete.
        device = _DEVICE_SECONDS if self._playing else _BUSY_DEVICE_SECONDS
        least = max(audio / timings.chunks, _PATCH_SECONDS) + device
        self.delay = max(0.0, least + min(self._pace.needed(remaining, deviations=0), _LONGEST_SECONDS) - queued)
        return least + min(self._pace.needed(remaining), _LONGEST_SECONDS)
