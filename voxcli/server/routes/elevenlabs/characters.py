"""Times of characters, interpolated in the sentences that are being spoken."""

from voxcli.protocols.elevenlabs.messages import TimedCharacter
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.transcript import word_times


class CharacterTimes:
    """Tells which characters of a text are heard in each piece of its sound. Each is told once, and in order.

    The end of a sentence is known when it has been spoken. Until then, times follow the usual pace; what is left at
    the end is told with the next piece.
    """

    def __init__(self) -> None:
        self._text = ""
        self._told = 0
        """Characters of the text before this are told, or belong to a sentence that is being spoken."""
        self._waiting: list[tuple[str, float]] = []  # characters, and the seconds at which each is heard

    def append(self, text: str) -> None:
        """Take more of the text that is spoken."""
        self._text += text

    def note(self, mark: SentenceMark, pace: float) -> None:
        """Take the beginning or the end of a sentence.

        pace: of the sentences before, in syllables per second.
        """
        begin, end = mark.span or (self._told, self._told + len(mark.text))
        if mark.end is None:
            self._waiting += [(character, mark.start) for character in self._text[self._told : begin]]
            self._told = end
            written = self._text[begin:end]
            self._waiting += _timed(written if len(written) == len(mark.text) else mark.text, mark, pace)
        else:
            self._waiting = [(character, min(at, mark.end)) for character, at in self._waiting]

    def take(self, start: float, end: float, *, all_of_them: bool = False) -> list[TimedCharacter]:
        """Return the characters that are heard in a piece of the sound, in seconds from its beginning."""
        count = len(self._waiting)
        if not all_of_them:
            count = next((place for place, (_, at) in enumerate(self._waiting) if at >= end), count)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        times = [_milliseconds(min(max(at, start), end) - start) for _, at in taken]
        following = [*times, _milliseconds(end - start)][1:]
        return [
            TimedCharacter(character, at, until - at)
            for (character, _), at, until in zip(taken, times, following, strict=True)
        ]

    @property
    def next_start(self) -> float | None:
        """Seconds at which the next character is heard; None if none is known."""
        return self._waiting[0][1] if self._waiting else None


def _timed(text: str, mark: SentenceMark, pace: float) -> list[tuple[str, float]]:
    """Return the characters of a sentence, evenly within its words; what is between them is heard with the next."""
    timed: list[tuple[str, float]] = []
    for word in word_times(mark, pace):
        begin, end = word.at
        timed += [(character, word.start) for character in text[len(timed) : begin]]
        step = (word.end - word.start) / (end - begin)
        timed += [(character, word.start + place * step) for place, character in enumerate(text[begin:end])]
    last = timed[-1][1] if timed else mark.start
    return timed + [(character, last) for character in text[len(timed) :]]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
