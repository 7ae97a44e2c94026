"""Sentences that meet without a click."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import Samples
from voxcli.audio.joins import SentenceJoiner

RATE = 16000
LARGEST_STEP = 0.04
"""A tone of 100 Hz and half of full scale changes by half of this from one sample to the next."""


def tone(seconds: float, *, phase: float = 0.0, height: float = 0.5) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    return (height * np.sin(2 * np.pi * (100 * time + phase))).astype(np.float32)


def joined(joiner: SentenceJoiner, *parts: "Samples | float", cuts: list[int] | None = None) -> Samples:
    """Join sentences, and pauses in seconds."""
    out = []
    for part in parts:
        if isinstance(part, float):
            out.append(joiner.pause(part))
            continue
        bounds = [0, *sorted(min(cut, len(part)) for cut in cuts or []), len(part)]
        out.append(joiner.begin(continues=False))
        out += [joiner.feed(part[start:end]) for start, end in pairwise(bounds)]
        out.append(joiner.end())
    return np.concatenate([*out, joiner.finish()])


@pytest.mark.parametrize("gap", [None, 0.0, 0.1])
@pytest.mark.parametrize("pauses", [(), (0.1,), (0.001,), (0.0,)])
def test_nothing_clicks_where_sentences_meet(gap: float | None, pauses: tuple[float, ...]) -> None:
    ends_high, begins_low = tone(0.1025), tone(0.1, phase=0.75)
    assert abs(ends_high[-1]) > 0.49
    assert begins_low[0] == -0.5
    out = joined(SentenceJoiner(RATE, gap_seconds=gap, even=True), ends_high, *pauses, begins_low, *pauses, ends_high)
    np.testing.assert_array_equal(out[: len(ends_high)], ends_high)
    assert np.abs(np.diff(out)).max() < LARGEST_STEP


@pytest.mark.parametrize("gap", [None, 0.0, 0.5])
def test_one_sentence_stays_as_it_is(gap: float | None) -> None:
    sentence = np.concatenate([np.zeros(1000, np.float32), tone(0.1, phase=0.3), np.zeros(20000, np.float32)])
    np.testing.assert_array_equal(joined(SentenceJoiner(RATE, gap_seconds=gap, even=True), sentence), sentence)
    out = joined(SentenceJoiner(RATE, gap_seconds=gap, even=True), 0.1, sentence)
    np.testing.assert_array_equal(out, np.concatenate([np.zeros(1600, np.float32), sentence]))


def test_who_asks_for_nothing_gets_what_came_in() -> None:
    first, second = tone(0.11, phase=0.2), tone(0.1, phase=0.7, height=0.1)
    out = joined(SentenceJoiner(RATE, gap_seconds=None, even=False), first, 0.5, second, second)
    np.testing.assert_array_equal(out, np.concatenate([first, np.zeros(8000, np.float32), second, second]))


def test_sentences_that_end_in_silence_stay_as_they_are() -> None:
    sentence = np.concatenate([tone(0.1), np.zeros(100, np.float32)])
    out = joined(SentenceJoiner(RATE, gap_seconds=None, even=True), sentence, sentence)
    np.testing.assert_array_equal(out, np.tile(sentence, 2))


def test_the_gap_is_exact() -> None:
    sentence = np.concatenate([np.zeros(1600, np.float32), tone(0.1, phase=0.25), np.zeros(3200, np.float32)])
    out = joined(SentenceJoiner(RATE, gap_seconds=0.25, even=False), sentence, sentence)
    loud = np.flatnonzero(np.abs(out) > 0.2)
    faded = round(0.005 * RATE)
    assert np.diff(loud).max() == pytest.approx(0.25 * RATE, abs=faded)
    assert len(out) == len(sentence) + round(0.35 * RATE)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20000), st.floats(0.01, 1.0), st.floats(0, 1)), min_size=1, max_size=4),
    st.sampled_from([None, 0.0, 0.05]),
    st.lists(st.integers(0, 20000), max_size=10),
)
def test_pieces_cut_anywhere_give_what_the_whole_gives(
    cries: list[tuple[int, float, float]], gap: float | None, cuts: list[int]
) -> None:
    parts = [tone(count / RATE, height=height, phase=phase) for count, height, phase in cries]
    whole = joined(SentenceJoiner(RATE, gap_seconds=gap, even=True), *parts)
    np.testing.assert_array_equal(joined(SentenceJoiner(RATE, gap_seconds=gap, even=True), *parts, cuts=cuts), whole)
