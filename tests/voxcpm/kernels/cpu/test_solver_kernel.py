"""The solver's kernel generates the patches that the plain solver generates, for each stream by itself."""

import copy
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.targets import find_target
from voxcli.voxcpm.network import cpu_solver, cpu_stack
from voxcli.voxcpm.network.block_matrix import FloatMatrix
from voxcli.voxcpm.network.config import RopeConfig, StackConfig
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.local_dit import LocalDiT, Solver, new_time_grid

CONFIG = StackConfig(64, 288, 3, 4, 2, 32, 1e-5, 1.0, RopeConfig(10000.0, (1.0,) * 16, 1.0))
WIDTH, CPU = 20, torch.device("cpu")
"""Values of a frame."""
HERE = find_target()
FOUND = [one for one in (HERE.int8, HERE.bf16) if one] if HERE else []
TOLERANCES = {"int8": 0.03, "bf16": 0.01, "wide_bf16": 1e-5, "float16": 5e-3}
"""Relative, as for a stack. A wrong span, guidance or time is more than a tenth off."""

pytestmark = pytest.mark.skipif(not FOUND, reason="kernels cannot be compiled here")


@pytest.fixture(params=FOUND, ids=lambda one: one.name)
def arithmetic(request: pytest.FixtureRequest) -> Arithmetic:
    found: Arithmetic = request.param
    return found


@pytest.fixture(params=[False, True], ids=["time is added", "time is a token"])
def plain(request: pytest.FixtureRequest, arithmetic: Arithmetic) -> LocalDiT:
    """A local DiT of random weights, packed for the kernel."""
    dit = LocalDiT(CONFIG, WIDTH, time_is_a_token=request.param, mean_mode=False)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in dit.named_parameters():
            scale = 0.1 if parameter.ndim == 1 else parameter.size(-1) ** -0.5
            parameter.normal_(float("norm" in name), scale, generator=generator)
        for name, module in dit.named_modules():
            if isinstance(module, Linear):
                module.pack(cpu_stack._FORMS[arithmetic.name] if ".layers." in name else FloatMatrix)
    dit.decoder.prepare(CPU, 16)
    return dit.requires_grad_(False)


@pytest.fixture
def dit(plain: LocalDiT) -> LocalDiT:
    """The same with its kernel."""
    with_kernel = copy.deepcopy(plain)
    with_kernel.use_kernel(Path(os.environ["VOXCLI_KERNELS"]))
    assert with_kernel._solver
    return with_kernel


STEPS, GUIDANCE = (10, 4, 7), (2.0, 1.0, 3.0)
"""Of the streams."""


def solved(dit: LocalDiT, streams: slice = slice(None), frames: int = 4, steps: tuple[int, ...] = STEPS) -> Tensor:
    """Generate the patches of some streams, (B, frames, WIDTH)."""
    generator = torch.Generator().manual_seed(5)
    count = 2 if dit._time_is_a_token else 1
    hidden, previous, noise = (
        torch.randn(len(STEPS), *shape, generator=generator)
        for shape in ((count, CONFIG.hidden), (frames, WIDTH), (frames, WIDTH))
    )
    solvers = []
    for number, guidance in list(zip(steps, GUIDANCE, strict=True))[streams]:
        grid = new_time_grid(number, CPU, torch.float32)
        times = dit.embed_times(grid.times, grid.spans).unsqueeze(1)
        solvers.append(Solver(times, grid.spans.unsqueeze(1), torch.full((1,), guidance)))
    condition = dit.new_condition(len(solvers), frames, hidden)
    dit.set_condition(condition, hidden[streams], previous[streams])
    return dit.solve(noise[streams], condition, Solver.of(solvers))


@pytest.mark.parametrize("frames", [2, 4])
def test_it_is_the_plain_solver(plain: LocalDiT, dit: LocalDiT, arithmetic: Arithmetic, frames: int) -> None:
    found, expected = solved(dit, frames=frames), solved(plain, frames=frames)
    assert not torch.equal(found, expected)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= TOLERANCES[arithmetic.name] * other.norm()


def test_a_stream_does_not_depend_on_others(dit: LocalDiT, monkeypatch: pytest.MonkeyPatch) -> None:
    together = solved(dit)
    for number in range(len(STEPS)):
        assert torch.equal(solved(dit, slice(number, number + 1))[0], together[number])
    monkeypatch.setattr(cpu_solver, "MOST_ROWS", 40)
    assert torch.equal(solved(dit), together)


def test_the_number_of_threads_changes_nothing(dit: LocalDiT) -> None:
    before, expected = torch.get_num_threads(), solved(dit)
    try:
        for threads in (1, 3, 5):
            torch.set_num_threads(threads)
            assert torch.equal(solved(dit), expected)
    finally:
        torch.set_num_threads(before)


def test_a_single_step_leaves_the_noise_as_it_is(plain: LocalDiT, dit: LocalDiT) -> None:
    assert torch.equal(solved(dit, steps=(1, 1, 1)), solved(plain, steps=(1, 1, 1)))
