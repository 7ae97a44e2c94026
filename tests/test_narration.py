"""Sentences and pauses."""

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.narration import Narrator, SteadyVoice
from voxcli.speech import Clip, Speech, SynthesisRequest, Voice
from voxcli.text.marks import Pause

RATE = 8000


def beep(text: str) -> Speech:
    """Make 0.1 s of sound for each character."""
    for _ in text:
        yield AudioChunk(np.ones(RATE // 10, np.float32), RATE)


def narrated(*parts: str | Pause) -> str:
    """Draw what is heard: a letter per tenth of a second, "-" for sound and "." for silence."""
    narrator = Narrator(beep)
    samples = [chunk.samples for part in parts for chunk in narrator.stream(part)]
    if not samples:
        return ""
    return "".join("-" if sample else "." for sample in np.concatenate(samples)[:: RATE // 10])


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
