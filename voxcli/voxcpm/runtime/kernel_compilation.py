"""Kernel compilation: all kernels of a model are compiled while its weights are read.

Those of a CPU are written for LLVM. A kernel of Triton is compiled when it first runs, in another version for each
dtype and width. So every operation is called once with small tensors of the shapes that the model uses. Compiled
kernels stay in a cache on disk, from which a later start takes them within milliseconds.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor

from voxcli.synthesis.loading import LoadingStage, OnLoading, StageCounter
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.config import Architecture, CodecConfig, ModelConfig, StackConfig

_THREADS = 2
"""Two take three quarters of the time of one. More gain nothing: most of Triton holds the interpreter's lock, and LLVM
compiles one module of a process at a time."""

_POSITIONS = 16
"""Of a KV cache: any number will do."""

_MANY_STREAMS = 128
"""Enough to fill a GPU without cutting their caches into parts, which takes another version of a kernel."""

_CODEC_ROWS = 16

Call: TypeAlias = Callable[[], object]


class KernelCompilation:
    """The compilation of all kernels of a model. It begins when the block is entered, and goes on beside it."""

    def __init__(self, find_calls: Callable[[], Sequence[Call]]) -> None:
        """find_calls: returns what is to be called, on a thread of its own."""
        self._find_calls = find_calls
        self._pool = ThreadPoolExecutor(_THREADS, "compile")

    def __enter__(self) -> Self:
        self._start = self._pool.submit(self._submit)
        return self

    def finish(self, on_loading: OnLoading) -> None:
        """Wait until all kernels are compiled."""
        compiled = self._start.result()
        if not compiled:
            return
        counter = StageCounter(on_loading, LoadingStage.COMPILING, len(compiled))
        for kernel in compiled:
            kernel.result()
            counter.advance()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _submit(self) -> list[Future[object]]:
        return [self._pool.submit(call) for call in self._find_calls()]


def triton_calls(config: ModelConfig, device: torch.device, dtype: torch.dtype, *, fp8: bool = False) -> list[Call]:
    """Return a call for each version of each kernel, or none where they cannot be compiled.

    It begins with the import of Triton, which takes long as well.
    """
    return kernel_calls(config, device, dtype, fp8=fp8) if ops.has_kernels(device) else []


def kernel_calls(config: ModelConfig, device: torch.device, dtype: torch.dtype, *, fp8: bool = False) -> list[Call]:
    """Return a call for each version of each kernel. They do not depend on each other.

    Args:
        fp8: the model is quantized to 8-bit floats.
    """
    calls = _Calls(device, dtype)
    for stack in (config.base_lm, config.residual_lm, config.local_encoder, config.local_dit):
        calls.add_rows(stack, fp8=fp8)
    for stack in (config.base_lm, config.residual_lm):
        calls.add_decoding(stack, config.max_length)
    guides = 3 if config.architecture is Architecture.V2 else 1
    calls.add_full_attention(config.local_encoder, 1 + config.patch_size, positions=1 + config.patch_size)
    calls.add_full_attention(config.local_dit, guides + 2 * config.patch_size, positions=3 + 2 * config.patch_size)
    calls.add_flow(config.patch_size, config.latent_dim)
    calls.add_snake(config.codec)
    return calls.found


class _Calls:
    """Collects calls with tensors of zeros; those that differ in numbers only are the same."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._calls: dict[tuple[object, ...], Call] = {}

    @property
    def found(self) -> list[Call]:
        return list(self._calls.values())

    def add_rows(self, stack: StackConfig, *, fp8: bool) -> None:
        x, weight = self._zeros(1, stack.hidden), self._zeros(stack.hidden)
        self._add(ops.rms_norm, x, weight, stack.norm_eps)
        self._add(ops.add_rms_norm, x, x, stack.residual_scale, weight, stack.norm_eps)
        self._add(ops.silu_and_mul, self._zeros(1, 2 * stack.ffn))
        if fp8:
            self._add(ops.quantize_rows_fp8, x)
            self._add(ops.quantize_rows_fp8, self._zeros(1, stack.ffn))

    def add_decoding(self, stack: StackConfig, positions: int) -> None:
        qkv, rotary = self._qkv(stack, 1), self._rotary(stack, positions)
        for streams in (1, _MANY_STREAMS):
            lengths = self._zeros(streams, dtype=torch.int64)
            keys, values = self._zeros(2, streams, stack.kv_heads, _POSITIONS, stack.head_dim)
            queries = self._zeros(streams, stack.heads, stack.head_dim)
            self._add(ops.decode_attention, queries, keys, values, lengths)
            if streams == 1:
                self._add(ops.rotate_and_append_kv, qkv, rotary, lengths, keys, values, stack.heads)

    def add_full_attention(self, stack: StackConfig, tokens: int, *, positions: int) -> None:
        rotary = self._rotary(stack, positions)
        table = None if rotary is None else rotary[:, :tokens]
        self._add(ops.full_attention, self._qkv(stack, tokens), table, stack.heads)

    def add_flow(self, patch_size: int, latent_dim: int) -> None:
        x, both = self._zeros(1, patch_size, latent_dim), self._zeros(2, patch_size, latent_dim)
        at, guidance = self._zeros(1, dtype=torch.int64), self._zeros(1, dtype=torch.float32)
        seed, due = torch.zeros_like(at), self._zeros(1, dtype=torch.bool)
        self._add(ops.draw_noise, self._zeros(1, latent_dim, patch_size), seed, torch.zeros_like(at), due)
        self._add(ops.advance_flow, x, both, self._zeros(1), at, torch.zeros_like(at), guidance)

    def add_snake(self, config: CodecConfig) -> None:
        for width in {config.decoder_dim >> halvings for halvings in range(len(config.decoder_rates) + 1)}:
            x, alpha = (self._zeros(*shape, dtype=torch.float32) for shape in ((1, _CODEC_ROWS, width), (width,)))
            # One version for all multiples of 16, so the width is no part of the key.
            key = (ops.snake, width % 16 == 0)
            self._calls.setdefault(key, partial(ops.snake, x, alpha, alpha))

    def _qkv(self, stack: StackConfig, tokens: int) -> Tensor:
        return self._zeros(1, tokens, stack.heads + 2 * stack.kv_heads, stack.head_dim)

    def _rotary(self, stack: StackConfig, positions: int) -> Tensor | None:
        return self._zeros(2, positions, 1, stack.head_dim, dtype=torch.float32) if stack.rope else None

    def _add(self, operation: Callable[..., object], *given: Any) -> None:
        shapes = [
            (*value.shape, value.dtype) if isinstance(value, Tensor) else value
            for value in given
            if not isinstance(value, float)
        ]
        self._calls.setdefault((operation, *shapes), partial(operation, *given))

    def _zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(*shape, device=self._device, dtype=dtype or self._dtype)
