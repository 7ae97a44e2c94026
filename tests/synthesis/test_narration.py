"""Sentences and pauses."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.decode import decode
from voxcli.synthesis.narration import Narrator, SteadyVoice, with_drawn_voice
from voxcli.synthesis.pipeline import only_chunks
from voxcli.synthesis.request import Clip, Piece, SentenceMark, Speech, SynthesisRequest, Voice
from voxcli.text.marks import Pause

RATE = 8000


def beep(text: str) -> Speech:
    """Make 0.1 s of sound for each character."""
    for _ in text:
        yield AudioChunk(np.ones(RATE // 10, np.float32), RATE)


def narrated(*parts: str | Pause, gap_seconds: float | None = None) -> str:
    """Draw what is heard: a letter per tenth of a second, "-" for sound and "." for silence."""
    samples = [chunk.samples for chunk in only_chunks(Narrator(beep, gap_seconds=gap_seconds).stream(parts))]
    if not samples:
        return ""
    # In the middle of each tenth, where nothing fades.
    return "".join("-" if sample else "." for sample in np.concatenate(samples)[RATE // 20 :: RATE // 10])


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


@pytest.mark.parametrize(
    ("parts", "heard"),
    [
        (["a", "b", "c"], "-..-..-"),
        (["a", Pause(0.1), "b"], "-.-"),
        (["a,", "b"], "---"),
        (["a，”", "b"], "----"),
        (["a:", "b"], "--..-"),
        (["a", Pause(0.4)], "-...."),
    ],
)
def test_between_sentences_is_a_gap_and_none_within(parts: list[str | Pause], heard: str) -> None:
    assert narrated(*parts, gap_seconds=0.2) == heard


@pytest.mark.parametrize(("gap", "between"), [(None, [Pause(0.5)]), (0.5, [])])
def test_silence_leaves_before_the_next_sentence_is_asked_for(gap: float | None, between: list[Pause]) -> None:
    asked = []

    def noted(text: str) -> Speech:
        asked.append(text)
        yield from beep(text)

    speech = only_chunks(Narrator(noted, gap_seconds=gap).stream(["a", *between, "b"]))
    assert next(speech).seconds == 0.1
    assert next(speech).seconds == 0.5
    assert asked == ["a"]
    assert next(speech).seconds == 0.1
    assert asked == ["a", "b"]


def test_a_sentence_is_spoken_before_the_next_is_written() -> None:
    def written() -> Iterator[str]:
        yield "a"
        pytest.fail("nobody has heard the first yet")

    narrator = Narrator(beep, gap_seconds=1.0, even=lambda: True)
    assert next(only_chunks(narrator.stream(written()))).seconds == 0.1


def test_closing_closes_the_engine() -> None:
    closed = []

    def endless(text: str) -> Speech:
        try:
            while True:
                yield AudioChunk(np.ones(1, np.float32), RATE)
        finally:
            closed.append(text)

    speech = only_chunks(Narrator(endless).stream(["a"]))
    next(speech)
    speech.close()
    assert closed == ["a"]


def test_sentences_are_joined_without_clicks_and_made_equally_loud_where_that_is_wanted() -> None:
    def uneven(text: str) -> Speech:
        time = np.arange(3 * RATE) / RATE
        height = 0.5 if text == "first" else 0.25
        yield AudioChunk((height * np.cos(2 * np.pi * 100 * time)).astype(np.float32), RATE)

    def spoken(even: bool) -> Samples:
        pieces = Narrator(uneven, even=lambda: even).stream(["first", "second", Pause(0.1)])
        return np.concatenate([chunk.samples for chunk in only_chunks(pieces)])

    as_made, even = spoken(False), spoken(True)
    assert len(as_made) == len(even) == 6.1 * RATE
    np.testing.assert_array_equal(even[: 3 * RATE], as_made[: 3 * RATE])
    assert np.abs(np.diff(as_made)).max() > 0.2
    assert np.abs(np.diff(even)).max() < 0.05
    assert np.abs(even[5 * RATE : 6 * RATE]).max() == pytest.approx(0.25 * 10 ** (5 / 20), abs=0.01)


class Moody:
    """An engine that takes another voice for each request that names none: its n-th has the pitch n."""

    slots = 1
    draws_voices = True

    def __init__(self) -> None:
        self.requests: list[SynthesisRequest] = []

    def stream(self, request: SynthesisRequest) -> Speech:
        self.requests.append(request)
        for _ in request.text:
            yield AudioChunk(np.full(RATE, len(self.requests) / 10, np.float32), RATE)

    def close(self) -> None: ...


class Steady(Moody):
    draws_voices = False


class Reticent(Moody):
    """A server that tells only with its first sound that it has one voice for all."""

    def stream(self, request: SynthesisRequest) -> Speech:
        self.draws_voices = False
        yield from super().stream(request)


def said_by(engine: Moody, *texts: str, voice: Voice | None = None, speed: float = 1.0) -> list[Voice]:
    steady = SteadyVoice(engine)
    for text in texts:
        list(steady.stream(SynthesisRequest(text=text, voice=voice or Voice(), speed=speed)))
    return [request.voice for request in engine.requests]


def prompt_of(voice: Voice) -> tuple[str, float]:
    """Return the words of its prompt, and how many seconds it is."""
    assert voice.prompt
    return voice.prompt.transcript, round(decode(voice.prompt.clip.data).seconds, 3)


def test_the_voice_that_came_first_is_kept() -> None:
    voices = said_by(Moody(), "four", "five!", "six", voice=Voice(style="old"))
    assert voices[0] == Voice(style="old")
    assert [prompt_of(voice) for voice in voices[1:]] == [("four", 4.0), ("four", 4.0)]


def test_until_enough_is_heard_more_is_added() -> None:
    voices = said_by(Moody(), "a", "b", "c", "d", "e")
    assert [prompt_of(voice) for voice in voices[1:]] == [("a", 1.0), ("a b", 2.0), ("a b c", 3.0), ("a b c", 3.0)]


def test_the_voice_that_was_drawn_is_known_after_one_sentence() -> None:
    engine = Moody()
    steady = SteadyVoice(engine)
    speech = steady.stream(SynthesisRequest(text="four"))
    next(speech)
    assert steady.drawn is None
    list(speech)
    assert steady.drawn
    assert prompt_of(steady.drawn) == ("four", 4.0)


@pytest.mark.parametrize(("engine", "voice"), [(Moody(), Voice(reference=Clip(b"x"))), (Steady(), Voice())])
def test_a_voice_that_was_not_drawn_is_none(engine: Moody, voice: Voice) -> None:
    steady = SteadyVoice(engine)
    list(steady.stream(SynthesisRequest(text="four", voice=voice)))
    assert steady.drawn is None


def test_a_voice_that_was_drawn_elsewhere_is_that_of_the_first_sentences() -> None:
    def pieces() -> Iterator[Piece]:
        for number, text in enumerate(("two", "three", "four")):
            yield SentenceMark(text=text, start=2.0 * number)
            yield AudioChunk(np.ones(2 * RATE, np.float32), RATE)
            yield SentenceMark(text=text, start=2.0 * number, end=2.0 * number + 2)

    drawn: list[Voice] = []
    with closing(with_drawn_voice(pieces(), drawn.append)) as spoken:  # type: ignore[arg-type]
        for _ in range(8):
            next(spoken)
    assert [prompt_of(voice) for voice in drawn] == [("two three", 4.0)]


def test_who_has_a_voice_keeps_it() -> None:
    voice = Voice(reference=Clip(b"x"))
    assert said_by(Moody(), "four", "five!", voice=voice) == [voice, voice]
    assert said_by(Steady(), "four", "five!") == [Voice(), Voice()]


def test_a_voice_is_carried_on_at_its_own_pace() -> None:
    engine = Moody()
    steady = SteadyVoice(engine)
    requests = [SynthesisRequest(text=text, speed=2.0) for text in ("four", "five!")]
    heard = [sum(chunk.seconds for chunk in steady.stream(request)) for request in requests]
    assert heard == [pytest.approx(2.0, abs=0.1), pytest.approx(2.5, abs=0.1)]
    assert prompt_of(engine.requests[1].voice) == ("four", 4.0)


def test_who_turns_out_to_draw_no_voices_has_none_to_keep() -> None:
    engine = Reticent()
    steady = SteadyVoice(engine)
    for text in ("One.", "Two."):
        list(steady.stream(SynthesisRequest(text=text)))
    assert steady.drawn is None
    assert [request.voice for request in engine.requests] == [Voice(), Voice()]
