from collections.abc import Generator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.tempo import Tempo, retimed

FACTORS = [0.25, 0.4, 0.5, 0.8, 0.95, 1.05, 1.25, 1.7, 2.0, 3.0, 4.0]


def tone(rate: int, count: int) -> Samples:
    noise = np.random.default_rng(0).normal(0, 0.01, count)
    return (0.4 * np.sin(2 * np.pi * 220 * np.arange(count) / rate) + noise).astype(np.float32)


def retime(samples: Samples, rate: int, factor: float, cuts: list[int]) -> Samples:
    tempo = Tempo(rate, factor)
    bounds = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    pieces = [tempo.feed(samples[start:end]) for start, end in pairwise(bounds)]
    return np.concatenate([*pieces, tempo.finish()])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    st.floats(0.25, 4.0),
    st.integers(0, 20000),
    st.lists(st.integers(0, 20000), max_size=20),
)
def test_pieces_cut_anywhere_give_what_the_whole_gives(rate: int, factor: float, count: int, cuts: list[int]) -> None:
    samples = tone(rate, count)
    whole = retime(samples, rate, factor, [])
    assert np.array_equal(retime(samples, rate, factor, cuts), whole)
    assert len(whole) == round(count / factor)
    assert whole.dtype == np.float32


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_pitch_and_the_loudness_stay(rate: int, factor: float) -> None:
    out = retime(tone(rate, 3 * rate), rate, factor, [])
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert np.argmax(spectrum) * rate / len(out) == pytest.approx(220, rel=0.01)
    middle = out[len(out) // 4 : -len(out) // 4]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("factor", FACTORS)
def test_nothing_is_lost_at_the_ends(factor: float) -> None:
    rate = 24000
    samples = np.zeros(2 * rate, np.float32)
    samples[: rate // 10] = samples[-rate // 10 :] = tone(rate, rate // 10)
    out = retime(samples, rate, factor, [])
    burst = round(rate / 10 / factor)
    energy = np.sum(samples**2) / 2 / factor
    assert np.sum(out[: 2 * burst] ** 2) > energy / 2
    assert np.sum(out[-2 * burst :] ** 2) > energy / 2


@pytest.mark.parametrize("factor", FACTORS)
def test_the_first_samples_come_out_early(factor: float) -> None:
    tempo = Tempo(24000, factor)
    blocks = next(count for count in range(1, 100) if len(tempo.feed(tone(24000, 480))))
    assert blocks * 0.02 <= (0.1 if 0.5 <= factor <= 2 else 0.3)


def test_the_natural_tempo_changes_nothing() -> None:
    samples = tone(16000, 1000)
    assert np.array_equal(retime(samples, 16000, 1, [10, 500]), samples)


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.2, 5.0, float("nan")])
def test_an_impossible_tempo_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"between 0\.25 and 4"):
        Tempo(16000, factor)


def test_a_stream_is_retimed_without_empty_chunks() -> None:
    chunks = [AudioChunk(tone(16000, 100), 16000) for _ in range(100)]
    out = list(retimed(iter(chunks), 2.0))
    assert {chunk.sample_rate for chunk in out} == {16000}
    assert all(len(chunk.samples) for chunk in out)
    assert sum(len(chunk.samples) for chunk in out) == 5000
    assert list(retimed(iter([]), 2.0)) == []


def test_a_change_of_rate_within_a_stream_is_refused() -> None:
    chunks = [AudioChunk(tone(16000, 100), rate) for rate in (16000, 24000)]
    with pytest.raises(ValueError, match="24000 Hz among others at 16000 Hz"):
        list(retimed(iter(chunks), 2.0))


def test_closing_the_retimed_stream_closes_its_source() -> None:
    closed = []

    def source() -> Generator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(tone(16000, 8000), 16000)
        finally:
            closed.append(True)

    chunks = source()
    stream = retimed(chunks, 1.5)
    next(stream)
    stream.close()
    assert closed == [True]
