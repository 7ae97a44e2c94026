from collections.abc import Generator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.resample import Resampler, resampled

RATES = [8000, 16000, 22050, 24000, 44100, 48000]
rates = st.sampled_from(RATES)


def noise(count: int) -> Samples:
    return np.random.default_rng(count).uniform(-0.5, 0.5, count).astype(np.float32)


def resample(samples: Samples, from_rate: int, to_rate: int, cuts: list[int]) -> Samples:
    resampler = Resampler(from_rate, to_rate)
    bounds = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    pieces = [resampler.feed(samples[start:end]) for start, end in pairwise(bounds)]
    return np.concatenate([*pieces, resampler.finish()])


@settings(max_examples=150, deadline=None)
@given(rates, rates, st.integers(0, 6000), st.lists(st.integers(0, 6000), max_size=20))
def test_pieces_cut_anywhere_give_what_the_whole_gives(
    from_rate: int, to_rate: int, count: int, cuts: list[int]
) -> None:
    samples = noise(count)
    whole = resample(samples, from_rate, to_rate, [])
    assert np.array_equal(resample(samples, from_rate, to_rate, cuts), whole)
    assert len(whole) == round(count * to_rate / from_rate)
    assert whole.dtype == np.float32


def test_an_equal_rate_changes_nothing() -> None:
    samples = noise(1000)
    assert np.array_equal(resample(samples, 24000, 24000, [10, 500]), samples)


@pytest.mark.parametrize("to_rate", RATES)
@pytest.mark.parametrize("from_rate", RATES)
def test_a_tone_keeps_its_pitch_level_and_place(from_rate: int, to_rate: int) -> None:
    def tone(rate: int) -> Samples:
        return (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)

    out = resample(tone(from_rate), from_rate, to_rate, [])
    middle = slice(to_rate // 4, -to_rate // 4)
    assert np.abs(out - tone(to_rate))[middle].max() < 1e-3


@pytest.mark.parametrize("to_rate", RATES)
@pytest.mark.parametrize("from_rate", RATES)
def test_the_first_samples_come_out_early(from_rate: int, to_rate: int) -> None:
    resampler = Resampler(from_rate, to_rate)
    fed = 0
    while not len(resampler.feed(np.zeros(from_rate // 100, np.float32))):
        fed += from_rate // 100
    assert fed / from_rate <= 0.16


def test_a_stream_is_resampled_without_empty_chunks() -> None:
    chunks = [AudioChunk(noise(100), 16000) for _ in range(100)]
    out = list(resampled(iter(chunks), 48000))
    assert {chunk.sample_rate for chunk in out} == {48000}
    assert all(len(chunk.samples) for chunk in out)
    assert sum(len(chunk.samples) for chunk in out) == 30000


def test_a_stream_of_nothing_stays_nothing() -> None:
    assert list(resampled(iter([]), 48000)) == []
    assert list(resampled(iter([AudioChunk(noise(0), 16000)]), 48000)) == []


def test_a_change_of_rate_within_a_stream_is_refused() -> None:
    chunks = [AudioChunk(noise(100), 16000), AudioChunk(noise(100), 24000)]
    with pytest.raises(ValueError, match="24000 Hz among others at 16000 Hz"):
        list(resampled(iter(chunks), 48000))


def test_closing_the_resampled_stream_closes_its_source() -> None:
    closed = []

    def source() -> Generator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(noise(4000), 16000)
        finally:
            closed.append(True)

    chunks = source()
    stream = resampled(chunks, 48000)
    next(stream)
    stream.close()
    assert closed == [True]
