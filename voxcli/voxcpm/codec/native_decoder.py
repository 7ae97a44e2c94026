"""Native decoder: the codec's decoder as one call of a compiled function.

Its weights are those of the layers, which compute the same with torch.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from voxcli.voxcpm.codec.decoder_layers import DecoderLayers
from voxcli.voxcpm.codec.decoder_steps import DecoderSteps
from voxcli.voxcpm.kernels.cpu.compiler import CompiledModule, compile_module, is_kept
from voxcli.voxcpm.kernels.cpu.decoder import write_decoder
from voxcli.voxcpm.kernels.cpu.factors import FEW_ROWS, factors_for
from voxcli.voxcpm.kernels.cpu.steps import ENTRY, Argument
from voxcli.voxcpm.kernels.cpu.targets import Target, find_target
from voxcli.voxcpm.kernels.cpu.threads import run_parallel
from voxcli.voxcpm.kernels.factor_formats import FactorFormat

_FRAMES_AT_ONCE = FEW_ROWS[-1]
"""Frames of a call, to bound memory. More take several calls."""


class NativeDecoder:
    """A compiled decoder. It has memory for the activations of one stream, so that one thread may call it at a time."""

    def __init__(self, layers: DecoderLayers, factors: FactorFormat, kept: Path | None = None) -> None:
        """
        Args:
            factors: of most products of the layers.
            kept: folder of compiled code.
        """
        self._compiled = _compiled(factors, kept)
        self._function = self._compiled.address(ENTRY)
        self._steps = DecoderSteps(layers, factors, _FRAMES_AT_ONCE)
        self._hop, self._histories = layers.hop, layers.histories()
        self._tables: dict[int, Tensor] = {}
        self._arguments = (ctypes.c_int64 * len(Argument))()
        self._addresses = (ctypes.c_int64 * len(self._histories))()

    def new_histories(self, batch: int) -> tuple[Tensor, ...]:
        """Return initial histories as those of the layers, with the channels that are stored."""
        return tuple(torch.zeros(batch, memory, channels) for memory, channels in self._histories)

    def decode(self, frames: Tensor, histories: Sequence[Tensor]) -> Tensor:
        """Decode the next frames of each stream, (B, T, D), to samples, (B, T·hop), and update the histories."""
        samples = torch.empty(frames.size(0), frames.size(1) * self._hop)
        for row, (stream, sound) in enumerate(zip(frames, samples, strict=True)):
            for place, history in enumerate(histories):
                self._addresses[place] = history.data_ptr() + row * history.stride(0) * history.itemsize
            for start in range(0, len(stream), _FRAMES_AT_ONCE):
                self._decode(stream[start : start + _FRAMES_AT_ONCE], sound[start * self._hop :])
        return samples

    def _decode(self, frames: Tensor, samples: Tensor) -> None:
        count = len(frames)
        if count not in self._tables:
            self._tables[count] = self._steps.steps(count)
        table, arguments = self._tables[count], self._arguments
        self._steps.frames[:count, : frames.size(1)] = frames
        arguments[Argument.steps], arguments[Argument.count] = table.data_ptr(), len(table)
        arguments[Argument.histories] = ctypes.addressof(self._addresses)
        arguments[Argument.sound] = samples.data_ptr()
        arguments[Argument.arrived] = 0
        run_parallel(self._function, ctypes.addressof(arguments), torch.get_num_threads())


_modules: dict[tuple[Target, FactorFormat], CompiledModule] = {}
"""The code is the same for all models."""


def _compiled(factors: FactorFormat, kept: Path | None) -> CompiledModule:
    target = find_target()
    assert target
    if (target, factors) not in _modules:
        code = factors_for(factors, target)
        found = compile_module(target, _name_of(factors), lambda module: write_decoder(module, code), kept)
        _modules[target, factors] = found
    return _modules[target, factors]


def _name_of(factors: FactorFormat) -> str:
    return f"decoder {factors.name}"


def uncompiled_decoder(factors: FactorFormat, kept: Path | None) -> list[Callable[[], object]]:
    """Return what compiles the decoder, unless it has been compiled in this process or kept.

    Args:
        factors: that are chosen for the layers.
        kept: folder of compiled code.
    """
    target, most = find_target(), factors.many_rows
    assert target
    there = (target, most) in _modules or is_kept(target, _name_of(most), kept)
    return [] if there else [partial(_compiled, most, kept)]
