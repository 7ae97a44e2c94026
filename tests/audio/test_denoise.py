import logging
import math
import sys
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.denoise import denoised, without_noise
from voxcli.audio.loudness import levelled, loudness
from voxcli.audio.resample import resampled_whole
from voxcli.engines import open_engine
from voxcli.errors import ModelError
from voxcli.synthesis.request import SynthesisRequest

ENGLISH = (
    "The north wind and the sun were disputing which was the stronger, when a traveler came along wrapped in a warm "
    "cloak. They agreed that the one who first made the traveler take his cloak off should be considered the stronger."
)
BREATHLESS = "北风和太阳正在争论谁比较有本事这时候来了一个走路的人他身上穿着一件厚大衣他们俩就说好了谁能先叫他脱下来"
RATES = [8000, 22050, 48000]


@pytest.fixture(autouse=True)
def without_modelscope() -> None:
    if find_spec("modelscope"):
        pytest.skip("ZipEnhancer would be downloaded")


@cache
def speech(text: str, rate: int) -> AudioChunk:
    with closing(open_engine("espeak")) as engine, closing(engine.stream(SynthesisRequest(text=text))) as chunks:
        made = list(chunks)
    whole = AudioChunk(np.concatenate([chunk.samples for chunk in made]), made[0].sample_rate)
    return resampled_whole(whole, rate)


def noise(kind: str, count: int, rate: int) -> Samples:
    white = np.random.default_rng(7).normal(size=count)
    if kind == "fan":
        frequencies = np.fft.rfftfreq(count, 1 / rate)
        return np.fft.irfft(np.fft.rfft(white) / (1 + (frequencies / 300) ** 2), count).astype(np.float32)
    if kind == "hum":
        time = np.arange(count) / rate
        white = 0.02 * white + sum(np.sin(2 * np.pi * 50 * k * time + k) / k for k in range(1, 12))
    return white.astype(np.float32)


def noisy(clean: AudioChunk, kind: str, snr_db: float = 10) -> AudioChunk:
    added = noise(kind, len(clean.samples), clean.sample_rate)
    added *= math.sqrt(np.mean(clean.samples**2) / np.mean(added**2) / 10 ** (snr_db / 10))
    return AudioChunk(clean.samples + added, clean.sample_rate)


def si_sdr(wanted: Samples, heard: Samples) -> float:
    """The scale-invariant ratio of signal to distortion, in dB (Le Roux et al. 2019)."""
    signal, heard = wanted.astype(np.float64), heard.astype(np.float64)
    signal *= (signal @ heard) / (signal @ signal)
    return float(10 * np.log10((signal @ signal) / ((heard - signal) @ (heard - signal) + 1e-30)))


@pytest.mark.parametrize("text", [ENGLISH, BREATHLESS], ids=["english", "breathless"])
@pytest.mark.parametrize("rate", RATES)
def test_clean_speech_comes_through(text: str, rate: int) -> None:
    clean = speech(text, rate)
    assert si_sdr(clean.samples, denoised(clean).samples) > 32


@pytest.mark.parametrize("text", [ENGLISH, BREATHLESS], ids=["english", "breathless"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("kind", "gained_db"), [("white", 3.5), ("fan", 2.5), ("hum", 4.5)])
def test_steady_noise_gets_less(text: str, rate: int, kind: str, gained_db: float) -> None:
    clean = speech(text, rate)
    assert si_sdr(clean.samples, denoised(noisy(clean, kind)).samples) > 10 + gained_db


def test_a_little_hiss_gets_less_too() -> None:
    clean = speech(ENGLISH, 48000)
    assert si_sdr(clean.samples, denoised(noisy(clean, "white", 20)).samples) > 24


def test_noise_in_a_pause_is_turned_down_by_ten_decibels_and_more() -> None:
    quiet = AudioChunk(np.concatenate([np.zeros(48000, np.float32), speech(ENGLISH, 48000).samples]), 48000)
    before = noisy(quiet, "white")
    after = without_noise(before.samples, 48000)
    assert np.std(after[12000:36000]) < np.std(before.samples[12000:36000]) / 10**0.5


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000])
@pytest.mark.parametrize("count", [0, 1, 2, 79, 1000, 30000])
def test_as_many_samples_come_out_as_went_in(rate: int, count: int) -> None:
    samples = np.clip(np.random.default_rng(1).normal(0, 0.3, count), -1, 1).astype(np.float32)
    out = denoised(AudioChunk(samples, rate))
    assert out.sample_rate == rate
    assert out.samples.dtype == np.float32
    assert out.samples.shape == (count,)


@pytest.mark.parametrize("block", [8, 200, 8000])
def test_how_much_is_worked_on_at_once_makes_no_difference(block: int) -> None:
    sound = noisy(speech(ENGLISH, 16000), "white")
    np.testing.assert_allclose(
        without_noise(sound.samples, 16000, block), without_noise(sound.samples, 16000), rtol=0, atol=1e-6
    )


def test_silence_stays_silent() -> None:
    assert not denoised(AudioChunk(np.zeros(50000, np.float32), 24000)).samples.any()


@settings(deadline=None, max_examples=100)
@given(arrays(np.float32, st.integers(0, 4000), elements=st.floats(width=32)), st.sampled_from([8000, 22050, 48000]))
def test_whatever_comes_in_numbers_within_full_scale_come_out(samples: Samples, rate: int) -> None:
    out = denoised(AudioChunk(samples, rate)).samples
    assert np.isfinite(out).all()
    assert np.abs(out).max(initial=0) <= 1


def test_a_clipped_recording_stays_within_full_scale() -> None:
    loud = AudioChunk(np.clip(20 * speech(ENGLISH, 16000).samples, -1, 1), 16000)
    assert np.abs(denoised(loud).samples).max() <= 1


@pytest.mark.parametrize("gain", [0.01, 0.3])
def test_however_soft_a_clip_is_it_comes_out_at_one_loudness(gain: float) -> None:
    clean = noisy(speech(ENGLISH, 16000), "white")
    out = denoised(clean)
    softer = denoised(AudioChunk(clean.samples * np.float32(gain), 16000))
    np.testing.assert_allclose(softer.samples, out.samples, rtol=0, atol=1e-4)
    assert loudness(out) == pytest.approx(-20, abs=0.05) or np.abs(out.samples).max() == pytest.approx(0.99)


PIPELINES = """
import soundfile

def pipeline(task, model):
    assert (task, model) == ("acoustic-noise-suppression", "iic/speech_zipenhancer_ans_multiloss_16k_base")
    def run(noisy, output_path):
        samples, rate = soundfile.read(noisy)
        if not samples.any():
            raise RuntimeError("no speech")
        soundfile.write(output_path, samples[:: rate // 16000], 16000)
    return run
"""


@pytest.fixture
def modelscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package called modelscope, which is found but can do nothing yet."""
    package = tmp_path / "modelscope"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    names = ["modelscope", "modelscope.pipelines", "modelscope.utils", "modelscope.utils.constant"]
    for name in [*names, "voxcli.audio.zipenhancer"]:
        monkeypatch.setitem(sys.modules, name, None)  # so that what the test imports is forgotten after it
        del sys.modules[name]
    return package


def add_pipelines(modelscope: Path) -> None:
    (modelscope / "pipelines.py").write_text(PIPELINES)
    (modelscope / "utils").mkdir()
    (modelscope / "utils" / "__init__.py").touch()
    (modelscope / "utils" / "constant.py").write_text(
        "class Tasks:\n    acoustic_noise_suppression = 'acoustic-noise-suppression'\n"
    )


def test_the_network_of_modelscope_is_asked_where_there_is_one(modelscope: Path) -> None:
    add_pipelines(modelscope)
    clean = speech(ENGLISH, 48000)
    out = denoised(clean)
    assert out.sample_rate == 16000
    wanted = levelled(AudioChunk(clean.samples[::3], 16000), -20)
    np.testing.assert_allclose(out.samples, wanted.samples, rtol=0, atol=1e-3)


def test_a_network_that_fails_is_a_model_error(modelscope: Path) -> None:
    add_pipelines(modelscope)
    with pytest.raises(ModelError, match="failed: no speech"):
        denoised(AudioChunk(np.zeros(1000, np.float32), 16000))


def test_a_modelscope_that_lacks_parts_is_passed_over_with_a_warning(
    modelscope: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean = speech(ENGLISH, 48000)
    with caplog.at_level(logging.WARNING):
        assert denoised(clean).sample_rate == 48000
    assert "lacks a dependency of ZipEnhancer" in caplog.text
