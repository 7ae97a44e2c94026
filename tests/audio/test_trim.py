"""Silence is taken off the ends of a clip, and nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clips import spoken_wav
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.clip_quality import FRAME_SECONDS, frame_levels, inspect, trimmed
from voxcli.audio.decode import decode

RATE = 8000
FRAME = round(FRAME_SECONDS * RATE)


def noise(seconds: float, level_dbfs: float, seed: int = 0) -> Samples:
    samples = 10 ** (level_dbfs / 20) * np.random.default_rng(seed).normal(0, 1, round(seconds * RATE))
    return samples.astype(np.float32)


def passages(parts: Sequence[tuple[float, float]]) -> AudioChunk:
    """Return passages of noise one after another, each with its seconds and its level."""
    sound = [noise(seconds, level, seed) for seed, (seconds, level) in enumerate(parts)]
    return AudioChunk(np.concatenate([np.zeros(0, np.float32), *sound]), RATE)


def speech(leading: float, trailing: float, noise_dbfs: float, level_dbfs: float = -20) -> AudioChunk:
    """Return five words with pauses between, and noise around them."""
    words = [(0.4, level_dbfs), (0.2, noise_dbfs)] * 4 + [(0.4, level_dbfs)]
    return passages([(leading, noise_dbfs), *words, (trailing, noise_dbfs)])


def cut_off(whole: AudioChunk, piece: AudioChunk) -> tuple[Samples, Samples]:
    """Return what is missing at the start and at the end; a piece that is not of the whole fails."""
    if not len(whole.samples):
        assert not len(piece.samples)
        return whole.samples, whole.samples
    assert np.shares_memory(whole.samples, piece.samples)
    start = (piece.samples.ctypes.data - whole.samples.ctypes.data) // whole.samples.itemsize
    end = start + len(piece.samples)
    np.testing.assert_array_equal(whole.samples[start:end], piece.samples)
    return whole.samples[:start], whole.samples[end:]


clips = st.lists(st.tuples(st.floats(0.0, 1.5), st.sampled_from([-120, -75, -60, -45, -35, -25, -15])), max_size=8)


@settings(max_examples=150, deadline=None)
@given(clips.map(passages))
def test_trimming_twice_is_trimming_once(clip: AudioChunk) -> None:
    once = trimmed(clip)
    assert trimmed(once) is once


@settings(max_examples=150, deadline=None)
@given(clips.map(passages))
def test_what_is_left_is_a_piece_without_its_speech_lost(clip: AudioChunk) -> None:
    lost = np.concatenate(cut_off(clip, trimmed(clip)))
    if len(lost):
        loudest = np.sort(frame_levels(clip.samples, FRAME))[-25:].min()
        assert frame_levels(lost, FRAME).max() < loudest - 20


@pytest.mark.parametrize("noise_dbfs", [-120, -70, -55, -47])
def test_silence_at_either_end_goes_but_for_a_little_room(noise_dbfs: float) -> None:
    start, end = cut_off(whole := speech(2.0, 1.5, noise_dbfs), trimmed(whole))
    assert len(start) / RATE == pytest.approx(2.0 - 0.2, abs=2 * FRAME_SECONDS)
    assert len(end) / RATE == pytest.approx(1.5 - 0.2, abs=2 * FRAME_SECONDS)
    remarks = " ".join(inspect(trimmed(whole)).remarks)
    assert "begins with" not in remarks
    assert "ends with" not in remarks


@pytest.mark.parametrize("ends", [0.0, 0.1, 0.35])
def test_short_ends_are_left_as_they_are(ends: float) -> None:
    clip = speech(ends, ends, -70)
    assert trimmed(clip) is clip


def test_a_soft_consonant_before_the_first_vowel_is_no_silence() -> None:
    clip = speech(0.0, 0.0, -80)
    soft = passages([(2.0, -80), (0.5, -50)])
    whole = AudioChunk(np.concatenate([soft.samples, clip.samples]), RATE)
    start, _ = cut_off(whole, trimmed(whole))
    assert len(start) / RATE == pytest.approx(2.0 - 0.2, abs=2 * FRAME_SECONDS)


def test_a_click_is_not_what_a_clip_is_measured_by() -> None:
    clip = speech(2.0, 2.0, -70, level_dbfs=-45)
    clip.samples[len(clip.samples) // 2] = 1.0
    start, end = cut_off(clip, trimmed(clip))
    assert min(len(start), len(end)) > 1.7 * RATE


def test_recorded_noise_as_loud_as_speech_is_left_alone() -> None:
    clip = speech(2.0, 2.0, -32)
    assert trimmed(clip) is clip


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(1), np.zeros(3 * RATE), np.full(3 * RATE, 0.5), noise(3.0, -75), noise(0.3, -20)]
)
def test_where_nobody_speaks_nothing_is_taken_off(samples: Samples) -> None:
    clip = AudioChunk(samples.astype(np.float32), RATE)
    assert trimmed(clip) is clip


def test_a_spoken_clip_keeps_every_sound() -> None:
    clip = decode(spoken_wav())
    silent = np.zeros(clip.sample_rate, np.float32)
    whole = AudioChunk(np.concatenate([silent, clip.samples, silent]), clip.sample_rate)
    start, end = cut_off(whole, trimmed(whole))
    assert not start.any()
    assert np.abs(end).max() < 1e-3
    assert trimmed(clip) is clip
