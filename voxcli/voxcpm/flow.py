"""From noise to a patch by following a flow: the grid of times, the guidance, Euler's method.

Which network tells the direction is not known here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from voxcli.voxcpm.kernels.ops import euler_step

_STILL_SHARE = 0.04
"""Of the grid's points: at the first ones the flow is taken to stand still (CFG-Zero*, arXiv 2503.18886)."""

Velocity = Callable[[Tensor, int], Tensor]
"""(x, (B, P, D), number of the evaluation) -> dx/dt, (2B, P, D): first all with the guides, then all without."""


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Where the flow is evaluated, and how far each evaluation carries. Both (evaluations,), in the model's dtype."""

    times: Tensor
    spans: Tensor


def new_time_grid(steps: int, device: torch.device, dtype: torch.dtype) -> TimeGrid:
    """Lay out `steps` steps from t=1, noise, to t=0, data; denser near the noise (sway sampling, arXiv 2410.06885).

    Each time is the one before minus the span, rounded as it accumulates, for that is what the reference does.
    The first steps, in which nothing moves, are left out.
    """
    even = torch.linspace(1, 0, steps + 1, device=device, dtype=dtype)
    points = even + (torch.cos(torch.pi / 2 * even) - 1 + even)
    still = max(1, math.floor((steps + 1) * _STILL_SHARE))
    times, spans = [], []
    time, span = points[0], points[0] - points[1]
    for step in range(1, steps + 1):
        times.append(time)
        spans.append(span)
        time = time - span
        if step < steps:
            span = time - points[step + 1]
    moving = slice(still, None)
    return TimeGrid(torch.stack(times)[moving], torch.stack(spans)[moving])


def solve_euler(velocity: Velocity, noise: Tensor, spans: Tensor, guidance: Tensor) -> Tensor:
    """Follow the flow from noise to patches, (B, P, D) both. Each row goes its own way.

    Args:
        spans: (evaluations, B), in the dtype of the noise. A row that needs fewer evaluations than others stands still
            in the last ones, by spans of zero.
        guidance: (B,), in float32.
    """
    x = noise
    for number, span in enumerate(spans):
        x = euler_step(x, velocity(x, number), span, guidance)
    return x
