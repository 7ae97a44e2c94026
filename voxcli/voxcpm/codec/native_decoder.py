"""Native decoder: the codec's decoder as one call of a compiled function.

Its weights are those of the layers, which compute the same with torch.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from voxcli.voxcpm.codec.decoder_steps import DecoderLayers, DecoderSteps
from voxcli.voxcpm.kernels.cpu.compiler import CompiledModule, compile_module, find_target, run_parallel
from voxcli.voxcpm.kernels.cpu.decoder import write_decoder
from voxcli.voxcpm.kernels.cpu.factors import Factors
from voxcli.voxcpm.kernels.cpu.steps import ENTRY, Argument

_FRAMES_AT_ONCE = 4
"""Frames of a call, to bound memory. More take several calls."""


class NativeDecoder:
    """A compiled decoder. It has memory for the activations of one stream, so that one thread may call it at a time."""

    def __init__(self, layers: DecoderLayers, factors: Factors, kept: Path | None = None) -> None:
        """
        Args:
            factors: of the products of the layers.
            kept: folder of compiled code.
        """
        self._compiled = _compiled(factors, kept)
        self._function = self._compiled.address(ENTRY)
        self._steps = DecoderSteps(layers, factors, _FRAMES_AT_ONCE)
        self._hop, self._histories = layers.hop, layers.histories()
        self._programs: dict[int, Tensor] = {}
        self._arguments = torch.zeros(len(Argument), dtype=torch.int64)

    def new_histories(self, batch: int) -> tuple[Tensor, ...]:
        """Return initial histories as those of the layers, with the channels that are stored."""
        return tuple(torch.zeros(batch, memory, channels) for memory, channels in self._histories)

    def decode(self, frames: Tensor, histories: Sequence[Tensor]) -> Tensor:
        """Decode the next frames of each stream, (B, T, D), to samples, (B, T·hop), and update the histories."""
        plan = self._steps
        samples = torch.empty(frames.size(0), frames.size(1) * self._hop)
        for row, stream in enumerate(frames):
            addresses = torch.tensor([history[row].data_ptr() for history in histories])
            for start in range(0, len(stream), _FRAMES_AT_ONCE):
                piece = stream[start : start + _FRAMES_AT_ONCE]
                plan.frames[: len(piece), : piece.size(1)] = piece
                self._run(len(piece), addresses, samples[row, start * self._hop :])
        return samples

    def _run(self, frames: int, histories: Tensor, samples: Tensor) -> None:
        if frames not in self._programs:
            self._programs[frames] = self._steps.steps(frames)
        program = self._programs[frames]
        arguments = self._arguments
        given = {
            Argument.steps: program.data_ptr(),
            Argument.count: len(program),
            Argument.histories: histories.data_ptr(),
            Argument.sound: samples.data_ptr(),
            Argument.arrived: 0,
        }
        arguments[:] = torch.tensor([given[name] for name in Argument])
        run_parallel(self._function, arguments.data_ptr(), torch.get_num_threads())


@cache
def _compiled(factors: Factors, kept: Path | None) -> CompiledModule:
    """Compile the decoder, once in a process: the code is the same for all models."""
    target = find_target()
    assert target
    return compile_module(target, f"decoder {factors.name}", lambda module: write_decoder(module, factors), kept)
