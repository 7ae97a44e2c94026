import math

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.loudness import decibels, levelled, loudness, mean_power
from voxcli.audio.pcm import silence


def sine(level_dbfs: float, rate: int = 48000, seconds: float = 5.0) -> AudioChunk:
    """A sine whose peak is at the given level."""
    time = np.arange(round(seconds * rate)) / rate
    return AudioChunk((10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 997 * time)).astype(np.float32), rate)


def joined(*chunks: AudioChunk) -> AudioChunk:
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("level_dbfs", [0.0, -23.0, -60.0])
def test_a_sine_of_997_hz_is_as_loud_as_the_recommendation_says(rate: int, level_dbfs: float) -> None:
    assert loudness(sine(level_dbfs, rate)) == pytest.approx(level_dbfs - 3.01, abs=0.01)


def filtered(samples: list[float], numerator: list[float], denominator: list[float]) -> list[float]:
    """Run a filter of second order sample by sample."""
    out: list[float] = []
    x1 = x2 = y1 = y2 = 0.0
    for x in samples:
        y = numerator[0] * x + numerator[1] * x1 + numerator[2] * x2 - denominator[0] * y1 - denominator[1] * y2
        x1, x2, y1, y2 = x, x1, y, y1
        out.append(y)
    return out


@pytest.mark.parametrize("softened", [1, 40], ids=["hiss", "rumble"])
def test_it_hears_what_the_filters_of_the_recommendation_let_through(softened: int) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, 96000)
    noise = np.convolve(noise, np.ones(softened) / softened, "same").astype(np.float32)
    head = filtered(
        noise.tolist(), [1.53512485958697, -2.69169618940638, 1.19839281085285], [-1.69065929318241, 0.73248077421585]
    )
    ear = filtered(head, [1.0, -2.0, 1.0], [-1.99004745483398, 0.99007225036621])
    wanted = -0.691 + 10 * math.log10(np.mean(np.square(ear)))
    assert loudness(AudioChunk(noise, 48000)) == pytest.approx(wanted, abs=0.1)


def test_pauses_do_not_make_a_clip_softer() -> None:
    # As in test 3 of EBU Tech 3341: what is more than 10 LU below the rest is not counted.
    clip = joined(sine(-36, seconds=10), sine(-23, seconds=60), sine(-36, seconds=10))
    assert loudness(clip) == pytest.approx(-26.01, abs=0.1)


def test_what_nobody_hears_is_not_counted() -> None:
    # As in test 4: below -70 LUFS, whatever the rest.
    clip = joined(sine(-72, seconds=10), sine(-36, seconds=10), sine(-23, seconds=60), sine(-72, seconds=10))
    assert loudness(clip) == pytest.approx(-26.01, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, 1 / 48000, 0.1, 3.0])
def test_silence_has_no_loudness_and_stays_silence(seconds: float) -> None:
    clip = silence(seconds, 48000)
    assert loudness(clip) == -math.inf
    assert levelled(clip, -20) is clip


def test_a_clip_shorter_than_a_block_counts_as_one() -> None:
    assert loudness(sine(-20, seconds=0.1)) == pytest.approx(-23.01, abs=0.5)


@pytest.mark.parametrize("level_dbfs", [-50.0, -17.0, 0.0])
def test_a_clip_is_brought_to_a_level(level_dbfs: float) -> None:
    assert loudness(levelled(sine(level_dbfs), -20)) == pytest.approx(-20, abs=0.01)


def test_no_clip_is_made_so_loud_that_it_clips() -> None:
    click = sine(-40)
    click.samples[1000] = 0.9
    out = levelled(click, -20)
    assert np.abs(out.samples).max() == pytest.approx(0.99)
    np.testing.assert_allclose(out.samples / click.samples.max(), click.samples * 1.1 / click.samples.max(), rtol=1e-5)


def test_the_power_of_frames_is_that_of_each_alone() -> None:
    frames = np.random.default_rng(1).normal(0, 0.1, (7, 240)).astype(np.float32)
    assert mean_power(frames).tolist() == [float(mean_power(frame)) for frame in frames]
    assert float(mean_power(np.full(10, 0.5, np.float32))) == 0.25


def test_decibels_stop_at_their_floor() -> None:
    assert decibels(np.array([1.0, 0.01, 0.0]), -96.0).tolist() == pytest.approx([0.0, -20.0, -96.0])
    assert float(decibels(0.0, -60.0)) == pytest.approx(-60.0)
