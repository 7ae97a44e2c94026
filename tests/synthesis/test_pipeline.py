"""The pipeline: pieces add up to the whole, marks lie where the sound is."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.errors import RequestError
from voxcli.synthesis.pipeline import Delivery, only_chunks, prepared_speakers, synthesize
from voxcli.synthesis.request import Piece, Sampling, SentenceMark, Speech, SynthesisRequest, Voice
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Part, Pause, Replacement, Sentence, SpeakingManner

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


def said_by(speaker: str | None, text: str, **manner: object) -> Sentence:
    return Sentence(text, "en", manner=SpeakingManner(speaker=speaker, **manner))  # type: ignore[arg-type]


def test_each_speaker_has_a_voice_and_the_marks_name_it() -> None:
    engine = Beeps()
    speakers = {"ANNA": Delivery(voice=Voice(name="a"), speed=2.0), "BEN": Delivery(voice=Voice(name="b"))}
    parts = [said_by("ANNA", "one"), said_by("BEN", "two", speed=1.5, language="de"), said_by(None, "three")]
    pieces = list(synthesize(engine, parts, Delivery(voice=Voice(name="n")), speakers=speakers))
    assert [mark.speaker for mark in marks_of(pieces)[::2]] == ["ANNA", "BEN", None]
    asked = [(request.voice.name, request.speed, request.language) for request in engine.requests]
    assert asked == [("a", 2.0, None), ("b", 1.5, "de"), ("n", 1.0, None)]


@given(st.lists(st.tuples(st.sampled_from([None, "A", "B"]), st.text("ab", min_size=31, max_size=40)), max_size=8))
def test_each_speaker_keeps_the_voice_that_was_drawn_for_him(lines: list[tuple[str | None, str]]) -> None:
    engine = Beeps(draws_voices=True)
    parts = [said_by(speaker, text) for speaker, text in lines]
    list(synthesize(engine, parts, Delivery(), speakers={"A": Delivery(), "B": Delivery()}))
    first: dict[str | None, str] = {}
    for (speaker, text), request in zip(lines, engine.requests, strict=True):
        prompt = request.voice.prompt
        assert (prompt and prompt.transcript) == first.get(speaker)
        first.setdefault(speaker, text)


def test_the_volume_of_a_speaker_is_that_of_his_sentences() -> None:
    speakers = {"A": Delivery(volume=0.5)}
    parts = [said_by("A", "ab"), said_by(None, "ab"), said_by("A", "ab", volume=0.5)]
    pieces = list(synthesize(Beeps(), parts, Delivery(), speakers=speakers))
    sounds = np.split(samples_of(pieces), 3)
    assert [float(sound[0]) for sound in sounds] == [0.25, 0.5, 0.125]


def test_a_speaker_without_a_voice_is_an_error() -> None:
    with pytest.raises(RequestError, match="'EVE', for whom there is no voice"):
        list(synthesize(Beeps(), [said_by("EVE", "ab")], Delivery()))


def test_the_seeds_of_speakers_differ() -> None:
    speakers = prepared_speakers({"A": Delivery(), "B": Delivery(sampling=Sampling(seed=4))}, Beeps(), 7)
    assert [delivery.sampling.seed for delivery in speakers.values()] == [8, 4]


def test_an_engine_is_given_the_replacements_and_the_marks_tell_what_is_written() -> None:
    engine = Beeps()
    sentence = Sentence(
        "I ate it.", "en", replacements=(Replacement((0, 1), "We", "test"), Replacement((6, 8), "x", ""))
    )
    pieces = list(synthesize(engine, [sentence], Delivery()))
    assert [request.text for request in engine.requests] == ["We ate x."]
    assert marks_of(pieces)[0].text == "I ate it."
