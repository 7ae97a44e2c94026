"""The solver of the flow on a CPU: one call of the local DiT's kernel generates a patch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.solver import SolverArgument
from voxcli.voxcpm.network.block_matrix import FloatMatrix
from voxcli.voxcpm.network.cpu_stack import MOST_ROWS, CpuStack


@dataclass(frozen=True, slots=True)
class SolverInputs:
    """What the patches of B streams are generated from."""

    tokens: Tensor
    """(B, 2, T, hidden): the stack's inputs that stay the same. The last ones, of the noisy patch, are not read."""
    times: Tensor
    """(evaluations, B, hidden): what is added to one of the tokens."""
    spans: Tensor
    """(evaluations, B): step lengths."""
    guidance: Tensor
    """(B,)."""

    def __getitem__(self, rows: slice) -> "SolverInputs":
        return SolverInputs(self.tokens[rows], self.times[:, rows], self.spans[:, rows], self.guidance[rows])

    def by_argument(self) -> dict[SolverArgument, Tensor]:
        return {
            SolverArgument.TOKENS: self.tokens,
            SolverArgument.TIMES: self.times,
            SolverArgument.SPANS: self.spans,
            SolverArgument.GUIDANCE: self.guidance,
        }


class CpuSolver:
    """The solver of one local DiT. One thread at a time may call it."""

    def __init__(self, kernel: CpuStack, into: FloatMatrix, out: FloatMatrix, time_place: int) -> None:
        """
        Args:
            kernel: of the stack.
            into, out: the projections of frames to the stack's input, and of its output to velocities.
            time_place: the position to which the time is added.
        """
        self._kernel = kernel
        self._weights = {
            SolverArgument.IN_WEIGHT: into.weight.T.contiguous(),
            SolverArgument.IN_BIAS: into.bias,
            SolverArgument.OUT_WEIGHT: out.weight,
            SolverArgument.OUT_BIAS: out.bias,
        }
        self._time_place = time_place

    def __call__(self, noise: Tensor, inputs: SolverInputs, rotary: Tensor | None) -> Tensor:
        """Integrate the flow from noise, (B, P, D), to patches of that shape. In between, numbers are float32."""
        at_once = max(1, MOST_ROWS // (2 * inputs.tokens.size(2)))
        rows = [slice(start, start + at_once) for start in range(0, len(noise), at_once)]
        return torch.cat([self._solve(noise[part], inputs[part], rotary) for part in rows])

    def _solve(self, noise: Tensor, inputs: SolverInputs, rotary: Tensor | None) -> Tensor:
        streams, frames, width = noise.shape
        latents = noise.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        tensors = {name: tensor.float().contiguous() for name, tensor in inputs.by_argument().items()}
        tensors |= self._weights
        tensors |= {SolverArgument.LATENTS: latents, SolverArgument.VELOCITIES: torch.empty(2 * streams, frames, width)}
        given = np.zeros(len(SolverArgument), np.int64)
        for name, tensor in tensors.items():
            given[name] = tensor.data_ptr()
        given[SolverArgument.EVALUATIONS], given[SolverArgument.STREAMS] = len(inputs.spans), streams
        given[SolverArgument.FRAMES], given[SolverArgument.WIDTH] = frames, width
        given[SolverArgument.TIME_PLACE] = self._time_place
        self._kernel.solve(2 * streams, inputs.tokens.size(2), given.ctypes.data, rotary)
        return latents.to(noise.dtype)
