"""Levels of streams: a gain that keeps peaks below full scale, a loudness that is followed, and the pitch of voices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples, Transform
from voxcli.audio.levelling import PEAK, Levelling, Limiter
from voxcli.audio.loudness import LoudnessMeter, loudness

RATE = 16000
SPEECHLIKE = (
    np.random.default_rng(1).standard_normal(3 * RATE) * 0.05 * (1 + np.sin(np.arange(3 * RATE) / 3000))
).astype(np.float32)
CUTS = st.lists(st.integers(1, 3 * RATE - 1), max_size=5)


def fed(transform: Transform, samples: Samples, cuts: list[int]) -> Samples:
    pieces = np.split(samples, sorted(cuts))
    return np.concatenate([*map(transform.feed, pieces), transform.finish()])


@given(CUTS, st.floats(0.1, 20))
@settings(max_examples=8, deadline=None)
def test_a_limiter_keeps_peaks_below_full_scale_however_the_stream_is_cut(cuts: list[int], gain: float) -> None:
    whole, cut = (fed(Limiter(RATE, gain), SPEECHLIKE, places) for places in ([], cuts))
    assert len(whole) == len(SPEECHLIKE)
    assert np.abs(whole).max() <= PEAK + 1e-6
    assert np.allclose(whole, cut, atol=1e-6)


def test_a_limiter_changes_nothing_but_the_gain_where_there_are_no_peaks() -> None:
    assert np.array_equal(fed(Limiter(RATE, 2.0), SPEECHLIKE / 8, [999]), SPEECHLIKE / 8 * np.float32(2))


@given(CUTS)
@settings(max_examples=8, deadline=None)
def test_a_meter_measures_a_stream_as_a_whole(cuts: list[int]) -> None:
    meter = LoudnessMeter(RATE)
    for piece in np.split(SPEECHLIKE, sorted(cuts)):
        meter.feed(piece)
    assert meter.integrated() == pytest.approx(loudness(AudioChunk(SPEECHLIKE, RATE)), abs=1e-9)
    assert meter.peak == np.abs(SPEECHLIKE).max()


@given(CUTS, st.floats(0.1, 3.0))
@settings(max_examples=5, deadline=None)
def test_a_stream_is_brought_to_a_loudness_however_it_is_cut(cuts: list[int], level: float) -> None:
    samples = (SPEECHLIKE * level).astype(np.float32)
    whole, cut = (fed(Levelling(RATE, -23), samples, places) for places in ([], cuts))
    assert len(whole) == len(samples)
    assert np.allclose(whole, cut, atol=1e-5)
    assert loudness(AudioChunk(whole, RATE)) == pytest.approx(-23, abs=1.5)


def test_silence_stays_silent_and_a_short_sound_is_levelled_too() -> None:
    assert not fed(Levelling(RATE, -18), np.zeros(3 * RATE, np.float32), []).any()
    short = SPEECHLIKE[: RATE // 2]
    assert loudness(AudioChunk(fed(Levelling(RATE, -23), short, []), RATE)) == pytest.approx(-23, abs=1.0)
