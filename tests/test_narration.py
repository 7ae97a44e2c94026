"""Sentences and pauses."""

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.narration import Narrator
from voxcli.speech import Speech
from voxcli.text.marks import Pause

RATE = 1000


def beep(text: str) -> Speech:
    """Make 0.1 s of sound for each character."""
    for _ in text:
        yield AudioChunk(np.ones(100, np.float32), RATE)


def narrated(*parts: str | Pause) -> str:
    """Draw what is heard: a letter per tenth of a second, "-" for sound and "." for silence."""
    narrator = Narrator(beep)
    samples = [chunk.samples for part in parts for chunk in narrator.stream(part)]
    if not samples:
        return ""
    return "".join("-" if sample else "." for sample in np.concatenate(samples)[::100])


@pytest.mark.parametrize(
    ("parts", "heard"),
    [
        (["abc"], "---"),
        (["ab", Pause(0.3), "c"], "--...-"),
        ([Pause(0.2), "a"], "..-"),
        ([Pause(0.2), Pause(0.1), "a", Pause(0.1)], "...-."),
        (["a", Pause(0.0), "b"], "--"),
        ([Pause(1)], ""),
        ([], ""),
    ],
)
def test_pauses_are_silence_in_their_place(parts: list[str | Pause], heard: str) -> None:
    assert narrated(*parts) == heard


def test_silence_leaves_before_the_next_sentence_is_asked_for() -> None:
    narrator = Narrator(beep)
    list(narrator.stream("a"))
    assert sum(chunk.seconds for chunk in narrator.stream(Pause(0.5))) == 0.5


def test_closing_closes_the_engine() -> None:
    closed = []

    def endless(text: str) -> Speech:
        try:
            while True:
                yield AudioChunk(np.ones(1, np.float32), RATE)
        finally:
            closed.append(text)

    speech = Narrator(endless).stream("a")
    next(speech)
    speech.close()
    assert closed == ["a"]
