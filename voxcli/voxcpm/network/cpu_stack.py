"""A transformer stack on a CPU: calls its kernel with weights, caches and memory for intermediate results."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.compiler import CompiledModule, compile_module, is_kept
from voxcli.voxcpm.kernels.cpu.products import PAIR, split_rows
from voxcli.voxcpm.kernels.cpu.stack import write_stack
from voxcli.voxcpm.kernels.cpu.stack_arguments import ENTRY, StackArgument, StackShape
from voxcli.voxcpm.kernels.cpu.targets import Target, find_target
from voxcli.voxcpm.kernels.cpu.threads import run_parallel
from voxcli.voxcpm.network.block_matrix import Bf16Blocks, BlockMatrix, HalfBlocks, Int8Blocks
from voxcli.voxcpm.network.config import StackConfig
from voxcli.voxcpm.network.kv_cache import KVCache

_LINE = 64
"""Bytes of a cache line."""

MOST_ROWS = 512
"""Rows of a call, to bound memory. More take several calls, with the same result."""

_CACHES = (torch.float32, torch.bfloat16)
"""Types of keys and values in the caches."""

_FORMS: dict[str, type[BlockMatrix]] = {
    "int8": Int8Blocks,
    "bf16": Bf16Blocks,
    "wide_bf16": Bf16Blocks,
    "float16": HalfBlocks,
}
"""The matrices that each arithmetic multiplies with."""


def choose_form(config: StackConfig, *, int8: bool) -> type[BlockMatrix] | None:
    """Choose how the matrices of a stack are packed for its kernel; None if there can be none on this processor."""
    target = find_target()
    arithmetic = target and (target.int8 if int8 else target.bf16)
    return _FORMS[arithmetic.name] if arithmetic and _can_run(config, arithmetic) else None


def _can_run(config: StackConfig, arithmetic: Arithmetic) -> bool:
    """Whether the kernel can be written for the widths of a stack."""
    qkv, of_pair = (config.heads + 2 * config.kv_heads) * config.head_dim, arithmetic.outputs * PAIR
    outputs = config.hidden % of_pair == qkv % of_pair == config.ffn % arithmetic.outputs == 0
    return outputs and config.heads * config.head_dim % arithmetic.group == 0


class CpuStack:
    """The kernel of one stack, ready to be called. One thread at a time may do so."""

    def __init__(
        self,
        config: StackConfig,
        matrices: Sequence[Sequence[BlockMatrix]],
        norms: Sequence[Tensor],
        kept: Path | None,
    ) -> None:
        """
        Args:
            matrices: of each layer: queries, keys and values; output; gate and up; down.
            norms: weights of the norms: two per layer, and the last.
            kept: folder of compiled code.
        """
        target = find_target()
        assert target
        arithmetic = target.int8 if isinstance(matrices[0][0], Int8Blocks) else target.bf16
        assert arithmetic
        assert norms[0].dtype in _CACHES, "the kernel knows no other caches"
        self._arithmetic = arithmetic
        self._shape = _shape_of(config, norms[0].dtype)
        self._module = _compiled(target, self._shape, arithmetic, kept)
        self._entry = self._module.address(ENTRY)
        self._norms = [norm.detach().float().contiguous() for norm in norms]
        self._matrices = matrices
        self._table = self._addresses_of_weights()
        self._arguments = np.zeros(len(StackArgument), np.int64)
        self._arguments[StackArgument.LAYERS] = len(matrices)
        self._arguments[StackArgument.TABLE] = self._table.data_ptr()
        self._arguments[StackArgument.FIRST_NORM] = self._norms[0].data_ptr()
        self._memory: dict[StackArgument, Tensor] = {}
        self._rows = self._positions = self._threads = 0

    def __call__(self, x: Tensor, caches: Sequence[KVCache], rotary: Tensor | None) -> Tensor:
        """Map (B, T, hidden) to the same shape.

        Args:
            caches: of the B streams, with room for T more positions; the new keys and values are written behind the
                filled ones. Empty for attention without a mask.
            rotary: the table of all positions, (2, positions, 1, head_dim) in float32.
        """
        streams, count, _ = x.shape
        if caches:
            pieces = x.split(max(1, MOST_ROWS // streams), 1)
            starts = range(0, count, pieces[0].size(1))
            mapped = [self._run(piece, caches, start, rotary) for piece, start in zip(pieces, starts, strict=True)]
            return mapped[0] if len(mapped) == 1 else torch.cat(mapped, 1)
        mapped = [self._run(piece, (), 0, rotary) for piece in x.split(max(1, MOST_ROWS // count))]
        return mapped[0] if len(mapped) == 1 else torch.cat(mapped)

    def _run(self, x: Tensor, caches: Sequence[KVCache], start: int, rotary: Tensor | None) -> Tensor:
        """Call the kernel.

        Args:
            start: positions that have been written behind the filled ones.
        """
        streams, count, hidden = x.shape
        rows = streams * count
        tiles = self._make_room(rows, max((cache.length + start for cache in caches), default=0) + count)
        self._memory[StackArgument.X][:rows] = x.reshape(rows, hidden)
        self._memory[StackArgument.UPDATE][:rows] = 0
        described = np.array([cache.layout(start) for cache in caches], np.int64)
        self._arguments[StackArgument.CACHES] = described.ctypes.data if caches else 0
        self._arguments[StackArgument.SOLVER] = 0
        self._call(streams, count, tiles, rotary)
        return self._memory[StackArgument.NORMED][:rows].to(x.dtype, copy=True).view(streams, count, hidden)

    def solve(self, streams: int, count: int, solver: int, rotary: Tensor | None) -> None:
        """Evaluate a flow as often as its solver does, without caches.

        Args:
            streams, count: of the inputs, which the solver sets: at most `MOST_ROWS` together.
            solver: address of its arguments.
            rotary: as for a call.
        """
        tiles = self._make_room(streams * count, count)
        self._arguments[StackArgument.CACHES], self._arguments[StackArgument.SOLVER] = 0, solver
        self._call(streams, count, tiles, rotary)

    def _call(self, streams: int, count: int, tiles: tuple[int, int], rotary: Tensor | None) -> None:
        given = self._arguments
        self._memory[StackArgument.COUNTER].zero_()
        given[StackArgument.STREAMS], given[StackArgument.COUNT] = streams, count
        given[StackArgument.TILES], given[StackArgument.HEIGHT] = tiles
        if rotary is not None:
            given[StackArgument.COS], given[StackArgument.SIN] = rotary[0].data_ptr(), rotary[1].data_ptr()
        run_parallel(self._entry, given.ctypes.data, torch.get_num_threads())

    def _addresses_of_weights(self) -> Tensor:
        addresses = []
        for layer, matrices in enumerate(self._matrices):
            of_matrices = [
                [matrix.blocks.data_ptr(), 0 if matrix.scales is None else matrix.scales.data_ptr()]
                for matrix in matrices
            ]
            qkv, out, gate_up, down = of_matrices
            mlp_norm, next_norm = (self._norms[2 * layer + place].data_ptr() for place in (1, 2))
            addresses.append([*qkv, *out, mlp_norm, *gate_up, *down, next_norm])
        return torch.tensor(addresses, dtype=torch.int64)

    def _make_room(self, rows: int, positions: int) -> tuple[int, int]:
        """Allocate memory for at least as many rows and positions. Return the number and the height of the tiles."""
        tiles, height = split_rows(rows, self._arithmetic)
        if tiles * height > self._rows or positions > self._positions or torch.get_num_threads() > self._threads:
            self._rows, self._positions = max(tiles * height, self._rows), max(2 * positions, self._positions)
            self._threads = max(torch.get_num_threads(), self._threads)
            self._allocate()
        return tiles, height

    def _allocate(self) -> None:
        shape, of_row = self._shape, self._shape.row_bytes(self._arithmetic)
        widths = {
            StackArgument.X: shape.hidden,
            StackArgument.NORMED: shape.hidden,
            StackArgument.UPDATE: shape.hidden,
            StackArgument.QKV: shape.qkv,
            StackArgument.MIXED: shape.queries,
            StackArgument.WIDE: shape.ffn,
        }
        self._memory = {argument: torch.zeros(self._rows, width) for argument, width in widths.items()}
        self._memory |= {
            StackArgument.COUNTER: torch.zeros(_LINE // 8, dtype=torch.int64),
            StackArgument.ROUNDED: torch.zeros(self._rows * of_row, dtype=torch.uint8),
            StackArgument.ROW_SCALES: torch.zeros(self._rows),
            StackArgument.ROW_SUMS: torch.zeros(self._rows, dtype=torch.int32),
            StackArgument.SCORES: torch.zeros(self._threads, -(-self._positions // _LINE) * _LINE),
        }
        for argument, tensor in self._memory.items():
            self._arguments[argument] = tensor.data_ptr()
        self._arguments[StackArgument.SCORES_STRIDE] = self._memory[StackArgument.SCORES].size(1)


def _shape_of(config: StackConfig, dtype: torch.dtype) -> StackShape:
    """dtype: of the caches."""
    return StackShape(
        config.hidden,
        config.ffn,
        config.heads,
        config.kv_heads,
        config.head_dim,
        config.norm_eps,
        config.residual_scale,
        config.rope is not None,
        dtype == torch.bfloat16,
    )


_modules: dict[tuple[StackShape, Arithmetic], CompiledModule] = {}
"""Stacks of the same shape share their code."""


def _compiled(target: Target, shape: StackShape, arithmetic: Arithmetic, kept: Path | None) -> CompiledModule:
    key = shape, arithmetic
    if key not in _modules:
        _modules[key] = compile_module(
            target, _name_of(shape, arithmetic), partial(write_stack, shape=shape, arithmetic=arithmetic), kept
        )
    return _modules[key]


def _name_of(shape: StackShape, arithmetic: Arithmetic) -> str:
    return f"{shape} {arithmetic}"


def uncompiled_stacks(
    configs: Iterable[StackConfig], dtype: torch.dtype, kept: Path | None, *, int8: bool
) -> list[Callable[[], object]]:
    """Return what compiles the kernels of stacks that have neither been compiled in this process nor kept.

    Args:
        dtype: of the caches.
        kept: folder of compiled code.
        int8: whether matrices are quantized.
    """
    target = find_target()
    arithmetic = target and (target.int8 if int8 else target.bf16)
    if not target or not arithmetic or dtype not in _CACHES:
        return []
    shapes = {_shape_of(config, dtype) for config in configs if _can_run(config, arithmetic)}
    return [
        partial(_compiled, target, shape, arithmetic, kept)
        for shape in shapes
        if (shape, arithmetic) not in _modules and not is_kept(target, _name_of(shape, arithmetic), kept)
    ]
