"""The network that tells in which direction noise becomes a patch: a small diffusion transformer."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import euler_step
from voxcli.voxcpm.network.config import StackConfig
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.transformer import Stack

_TIME_SCALE = 1000.0
_LONGEST_PERIOD = 10000.0


@dataclass(frozen=True, slots=True)
class Condition:
    """What stays the same while one patch is made."""

    guides: Tensor
    """(2B, tokens, hidden): what the language models want; zeros in the second half, which shall not know."""
    previous: Tensor
    """(2B, P, hidden): the patch before, embedded."""


class LocalDiT(nn.Module):
    """Sees guides, time, the previous patch and the noisy one; answers for the noisy one."""

    def __init__(self, config: StackConfig, latent_dim: int, *, time_is_a_token: bool) -> None:
        """time_is_a_token: or else it is added to the guide, as VoxCPM-0.5B and 1.5 do."""
        super().__init__()
        self.in_proj = Linear(latent_dim, config.hidden)
        self.cond_proj = Linear(latent_dim, config.hidden)
        self.out_proj = Linear(config.hidden, latent_dim)
        self.time_mlp = _TimeMLP(config.hidden)
        self.delta_time_mlp = _TimeMLP(config.hidden)
        self.decoder = Stack(config)
        self._hidden = config.hidden
        self._time_is_a_token = time_is_a_token

    def embed_times(self, times: Tensor) -> Tensor:
        """Embed points of time, (N,), as (N, hidden). The model's second clock always stands at zero."""
        embedded: Tensor = self.time_mlp(_sinusoids(times, self._hidden))
        still: Tensor = self.delta_time_mlp(_sinusoids(torch.zeros_like(times[:1]), self._hidden))
        return embedded + still

    def embed_previous(self, patch: Tensor) -> Tensor:
        """Embed the patch before, (B, P, D), as (B, P, hidden)."""
        embedded: Tensor = self.cond_proj(patch)
        return embedded

    def forward(self, x: Tensor, condition: Condition, times: Tensor) -> Tensor:
        """Return dx/dt of noisy patches, (2B, P, D): of each once with the guides, and once without.

        Args:
            x: (B, P, D).
            times: (2B, 1, hidden), each one of `embed_times`.
        """
        told = (condition.guides, times) if self._time_is_a_token else (condition.guides + times,)
        tokens = torch.cat((*told, condition.previous, self.in_proj(x).repeat(2, 1, 1)), 1)
        hidden = self.decoder(tokens)[:, -x.size(1) :]
        velocity: Tensor = self.out_proj(hidden)
        return velocity


class _TimeMLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = Linear(width, width)
        self.linear_2 = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear_2(functional.silu(self.linear_1(x)))
        return y


def _sinusoids(times: Tensor, width: int) -> Tensor:
    """Sines and cosines of falling frequency, (N, width), in the precision of `times` as the model was trained."""
    half = width // 2
    step = math.log(_LONGEST_PERIOD) / (half - 1)
    frequencies = torch.exp(torch.arange(half, dtype=times.dtype, device=times.device) * -step)
    angles = _TIME_SCALE * times.unsqueeze(1) * frequencies
    return torch.cat((angles.sin(), angles.cos()), -1)


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
