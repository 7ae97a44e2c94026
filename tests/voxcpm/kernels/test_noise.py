"""Noise that is drawn for many rows at once: each row gets the noise of its own seed, and on a GPU that of torch."""

import pytest
import torch
from torch import Tensor

from tests.voxcpm.kernels.interpreted import DTYPES, KERNELS, ON_GPU, check_close, choose_interpreter, on_device
from voxcli.voxcpm.kernels.ops import draw_noise, philox
from voxcli.voxcpm.runtime.stream_state import can_draw_noise

SEEDS = [7, 0, 1 << 40 | 5, 2**63 - 1]


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    choose_interpreter(monkeypatch)


def arguments(dtype: torch.dtype = torch.float32, seeds: list[int] = SEEDS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return noise of zeros, seeds, counts, and the rows that are due: all but the second."""
    due = torch.tensor([True, False, True, True])[: len(seeds)]
    counts = torch.tensor([0, 3, 5, 1])[: len(seeds)]
    return torch.zeros(len(seeds), 24, 4, dtype=dtype), torch.tensor(seeds), counts, due


@pytest.mark.parametrize(
    ("counter", "seed", "words"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, -1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(counter: tuple[int, ...], seed: int, words: tuple[int, ...]) -> None:
    """Those of the test vectors of Random123."""
    a, b, c, d = (torch.tensor(word) for word in counter)
    assert tuple(map(int, philox((a, b, c, d), torch.tensor(seed)))) == words


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_draws_what_its_twin_draws(dtype: torch.dtype) -> None:
    given = arguments(dtype)
    there = on_device(given)
    KERNELS["draw_noise"](*there)
    draw_noise(*given)
    check_close(there[0], given[0])
    assert there[2].tolist() == given[2].tolist() == [1, 3, 6, 2]


def test_a_row_that_is_not_due_stays_as_it_is() -> None:
    noise, seeds, counts, due = arguments()
    noise.fill_(5)
    draw_noise(noise, seeds, counts, due)
    assert noise[1].eq(5).all()
    assert not noise[[0, 2, 3]].eq(5).any()
    assert counts.tolist() == [1, 3, 6, 2]


def test_each_row_depends_on_its_seed_and_count_alone() -> None:
    noise, seeds, counts, due = arguments()
    draw_noise(noise, seeds, counts, due)
    for row in (0, 2, 3):
        alone, seed = torch.zeros(1, 24, 4), torch.tensor([SEEDS[row]])
        draw_noise(alone, seed, counts[row, None] - 1, torch.tensor([True]))
        assert torch.equal(alone[0], noise[row])


def test_the_noise_is_normal_and_no_two_draws_are_alike() -> None:
    noise, seeds = torch.zeros(2, 64, 256), torch.tensor([1, 2])
    counts, due = torch.zeros(2, dtype=torch.int64), torch.tensor([True, True])
    draw_noise(noise, seeds, counts, due)
    first = noise.clone()
    draw_noise(noise, seeds, counts, due)
    rows = torch.cat((first, noise)).flatten(1)
    assert rows.mean(1).abs().max() < 0.03
    assert (rows.std(1) - 1).abs().max() < 0.02
    assert (torch.corrcoef(rows) - torch.eye(4)).abs().max() < 0.04


@pytest.mark.cuda
@pytest.mark.skipif(not ON_GPU, reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(64, 4), (64, 2)])
def test_on_a_gpu_it_is_the_noise_of_torch(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    assert can_draw_noise(torch.device("cuda"), dtype, shape)


def test_without_kernels_torch_draws_for_one_stream_after_the_other() -> None:
    assert not can_draw_noise(torch.device("cpu"), torch.float32, (64, 4))
