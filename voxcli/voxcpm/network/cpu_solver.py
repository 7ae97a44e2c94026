"""The solver of the flow on a CPU: one call of the local DiT's kernel generates a patch."""

import numpy as np
import torch
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.solver import SolverArgument
from voxcli.voxcpm.network.block_matrix import FloatMatrix
from voxcli.voxcpm.network.cpu_stack import MOST_ROWS, CpuStack


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

    def __call__(
        self, noise: Tensor, tokens: Tensor, times: Tensor, spans: Tensor, guidance: Tensor, rotary: Tensor | None
    ) -> Tensor:
        """Integrate the flow of B streams from noise to patches. In between, numbers are float32.

        Args:
            noise: (B, P, D), as the result.
            tokens: (B, 2, T, hidden): the inputs of the stack that stay the same. The last ones, of the noisy patch,
                are not read.
            times, spans, guidance: as in `Solver`.
            rotary: as for the kernel.
        """
        at_once = max(1, MOST_ROWS // (2 * tokens.size(2)))
        parts = [slice(start, start + at_once) for start in range(0, len(noise), at_once)]
        solved = [
            self._solve(noise[part], tokens[part], times[:, part], spans[:, part], guidance[part], rotary)
            for part in parts
        ]
        return torch.cat(solved)

    def _solve(
        self, noise: Tensor, tokens: Tensor, times: Tensor, spans: Tensor, guidance: Tensor, rotary: Tensor | None
    ) -> Tensor:
        streams, frames, width = noise.shape
        latents = noise.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        read = {
            SolverArgument.TOKENS: tokens,
            SolverArgument.TIMES: times,
            SolverArgument.SPANS: spans,
            SolverArgument.GUIDANCE: guidance,
        }
        tensors = {name: tensor.float().contiguous() for name, tensor in read.items()} | self._weights
        tensors |= {SolverArgument.LATENTS: latents, SolverArgument.VELOCITIES: torch.empty(2 * streams, frames, width)}
        given = np.zeros(len(SolverArgument), np.int64)
        for name, tensor in tensors.items():
            given[name] = tensor.data_ptr()
        given[SolverArgument.EVALUATIONS], given[SolverArgument.STREAMS] = len(spans), streams
        given[SolverArgument.FRAMES], given[SolverArgument.WIDTH] = frames, width
        given[SolverArgument.TIME_PLACE] = self._time_place
        self._kernel.solve(2 * streams, tokens.size(2), given.ctypes.data, rotary)
        return latents.to(noise.dtype)
