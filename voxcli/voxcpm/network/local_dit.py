"""Local DiT and flow matching: from noise to a patch of latents.

The local DiT is a small diffusion transformer that predicts the velocity of the flow. The flow is integrated with
Euler's method over a grid of times that is denser near the noise, under classifier-free guidance (CFG-Zero*).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import advance_flow, euler_step
from voxcli.voxcpm.network.block_matrix import FloatMatrix
from voxcli.voxcpm.network.config import StackConfig
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.transformer import Stack

if TYPE_CHECKING:
    from voxcli.voxcpm.network.cpu_solver import CpuSolver

_TIME_SCALE = 1000.0
_LONGEST_PERIOD = 10000.0


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Inputs of the local DiT for B patches, each once with the hidden states and once, unconditionally, without."""

    hidden: Tensor
    """(B, 2, n, hidden): projected hidden states of the language models, and zeros. They stay the same for all steps of
    a patch."""
    tokens: Tensor
    """(B, 2, T, hidden): the transformer's input: hidden states and time, previous patch, noisy patch. What depends on
    the step is written in each."""

    def __getitem__(self, rows: slice) -> "Condition":
        return Condition(self.hidden[rows], self.tokens[rows])


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Times at which the velocity is evaluated, and the length of the step from each. In the model's dtype."""

    times: Tensor
    """(evaluations,); once they are embedded, (evaluations, hidden)."""
    spans: Tensor
    """(evaluations,)."""


class LocalDiT(nn.Module):
    """Predicts the velocity of a noisy patch from the hidden states of the language models and the previous patch."""

    def __init__(self, config: StackConfig, latent_dim: int, *, time_is_a_token: bool, mean_mode: bool) -> None:
        """
        Args:
            config: of the transformer stack.
            latent_dim: width of a latent frame, D.
            time_is_a_token: as in VoxCPM2. Otherwise the time is added to the hidden states.
            mean_mode: also embed the length of each step, which is zero otherwise.
        """
        super().__init__()
        self.in_proj = Linear(latent_dim, config.hidden)
        self.cond_proj = Linear(latent_dim, config.hidden)
        self.out_proj = Linear(config.hidden, latent_dim)
        self.time_mlp = _TimeMLP(config.hidden)
        self.delta_time_mlp = _TimeMLP(config.hidden)
        self.decoder = Stack(config)
        self._hidden = config.hidden
        self._time_is_a_token = time_is_a_token
        self._mean_mode = mean_mode
        self._solver: CpuSolver | None = None

    def use_kernel(self, kept: Path | None) -> None:
        """Compile the CPU kernel for the stack and the solver, if the matrices are packed for it.

        Args:
            kept: folder of compiled code.
        """
        self.decoder.use_kernel(kept)
        into, out = self.in_proj.packed, self.out_proj.packed
        if self.decoder.kernel and isinstance(into, FloatMatrix) and isinstance(out, FloatMatrix):
            from voxcli.voxcpm.network.cpu_solver import CpuSolver  # loads a compiler

            self._solver = CpuSolver(self.decoder.kernel, into, out, 2 if self._time_is_a_token else 0)

    def embed_times(self, times: Tensor, spans: Tensor) -> Tensor:
        """Embed the times of solver steps and, in mean mode, their lengths.

        Args:
            times: (N,).
            spans: (N,).

        Returns:
            (N, hidden).
        """
        embedded: Tensor = self.time_mlp(_sinusoids(times, self._hidden))
        lengths = spans if self._mean_mode else torch.zeros_like(times[:1])
        delta: Tensor = self.delta_time_mlp(_sinusoids(lengths, self._hidden))
        return embedded + delta

    def new_condition(self, batch: int, patch_size: int, like: Tensor) -> Condition:
        """Return the memory for the condition of a batch of patches, zeros on the device and in the dtype of `like`."""
        count = 2 if self._time_is_a_token else 1  # of hidden states
        tokens = (count + 1 if self._time_is_a_token else count) + 2 * patch_size
        return Condition(*(like.new_zeros(batch, 2, positions, self._hidden) for positions in (count, tokens)))

    def set_condition(self, condition: Condition, hidden: Tensor, previous: Tensor) -> None:
        """Write what stays the same for all steps of a patch.

        Args:
            hidden: (B, n, hidden): projected hidden states of the language models.
            previous: (B, P, D): the previous patch.
        """
        frames = previous.size(1)
        condition.hidden[:, 0] = hidden
        if self._time_is_a_token:
            condition.tokens[:, 0, : hidden.size(1)] = hidden
        condition.tokens[:, :, -2 * frames : -frames] = self.cond_proj(previous).unsqueeze(1)

    def forward(self, x: Tensor, condition: Condition, times: Tensor) -> Tensor:
        """Predict dx/dt of noisy patches, with the hidden states and without.

        Args:
            x: (B, P, D).
            times: (B, hidden), from `embed_times`.

        Returns:
            (2B, P, D): all conditional velocities, then all unconditional ones.
        """
        frames, hidden, tokens = x.size(1), condition.hidden, condition.tokens
        times = times[:, None, None]
        if self._time_is_a_token:
            tokens[:, :, hidden.size(2), None] = times
        else:
            torch.add(hidden, times, out=tokens[:, :, :1])
        tokens[:, :, -frames:] = self.in_proj(x).unsqueeze(1)
        newest = self.decoder(tokens.flatten(0, 1))[:, -frames:].unflatten(0, (len(x), 2))
        # In one piece, so that the product adds its bias itself.
        velocity: Tensor = self.out_proj(newest.transpose(0, 1).flatten(0, 1))
        return velocity

    def solve(self, noise: Tensor, condition: Condition, solver: "Solver") -> Tensor:
        """Integrate the flow from noise to patches of latents, (B, P, D) both."""
        if self._solver:
            if not self._time_is_a_token:
                condition.tokens[:, :, :1] = condition.hidden
            given = solver.times, solver.spans, solver.guidance
            return self._solver(noise, condition.tokens, *given, self.decoder.rotary)

        def velocity(x: Tensor, number: int) -> Tensor:
            predicted: Tensor = self(x, condition, solver.times[number])
            return predicted

        return solve_euler(velocity, noise, solver.spans, solver.guidance)

    def take_step(
        self, x: Tensor, condition: Condition, grid: TimeGrid, at: Tensor, ends: Tensor, guidance: Tensor
    ) -> None:
        """Evaluate the flow, and take patches, (B, P, D), one Euler step further, in place.

        Args:
            grid: embedded times, (N, hidden), and step lengths, (N,).
            at, ends, guidance: as for `advance_flow`.
        """
        velocity = self(x, condition, grid.times.index_select(0, at))
        advance_flow(x, velocity, grid.spans, at, ends, guidance)


class _TimeMLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = Linear(width, width)
        self.linear_2 = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear_2(functional.silu(self.linear_1(x)))
        return y


def _sinusoids(times: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding of (N,) as (N, width), in the precision of `times`, as the model was trained."""
    half = width // 2
    step = math.log(_LONGEST_PERIOD) / (half - 1)
    frequencies = torch.exp(torch.arange(half, dtype=times.dtype, device=times.device) * -step)
    angles = _TIME_SCALE * times.unsqueeze(1) * frequencies
    return torch.cat((angles.sin(), angles.cos()), -1)


_ZERO_INIT_SHARE = 0.04
"""Share of the grid's points, from the first, at which the velocity is taken as zero (CFG-Zero*, arXiv 2503.18886)."""

Velocity = Callable[[Tensor, int], Tensor]
"""(x of shape (B, P, D), number of the step) -> dx/dt, (2B, P, D): all conditional, then all unconditional."""


def new_time_grid(steps: int, device: torch.device, dtype: torch.dtype) -> TimeGrid:
    """Divide the way from t=1 (noise) to t=0 (data) into `steps` steps (sway sampling, arXiv 2410.06885).

    Each time is the previous one minus its span, with the accumulated rounding of the reference implementation. The
    first steps, whose velocity is taken as zero, are left out.
    """
    even = torch.linspace(1, 0, steps + 1, device=device, dtype=dtype)
    points = even + (torch.cos(torch.pi / 2 * even) - 1 + even)
    skipped = max(1, math.floor((steps + 1) * _ZERO_INIT_SHARE))
    times, spans = [], []
    time, span = points[0], points[0] - points[1]
    for step in range(1, steps + 1):
        times.append(time)
        spans.append(span)
        time = time - span
        if step < steps:
            span = time - points[step + 1]
    moving = slice(skipped, None)
    return TimeGrid(torch.stack(times)[moving], torch.stack(spans)[moving])


def solve_euler(velocity: Velocity, noise: Tensor, spans: Tensor, guidance: Tensor) -> Tensor:
    """Integrate the flow from noise to patches of latents with Euler steps.

    Args:
        velocity: the field, conditional and unconditional.
        noise: (B, P, D).
        spans: (evaluations, B), in the dtype of the noise. Zeros pad rows with fewer evaluations than others.
        guidance: (B,), in float32.

    Returns:
        Latents, (B, P, D).
    """
    x = noise
    for number, span in enumerate(spans):
        x = euler_step(x, velocity(x, number), span, guidance)
    return x


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """Solver settings of B streams: times, step lengths and guidance."""

    times: Tensor
    """(evaluations, B, hidden): embedded times."""
    spans: Tensor
    """(evaluations, B): step lengths."""
    guidance: Tensor
    """(B,), in float32."""

    @classmethod
    def of(cls, solvers: list["Solver"]) -> "Solver":
        """Join the rows, padding those with fewer evaluations by steps of length zero."""
        longest = max(len(solver.spans) for solver in solvers)
        times = [_padded(solver.times, longest) for solver in solvers]
        spans = [_padded(solver.spans, longest) for solver in solvers]
        return cls(torch.cat(times, 1), torch.cat(spans, 1), torch.cat([solver.guidance for solver in solvers]))


def _padded(evaluations: Tensor, count: int) -> Tensor:
    missing = count - len(evaluations)
    return torch.cat((evaluations, evaluations.new_zeros(missing, *evaluations.shape[1:]))) if missing else evaluations
