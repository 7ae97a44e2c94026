"""Sentences that become equally loud."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clips import spoken_wav
from voxcli.audio.chunk import Samples
from voxcli.audio.decode import decode
from voxcli.audio.joins import LevelMatcher

TEXTS = (
    "It was a bright cold day in April, and all the clocks were striking thirteen.",
    "The hallway smelt of boiled cabbage, and at one end of it a coloured poster had been tacked to the wall.",
    "Why not?",
    "今天天气很好，我们去公园散步，然后回家吃饭。",
)
RATE = 22050


def level_db(samples: Samples) -> float:
    """Measure how loud somebody speaks: the frames of 20 ms that are not far below the loudest."""
    powers = np.square(samples[: len(samples) // 441 * 441].reshape(-1, 441)).mean(axis=1)
    return float(10 * np.log10(powers[powers > powers.max() / 100].mean()))


@cache
def sentences() -> list[Samples]:
    """Return speech, each sentence at -20 dBFS."""
    spoken = [decode(spoken_wav(text)).samples for text in TEXTS]
    return [samples * np.float32(10 ** ((-20 - level_db(samples)) / 20)) for samples in spoken]


def evened(matcher: LevelMatcher, samples: Samples, cuts: list[int] | None = None) -> Samples:
    bounds = [0, *sorted(min(cut, len(samples)) for cut in cuts or []), len(samples)]
    pieces = [matcher.feed(samples[start:end]) for start, end in pairwise(bounds)]
    return np.concatenate([*pieces, matcher.end()])


def gains_db(out: Samples, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return the gains where something is heard, and the seconds at which that is."""
    (heard,) = np.nonzero(np.abs(samples) > 0.01)
    return 20 * np.log10(np.abs(out[heard]) / np.abs(samples[heard])), heard / RATE


def louder(samples: Samples, db: float) -> Samples:
    return samples * np.float32(10 ** (db / 20))


def test_the_first_sentence_stays_as_it_is_and_does_not_wait() -> None:
    matcher = LevelMatcher(RATE)
    samples = sentences()[0]
    for piece in np.split(samples, 50 * np.arange(1, 100)):
        np.testing.assert_array_equal(matcher.feed(piece), piece)
    assert not len(matcher.end())


def test_sentences_that_are_equally_loud_stay_as_they_are() -> None:
    matcher = LevelMatcher(RATE)
    for samples in sentences():
        out = evened(matcher, samples)
        assert abs(level_db(out) - level_db(samples)) < 0.5


@pytest.mark.parametrize("db", [5, -5])
def test_a_sentence_that_differs_ends_as_loud_as_the_first(db: float) -> None:
    matcher = LevelMatcher(RATE)
    first, second, *_ = sentences()
    evened(matcher, first)
    out = evened(matcher, louder(second, db))
    end = slice(-2 * RATE, None)
    assert abs(level_db(out[end]) - level_db(second[end])) < 1.5
    third = evened(matcher, louder(second, db))
    assert abs(level_db(third) - level_db(second)) < 1.5


def test_the_gain_moves_slowly_and_not_far() -> None:
    matcher = LevelMatcher(RATE)
    evened(matcher, sentences()[0])
    before = 0.0
    for samples in 2 * [louder(sentences()[1], -12)]:
        gains, seconds = gains_db(evened(matcher, samples), samples)
        assert abs(gains[0] - before) < 0.01
        assert np.all(np.abs(np.diff(gains)) <= 3 * np.diff(seconds) + 0.01)
        assert abs(gains[-1] - gains[0]) <= 3 * seconds[-1]
        assert gains.max() <= 6.01
        before = gains[-1]
    assert before == pytest.approx(6, abs=0.01)


def test_nothing_is_clipped() -> None:
    matcher = LevelMatcher(RATE)
    first, second, *_ = sentences()
    evened(matcher, louder(first, 2))
    soft = louder(second, -6)
    soft[RATE::RATE] = 1.0  # a crack each second
    out = evened(matcher, soft)
    assert len(out) == len(soft)
    assert np.abs(out).max() <= 1
    assert gains_db(out, soft)[0].max() > 0.2


def test_a_first_sentence_too_short_to_tell_is_helped_by_the_next() -> None:
    matcher = LevelMatcher(RATE)
    first, second, short, _ = sentences()
    for samples in (short[: RATE // 4], first):
        np.testing.assert_array_equal(evened(matcher, samples), samples)
    assert level_db(evened(matcher, louder(second, -6))) > level_db(second) - 4


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12000), st.floats(0.01, 1.5)), max_size=4),
    st.lists(st.integers(0, 12000), max_size=12),
)
def test_pieces_cut_anywhere_give_what_the_whole_gives(cries: list[tuple[int, float]], cuts: list[int]) -> None:
    whole, pieces = LevelMatcher(8000), LevelMatcher(8000)
    for count, height in [(8000, 0.3), *cries]:
        samples = np.random.default_rng(count).uniform(-height, height, count).astype(np.float32)
        np.testing.assert_array_equal(evened(pieces, samples, cuts), evened(whole, samples))
