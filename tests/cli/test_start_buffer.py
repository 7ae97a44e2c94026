"""Playback on machines slower than real time: how long the start buffer is, and where gaps are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.cli.slow_machine import (
    PATCH_SECONDS,
    PREFILL_SECONDS,
    SENTENCES,
    SPLIT_SECONDS,
    Clock,
    heard,
    jittery,
)
from voxcli.cli.reports.text import Buffering
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.engines.settings import EngineSettings
from voxcli.synthesis.pace import speaking_seconds
from voxcli.text.parts import Silence


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9, 0.97, 1.1, 4])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("error", [0.7, 1.0, 1.3])
def test_a_text_of_known_length_has_no_gaps_even_if_its_length_is_estimated_wrongly(
    speed: float, count: int, error: float
) -> None:
    text = " ".join(SENTENCES[1 : 1 + count])
    sound = heard(text, speed, error=error)
    assert sound.gaps == []
    assert sound.underruns == 0
    needed = max(0.0, speaking_seconds(text) * 1.3 * (1 / speed - 1))
    if needed < 25:  # otherwise it waits before each sentence
        # Too long for its estimate, it may have to wait for the next sentence, as long as a reader breathes.
        assert max(sound.pauses, default=0) <= 0.6
        assert sound.started <= PREFILL_SECONDS + 1.15 * max(1, error) * needed + 4 * PATCH_SECONDS / speed + 0.5


@pytest.mark.parametrize("speed", [0.4, 0.6, 0.9])
def test_it_does_not_wait_much_longer_than_it_has_to(speed: float) -> None:
    text = " ".join(SENTENCES[1:4])
    seconds = speaking_seconds(text)
    assert heard(text, speed).started >= seconds * (1 / speed - 1)
    assert heard(text, speed).started <= 1.5 * seconds * (1 / speed - 1) + 1


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
def test_it_says_at_which_speed_it_speaks_and_when_it_starts(speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:3] if speed < 0.8 else SENTENCES[1:5]), speed)
    [told] = sound.told
    assert told.speed == pytest.approx(speed, rel=0.01)
    assert PREFILL_SECONDS + 4 * PATCH_SECONDS / speed + told.seconds == pytest.approx(sound.started, rel=0.3)
    assert not told.by_sentence


def test_what_is_said_fits_a_line() -> None:
    wait = Buffering(speed=0.6, seconds=5.2, started=False, by_sentence=False, on_server=False)
    assert str(wait) == "this machine speaks at 0.6× speed: starting in 5 s, without gaps"
    wait = Buffering(speed=0.97, seconds=3, started=True, by_sentence=True, on_server=True)
    assert str(wait) == "the server speaks at 0.97× speed: going on in 3 s, with pauses between sentences"
    assert len(str(wait)) <= 80


@pytest.mark.parametrize("speed", [1.2, 8])
def test_an_engine_that_is_fast_enough_is_heard_with_its_second_patch(speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:]), speed)
    assert sound.started == pytest.approx(PREFILL_SECONDS + SPLIT_SECONDS + 2 * PATCH_SECONDS / speed)
    assert (sound.gaps, sound.underruns, sound.told) == ([], 0, [])


@pytest.mark.parametrize("speed", [0.3, 0.6])
def test_a_long_text_pauses_between_sentences_and_has_no_gap_within_one(speed: float) -> None:
    text = " ".join(SENTENCES * 5)
    sound = heard(text, speed)
    assert (sound.gaps, sound.underruns) == ([], 0)
    assert sound.started < 30
    [told] = sound.told
    assert told.by_sentence
    assert told.started  # the first sentence is too short to wait for


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("spread", [0.3])
def test_speeds_that_vary_from_patch_to_patch_are_allowed_for(speed: float, spread: float, seed: int) -> None:
    sound = heard(" ".join(SENTENCES), jittery(speed, spread, seed))
    assert sum(sound.gaps) == 0


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.5), (0.6, 0.3), (1.3, 0.6)])
def test_an_engine_that_becomes_slower_pauses_between_sentences(before: float, after: float) -> None:
    text = " ".join(SENTENCES * 2)
    sound = heard(text, lambda now: before if now < 14 else after)
    assert len(sound.gaps) <= 1  # in the sentence in which it happens
    assert sound.pauses


def test_without_a_start_buffer_each_patch_is_a_gap() -> None:
    sound = heard(SENTENCES[1], 0.5, start_buffer=0)
    assert sound.underruns == len(sound.gaps) > 10


def test_a_start_buffer_of_some_seconds_is_waited_for_and_again_after_a_gap() -> None:
    sound = heard(SENTENCES[3], 0.5, start_buffer=1.5)
    assert sound.started == pytest.approx(PREFILL_SECONDS + SPLIT_SECONDS + 10 * PATCH_SECONDS / 0.5)
    assert 0 < len(sound.gaps) <= 4
    assert min(sound.gaps) > 1


@dataclass(frozen=True)
class Written:
    """A text of which a word is written every so many seconds."""

    clock: Clock
    text: str
    word_seconds: float

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> Iterator[str | Silence]:
        due = 0.0
        for word in self.text.split(" "):
            due += self.word_seconds
            if due > self.clock.now:
                before_waiting()
                self.clock.now = due
            yield word + " "


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("word_seconds", [0.1, 0.5])
@pytest.mark.parametrize("error", [0.7, 1.3])
def test_a_text_that_still_arrives_is_heard_with_pauses_between_sentences_only(
    speed: float, word_seconds: float, error: float
) -> None:
    text = " ".join(SENTENCES)
    sound = heard(lambda clock: Written(clock, text, word_seconds), speed, error=error)
    assert (sound.gaps, sound.underruns) == ([], 0)
    # The first sentence has two words, and is heard when it is complete.
    assert sound.started <= 3 * word_seconds + PREFILL_SECONDS + 6 * PATCH_SECONDS / speed


@pytest.mark.parametrize("rate", [0.5, 2.0])
@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
def test_another_speaking_rate_is_allowed_for(rate: float, speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:3]), speed, rate=rate)
    assert (sound.gaps, sound.underruns) == ([], 0)
    assert sound.started == pytest.approx(heard(" ".join(SENTENCES[1:3]), speed).started / rate, rel=0.35, abs=0.5)


def test_steps_follow_the_speed_of_the_machine_only_when_asked() -> None:
    text = " ".join(SENTENCES * 2)
    plain, auto = heard(text, 0.8), heard(text, 0.8, auto_steps=True)
    assert plain.steps == [10]
    assert auto.steps[0] == 10
    assert set(auto.steps[4:]) <= {4, 5, 6, 7}
    assert (auto.gaps, auto.underruns) == ([], 0)
    assert auto.started < plain.started / 3
    assert sum(auto.pauses) < 3


@pytest.mark.parametrize("speed", [0.2, 0.6])
def test_silence_between_two_sentences_does_not_count_as_the_next_one(speed: float) -> None:
    text = " ".join(SENTENCES)
    sound = heard(lambda clock: Written(clock, text, 0.1), speed, gap=0.4)
    assert (sound.gaps, sound.underruns) == ([], 0)


@pytest.mark.parametrize("opening_seconds", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("speed", [0.5, 0.8])
def test_what_another_process_makes_while_the_loudspeaker_opens_does_not_seem_made_at_once(
    speed: float, opening_seconds: float
) -> None:
    settings = EngineSettings(remote=RemoteSettings(url="http://127.0.0.1:1"))
    text = " ".join(SENTENCES[1:3])
    sound = heard(text, speed, opening_seconds=opening_seconds, settings=settings)
    assert (sound.gaps, sound.underruns) == ([], 0)
    [told] = sound.told
    assert told.on_server
    assert told.speed == pytest.approx(speed, rel=0.1)
