"""Sinc resampling: exact at any pair of rates, in bounded memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from voxcli.voxcpm.codec.resampling import sinc_resampled

ODD_RATES = [8191, 11027, 44099]
USUAL_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]


def noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(0, 0.2, count).astype(np.float32)


def evaluated(samples: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float64]:
    """Evaluate the windowed sinc at every output, in float64 and without any shortcut."""
    cutoff = 0.99 * min(from_rate, to_rate)
    outputs = np.arange(-(-len(samples) * to_rate // from_rate)) / to_rate
    times = np.clip((np.arange(len(samples)) / from_rate - outputs[:, None]) * cutoff, -6, 6)
    weights = np.sinc(times) * np.cos(times * np.pi / 12) ** 2 * (cutoff / from_rate)
    return weights @ samples.astype(np.float64)


@pytest.mark.parametrize("to_rate", [16000, 44100])
@pytest.mark.parametrize("from_rate", [1, 7, *ODD_RATES, 22255, 44101, 191999, 1_000_003, 10_000_019])
def test_any_pair_of_rates_gives_the_exact_samples(from_rate: int, to_rate: int) -> None:
    samples = noise(max(1, min(700, from_rate)))
    right = evaluated(samples, from_rate, to_rate)
    made = sinc_resampled(samples, from_rate, to_rate)
    assert (made.dtype, made.shape) == (np.float32, right.shape)
    assert np.abs(made - right).max() < 2e-6


@pytest.mark.parametrize("from_rate", ODD_RATES)
def test_more_than_one_second_is_exact_too(from_rate: int) -> None:
    samples = noise(2 * from_rate + 99)
    made, right = sinc_resampled(samples, from_rate, 16000), evaluated(samples[: from_rate // 16], from_rate, 16000)
    assert len(made) == -(-len(samples) * 16000 // from_rate)
    assert np.abs(made[:950] - right[:950]).max() < 2e-6
    shifted = sinc_resampled(samples[from_rate:], from_rate, 16000)
    assert np.abs(made[16100:] - shifted[100:]).max() < 2e-6


@pytest.mark.parametrize("to_rate", [16000, 44100])
@pytest.mark.parametrize("from_rate", USUAL_RATES)
def test_usual_rates_give_the_reference_bit_for_bit(from_rate: int, to_rate: int) -> None:
    """The reference convolves with one dense kernel in float32, whose sums another order would round otherwise."""
    if from_rate == to_rate:
        return
    samples = noise(3001)
    divisor = np.gcd(from_rate, to_rate)
    stride, phases = int(from_rate // divisor), int(to_rate // divisor)
    cutoff = min(stride, phases) * 0.99
    width = int(np.ceil(6 * stride / cutoff))
    taps = torch.arange(-width, width + stride, dtype=torch.float64) / stride
    times = ((taps - torch.arange(phases, dtype=torch.float64).unsqueeze(1) / phases) * cutoff).clamp(-6, 6)
    kernels = torch.sinc(times) * torch.cos(times * np.pi / 12) ** 2 * (cutoff / stride)
    padded = functional.pad(torch.from_numpy(samples), (width, width + stride)).view(1, 1, -1)
    right = functional.conv1d(padded, kernels.float().unsqueeze(1), stride=stride)[0].T.reshape(-1).numpy()
    made = sinc_resampled(samples, from_rate, to_rate)
    np.testing.assert_array_equal(made, right[: len(made)])


@pytest.mark.parametrize("to_rate", [16000, 44100])
def test_unusual_rates_take_no_more_memory_than_usual_ones(to_rate: int) -> None:
    """In a process of its own, whose address space would not hold a dense kernel."""
    program = (
        "import resource, numpy as np, torch\n"
        "from voxcli.voxcpm.codec.resampling import sinc_resampled\n"
        "torch.set_num_threads(1)\n"
        "sinc_resampled(np.zeros(100, np.float32), 48000, 16000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"for rate in {ODD_RATES}:\n"
        f"    sinc_resampled(np.zeros(8000, np.float32), rate, {to_rate})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    resource, limit = pytest.importorskip("resource"), 6 << 30
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert int(run.stdout) < 64_000  # KiB
