"""Speech of tones and silence with its marks, as the pipeline would yield it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.synthesis.request import Piece, SentenceMark
from voxcli.text.marks import Sentence, SpeakingManner

RATE = 1000
SECONDS_PER_LETTER = 0.06


@dataclass(frozen=True)
class Said:
    text: str
    speaker: str | None = None
    speed: float = 1.0
    gap: float = 0.0
    """Seconds of silence after it."""


def spoken(sentences: Iterable[Said]) -> Iterator[Piece]:
    """Speak each letter as a tone, with 0.3 s of silence after a comma."""
    at = written = 0
    for said in sentences:
        sentence = Sentence(
            said.text, None, (written, written + len(said.text)), manner=SpeakingManner(speaker=said.speaker)
        )
        written += len(said.text) + 1
        start, first = at / RATE, True
        for word in said.text.split():
            count = round(len(word) * SECONDS_PER_LETTER / said.speed * RATE) or 1
            silence = round(0.3 * RATE) if word.endswith(",") else 0
            for samples in (np.sin(np.arange(count)) / 2, np.zeros(silence)):
                if first:
                    yield SentenceMark(text=sentence, start=start)
                first = False
                at += len(samples)
                yield AudioChunk(samples.astype(np.float32), RATE)
        yield SentenceMark(text=sentence, start=start, end=at / RATE)
        at += (count := round(said.gap * RATE))
        if count:
            yield AudioChunk(np.zeros(count, np.float32), RATE)
