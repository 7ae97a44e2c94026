import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.clip_quality import ClipReport, inspect
from voxcli.audio.pcm import silence

RATE = 24000


def speech(seconds: float = 10.0, level_dbfs: float = -20.0) -> Samples:
    """Bursts of noise, three a second with pauses between, at the given level while they sound."""
    time = np.arange(round(seconds * RATE)) / RATE
    bursts = np.random.default_rng(0).normal(0, 1, len(time)) * (time * 3 % 1 < 0.7)
    return (10 ** (level_dbfs / 20) * bursts + noise(len(time), -70)).astype(np.float32)


def noise(count: int, level_dbfs: float) -> Samples:
    return (10 ** (level_dbfs / 20) * np.random.default_rng(1).normal(0, 1, count)).astype(np.float32)


def remarks(samples: Samples, rate: int = RATE) -> str:
    return "\n".join(inspect(AudioChunk(samples, rate)).remarks)


@pytest.mark.parametrize("seconds", [5.0, 10.0, 29.0])
@pytest.mark.parametrize("level_dbfs", [-30.0, -25.0, -20.0])
def test_a_good_clip_earns_no_remark(seconds: float, level_dbfs: float) -> None:
    assert remarks(speech(seconds + 0.1, level_dbfs)) == ""


def test_levels_and_times_are_measured() -> None:
    quiet = noise(2 * RATE, -70)
    report = inspect(AudioChunk(np.concatenate([quiet, speech(9.9, -20), quiet]), RATE))
    assert report.seconds == pytest.approx(13.9)
    assert report.speech_dbfs == pytest.approx(-20, abs=1)
    assert report.noise_dbfs == pytest.approx(-70, abs=1)
    assert report.snr_db == pytest.approx(50, abs=2)
    assert report.leading_silence_seconds == pytest.approx(2, abs=0.1)
    assert report.trailing_silence_seconds == pytest.approx(2, abs=0.1)
    assert report.clipped_fraction == 0


def test_digital_silence_around_a_clip_does_not_hide_the_noise_within() -> None:
    padded = speech() + noise(10 * RATE, -33)
    padded[: 2 * RATE] = padded[-2 * RATE :] = 0
    assert "noisy" in remarks(padded)


def test_digital_silence_between_words_is_as_quiet_as_pauses_get() -> None:
    samples = speech()
    samples[np.arange(len(samples)) / RATE * 3 % 1 > 0.7] = 0
    assert inspect(AudioChunk(samples, RATE)).noise_dbfs == -96
    assert remarks(samples) == ""


def test_too_short_a_clip_is_told_so() -> None:
    assert "too short: 2." in remarks(speech(2.5))


def test_a_short_clip_is_told_that_more_is_better() -> None:
    assert "It is short: " in remarks(speech(4.0))


def test_pauses_around_it_do_not_make_a_clip_longer() -> None:
    quiet = noise(5 * RATE, -70)
    assert "too short: 1." in remarks(np.concatenate([quiet, speech(1.9), quiet]))


def test_too_long_a_clip_is_told_so() -> None:
    assert "It is long: " in remarks(speech(45))


def test_clipping_is_heard() -> None:
    assert "distorted" in remarks(np.clip(speech(level_dbfs=-6), -1, 1))


def test_full_scale_reached_now_and_then_is_no_clipping() -> None:
    samples = speech()
    samples /= np.abs(samples).max()
    assert "distorted" not in remarks(samples)


def test_silence_at_either_end_is_told_with_its_length() -> None:
    quiet = noise(2 * RATE, -70)
    assert "begins with 2." in remarks(np.concatenate([quiet, speech()]))
    assert "ends with 2." in remarks(np.concatenate([speech(9.9), np.zeros_like(quiet)]))


def test_a_quiet_clip_is_told_so() -> None:
    assert "It is quiet: " in remarks(speech(level_dbfs=-45))


def test_a_loud_clip_is_told_so() -> None:
    assert "very loud" in remarks(np.clip(speech(level_dbfs=-3) * 0.5, -0.7, 0.7) * 1.4)


def test_a_noisy_clip_is_told_so() -> None:
    assert "noisy: speech is only 15 dB" in remarks(speech() + noise(10 * RATE, -35))
    assert remarks(speech() + noise(10 * RATE, -50)) == ""


def test_a_telephone_is_recognised_by_its_rate() -> None:
    assert "telephone: 8000 Hz" in remarks(speech(), 8000)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(1), np.zeros(RATE * 5), np.full(RATE * 5, 0.5), noise(RATE * 5, -80)],
)
def test_silence_is_called_silence_and_nothing_else(samples: Samples) -> None:
    (only,) = inspect(AudioChunk(samples.astype(np.float32), RATE)).remarks
    assert "silent" in only


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.float32, st.integers(0, 3000), elements=st.floats(allow_nan=False, width=32)),
    st.sampled_from([1, 8000, 48000]),
)
def test_any_samples_can_be_inspected(samples: Samples, rate: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = inspect(AudioChunk(samples, rate))
    check_consistent(report)


def test_a_report_of_silence_is_consistent() -> None:
    check_consistent(inspect(silence(3.0, RATE)))


def check_consistent(report: ClipReport) -> None:
    assert -96 <= report.speech_dbfs <= 0
    assert -96 <= report.noise_dbfs <= 0
    assert 0 <= report.clipped_fraction <= 1
    assert report.leading_silence_seconds >= 0
    assert report.trailing_silence_seconds >= 0
    assert all(remark.endswith(".") for remark in report.remarks)


def test_a_dc_offset_is_named() -> None:
    assert "DC offset of 10%" in remarks(speech() + 0.1)
    assert "DC" not in remarks(speech() + 0.001)


def test_a_recording_without_room_for_a_voice_is_only_called_that() -> None:
    report = inspect(AudioChunk(speech()[:12], RATE))
    assert report.empty
    assert report.remarks == ("It has 0.5 ms of sound: no voice is in it. Record 5 to 30 s.",)
