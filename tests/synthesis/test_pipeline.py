"""The pipeline: pieces add up to the whole, marks lie where the sound is."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import Piece, SentenceMark, Speech, SynthesisRequest, Voice
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Part, Pause

RATE = 8000


class Beeps:
    """An engine that makes 0.1 s of full sound per character, in chunks of uneven length."""

    slots = 1

    def __init__(self, *, draws_voices: bool = False) -> None:
        self.draws_voices = draws_voices
        self.requests: list[SynthesisRequest] = []

    def stream(self, request: SynthesisRequest) -> Speech:
        self.requests.append(request)
        samples = np.full(len(request.text) * RATE // 10, 0.5, np.float32)
        for piece in np.split(samples, range(333, len(samples), 333)):
            yield AudioChunk(piece, RATE)

    def close(self) -> None: ...


def samples_of(pieces: list[Piece]) -> Samples:
    return np.concatenate([piece.samples for piece in pieces if isinstance(piece, AudioChunk)])


def marks_of(pieces: list[Piece]) -> list[SentenceMark]:
    return [piece for piece in pieces if isinstance(piece, SentenceMark)]


PARTS = st.lists(
    st.one_of(st.text("abc,:", min_size=1, max_size=5), st.builds(Pause, st.integers(0, 5).map(lambda n: n / 10))),
    min_size=1,
    max_size=6,
).filter(lambda parts: any(isinstance(part, str) for part in parts))


@given(PARTS, st.sampled_from([None, 0.0, 0.25]), st.booleans())
def test_marks_frame_each_sentence_exactly(parts: list[Part], gap: float | None, draws_voices: bool) -> None:
    pieces = list(synthesize(Beeps(draws_voices=draws_voices), parts, Delivery(gap_seconds=gap)))
    marks = marks_of(pieces)
    texts = [part for part in parts if isinstance(part, str)]
    assert [mark.text for mark in marks] == [text for text in texts for _ in "se"]
    emitted, position = 0, {}
    for piece in pieces:
        if isinstance(piece, SentenceMark):
            assert (piece.start if piece.end is None else piece.end) == emitted / RATE
            position[id(piece)] = emitted
        else:
            emitted += len(piece.samples)
    for begin, end in zip(marks[::2], marks[1::2], strict=True):
        assert begin.end is None
        assert end.end is not None
        assert end.start == begin.start <= end.end
        assert end.end - end.start == pytest.approx(len(begin.text) / 10, abs=1e-9)


def test_the_volume_changes_the_samples_and_nothing_else() -> None:
    loud, soft = (list(synthesize(Beeps(), ["abc", "de"], Delivery(volume=volume))) for volume in (1.0, 0.5))
    assert marks_of(loud) == marks_of(soft)
    np.testing.assert_array_equal(samples_of(loud) * np.float32(0.5), samples_of(soft))


def test_the_delivery_reaches_every_request() -> None:
    engine = Beeps()
    delivery = Delivery(voice=Voice(name="x"), language="en", speed=2.0, normalize=True, denoise=True)
    list(synthesize(engine, ["a", "b"], delivery))
    assert engine.requests == [delivery.request("a"), delivery.request("b")]


def test_only_the_engine_is_timed() -> None:
    now = iter(range(1000))
    stopwatch = Stopwatch(clock=lambda: float(next(now)))

    def slow_text() -> Iterator[Part]:
        for text in ("abcd", "abcd"):
            for _ in range(7):
                next(now)
            yield text

    list(synthesize(Beeps(), slow_text(), Delivery(), stopwatch=stopwatch))
    # One tick per chunk asked for, and one to learn that there is none left.
    assert stopwatch.timings.working == stopwatch.timings.chunks + 2


@pytest.mark.parametrize("taken", [None, 14])
def test_the_drawn_voice_is_told_also_if_the_consumer_closes_early(taken: int | None) -> None:
    drawn: list[Voice] = []
    pieces = synthesize(Beeps(draws_voices=True), ["abcd", "efgh"], Delivery(), on_drawn_voice=drawn.append)
    if taken is None:
        list(pieces)
    else:
        for _ in range(taken):
            next(pieces)
        pieces.close()
    [voice] = drawn
    assert voice.prompt
    assert voice.prompt.transcript == ("abcd" if taken else "abcd efgh")


def test_no_voice_is_told_where_one_was_given() -> None:
    drawn: list[Voice] = []
    delivery = Delivery(voice=Voice(name="x"))
    list(synthesize(Beeps(draws_voices=True), ["abcd"], delivery, on_drawn_voice=drawn.append))
    assert drawn == []


def test_closing_only_chunks_closes_the_pipeline() -> None:
    closed = []

    def pieces() -> Iterator[Piece]:
        try:
            while True:
                yield SentenceMark(text="a", start=0.0)
                yield AudioChunk(np.zeros(1, np.float32), RATE)
        finally:
            closed.append(True)

    chunks = only_chunks(pieces())  # type: ignore[arg-type]
    next(chunks)
    chunks.close()
    assert closed == [True]
