"""The laws of the flow, on fields whose answer is known."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.checkpoints.configs import config_of
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels.ops import euler_step
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.network.local_dit import TimeGrid, new_time_grid, solve_euler
from voxcli.voxcpm.weights.checkpoint import load_backbone

CPU = torch.device("cpu")


def grid_of(steps: int) -> TimeGrid:
    return new_time_grid(steps, CPU, torch.float32)


@given(st.integers(2, 100))
def test_the_grid_falls_from_noise_to_data_and_ends_there(steps: int) -> None:
    grid = grid_of(steps)
    times, spans = grid.times.tolist(), grid.spans.tolist()
    assert times == sorted(times, reverse=True)
    assert all(span > 0 for span in spans)
    assert times[-1] - spans[-1] == pytest.approx(0, abs=1e-6)


@given(st.integers(1, 100))
def test_at_first_nothing_moves_so_ten_steps_are_nine_evaluations(steps: int) -> None:
    assert len(grid_of(steps).times) == steps - max(1, math.floor((steps + 1) * 0.04))


@pytest.mark.parametrize(
    ("family", "changes"),
    [("voxcpm-1.5", {"dit_mean_mode": True}), ("voxcpm-2", {"dit_config": {"dit_mean_mode": True}})],
)
def test_in_mean_mode_the_network_is_told_the_length_of_each_step(
    tmp_path: Path, checkpoints: Callable[[str], Path], family: str, changes: dict[str, Any]
) -> None:
    folder = shutil.copytree(checkpoints(family), tmp_path / "model")
    plain = load_backbone(folder, read_config(folder), Placement(CPU, torch.float32))
    (folder / "config.json").write_text(json.dumps(config_of(family, "tiny", changes)), "utf-8")
    mean = load_backbone(folder, read_config(folder), Placement(CPU, torch.float32))
    grid = grid_of(10)
    dit = mean.feat_decoder
    with torch.inference_mode():
        usual, told = (network.new_solver(10, 2.0).times[:, 0] for network in (plain, mean))
        still = dit.embed_times(torch.zeros(1), torch.zeros(1))
        for number in range(len(grid.times)):
            # The embedding of a time and that of a length are added, so each can be taken alone.
            length = dit.embed_times(torch.zeros(1), grid.spans[number : number + 1]) - still
            assert length.abs().max() > 1e-3
            torch.testing.assert_close(told[number : number + 1], usual[number : number + 1] + length)


def guided(positive: Tensor, negative: Tensor, guidance: float) -> Tensor:
    """Return where a step leads from the origin, the other way round."""
    rows = len(positive)
    led = euler_step(
        torch.zeros_like(positive), torch.cat((positive, negative)), torch.ones(rows), torch.full((rows,), guidance)
    )
    return -led


def test_a_steady_flow_is_followed_exactly() -> None:
    grid = grid_of(10)
    noise, direction = torch.randn(2, 4, 16), torch.randn(2, 4, 16)
    spans = grid.spans.unsqueeze(1).expand(-1, 2)
    arrived = solve_euler(lambda x, number: torch.cat((direction, direction)), noise, spans, torch.ones(2))
    torch.testing.assert_close(arrived, noise - grid.times[0] * direction, atol=1e-5, rtol=1e-5)


def test_a_row_that_needs_fewer_evaluations_stands_still_in_the_last_ones() -> None:
    few, many = grid_of(4).spans, grid_of(10).spans
    noise = torch.randn(2, 4, 16)

    def field(x: Tensor, number: int) -> Tensor:
        return torch.cat((x.sin() * (number + 1), x.cos()))

    spans = torch.stack((torch.cat((few, torch.zeros(len(many) - len(few)))), many), 1)
    together = solve_euler(field, noise, spans, torch.tensor([2.0, 1.5]))
    for row, (own, guidance) in enumerate(((few, 2.0), (many, 1.5))):
        alone = solve_euler(field, noise[row : row + 1], own.unsqueeze(1), torch.tensor([guidance]))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_with_a_guidance_of_one_the_guides_alone_lead() -> None:
    positive, negative = torch.randn(3, 4, 16), torch.randn(3, 4, 16)
    torch.testing.assert_close(guided(positive, negative, 1.0), positive, atol=1e-5, rtol=1e-5)


def test_where_the_guides_change_nothing_guidance_changes_nothing() -> None:
    positive = torch.randn(3, 4, 16)
    torch.testing.assert_close(guided(positive, positive, 3.0), positive, atol=1e-5, rtol=1e-5)


def test_each_row_is_guided_by_itself() -> None:
    positive, negative = torch.randn(3, 4, 16), torch.randn(3, 4, 16)
    alone: Tensor = guided(positive[1:2], negative[1:2], 2.0)
    torch.testing.assert_close(guided(positive, negative, 2.0)[1:2], alone)
