"""Cases in which candidates are measured beside what ships: shapes of a real model, bfloat16, weights in no cache."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.codec.layers import CausalConv, Snake
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.config import Architecture, ModelConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.network.transformer import rotary_table

Work: TypeAlias = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]

_EPS, _SCALE = 1e-5, 0.25
_STREAMS = (1, 64)
_POSITIONS = (32, 256)


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison."""

    name: str
    given: Callable[[], tuple[Tensor, ...]]
    """Draws tensors, the same each time."""
    shipped: Work
    candidate: Work
    bytes_read: float
    """Of tensors that a step finds in no cache."""


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws tensors on a device, from the same seed each time."""

    device: torch.device
    dtype: torch.dtype

    def __call__(self, *shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
        generator = torch.Generator(self.device).manual_seed(1)
        return tuple(
            torch.randn(shape, generator=generator, device=self.device, dtype=torch.float32).to(self.dtype)
            for shape in shapes
        )


def cases_of(config: ModelConfig, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Iterator[Case]:
    """Yield all cases for the shapes of a model."""
    draw = _Drawing(device, dtype)
    yield from _products(config, draw)
    yield from _mlps(config, draw)
    yield from _prefills(config, draw)
    yield from _codec_units(config, device)


def _stacks(config: ModelConfig) -> Iterator[tuple[str, StackConfig, int]]:
    """Yield the name of each stack, and the rows of one stream in it."""
    guides = 3 if config.architecture is Architecture.V2 else 1
    yield "base LM", config.base_lm, 1
    yield "encoder", config.local_encoder, 1 + config.patch_size
    yield "DiT", config.local_dit, 2 * (guides + 2 * config.patch_size)


def _products(config: ModelConfig, draw: _Drawing) -> Iterator[Case]:
    from tests.benchmarks.gpu.candidates import triton_products

    for name, stack, rows in _stacks(config):
        wide = stack.heads * stack.head_dim
        shapes = {
            "qkv": (wide + 2 * stack.kv_heads * stack.head_dim, stack.hidden),
            "o": (stack.hidden, wide),
            "gate_up": (2 * stack.ffn, stack.hidden),
            "down": (stack.hidden, stack.ffn),
        }
        for matrix, (outputs, inputs) in shapes.items():
            yield Case(
                f"product of {rows} rows, {matrix} of {name}",
                partial(draw, (rows, inputs), (outputs, inputs)),
                lambda given: (functional.linear(*given),),
                lambda given: (triton_products.product(*given),),
                2 * outputs * inputs,
            )


def _mlps(config: ModelConfig, draw: _Drawing) -> Iterator[Case]:
    """From one attention to the next: six kernels, or three."""
    from tests.benchmarks.gpu.candidates import triton_products

    def shipped(given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, update, gain, gate_up, down, qkv = given
        x, normed = ops.add_rms_norm(x, update, _SCALE, gain, _EPS)
        update = functional.linear(ops.silu_and_mul(functional.linear(normed, gate_up)), down)
        x, normed = ops.add_rms_norm(x, update, _SCALE, gain, _EPS)
        return x, functional.linear(normed, qkv)

    def candidate(given: tuple[Tensor, ...], *, pdl: bool) -> tuple[Tensor, ...]:
        x, update, gain, gate_up, down, qkv = given
        sums = update.float().unsqueeze(0)
        add_norm = triton_products.add_norm_product
        x, gated = add_norm(x, sums, _SCALE, gain, _EPS, gate_up, gated=True, pdl=pdl)
        return add_norm(x, triton_products.partial_product(gated, down, pdl=pdl), _SCALE, gain, _EPS, qkv, pdl=pdl)

    for name, stack, rows in _stacks(config):
        qkv = (stack.heads + 2 * stack.kv_heads) * stack.head_dim
        hidden, ffn = stack.hidden, stack.ffn
        matrices = (2 * ffn, hidden), (hidden, ffn), (qkv, hidden)
        given = partial(_scaled, draw, (rows, hidden), (rows, hidden), (hidden,), *matrices)
        count = 2 * sum(outputs * inputs for outputs, inputs in matrices)
        for pdl in (False, True) if _has_dependent_launches(draw.device) else (False,):
            how = ", dependent launches" if pdl else ""
            yield Case(f"MLP of {rows} rows, {name}{how}", given, shipped, partial(candidate, pdl=pdl), count)


def _has_dependent_launches(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (9, 0)


def _scaled(draw: _Drawing, *shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Draw, and make matrices keep the size of what they are multiplied with."""
    first, *others = draw(*shapes)
    return first, *(tensor / tensor.size(-1) ** 0.5 if tensor.size(0) > 64 else tensor for tensor in others)


def _prefills(config: ModelConfig, draw: _Drawing) -> Iterator[Case]:
    from tests.benchmarks.gpu.candidates import triton_prefill

    stack = config.base_lm
    assert stack.rope
    heads = stack.heads + 2 * stack.kv_heads
    for positions in _POSITIONS:
        cache = KVCache(stack, config.max_length, draw.device, draw.dtype, capacity=positions)
        table = rotary_table(stack.rope, stack.head_dim, positions).to(draw.device)

        def shipped(given: tuple[Tensor, ...], table: Tensor = table, cache: KVCache = cache) -> tuple[Tensor, ...]:
            queries, keys, values = ops.split_heads(given[0], table, stack.heads)
            return queries, *cache.append(0, keys, values)

        def candidate(given: tuple[Tensor, ...], table: Tensor = table) -> tuple[Tensor, ...]:
            qkv, keys, values = given
            queries = triton_prefill.rotate_and_store_kv(qkv, table, keys, values, stack.heads, 0)
            return queries, keys, values

        kept = (1, stack.kv_heads, positions, stack.head_dim)
        shape = (1, positions, heads, stack.head_dim)
        name = f"rotary and cache of {positions} positions"
        yield Case(name, partial(draw, shape, kept, kept), shipped, candidate, 2.0 * positions * heads * stack.head_dim)


def _codec_units(config: ModelConfig, device: torch.device) -> Iterator[Case]:
    from tests.benchmarks.gpu.candidates import triton_codec

    count, width = config.patch_size, config.codec.decoder_dim
    for rate in config.codec.decoder_rates:
        count, width = count * rate, width // 2
        for dilation in (1, 9):
            layers = _unit(width, dilation, device)
            weight = layers[1]._kernel.reshape(width, triton_codec.TAPS).contiguous()
            memory = 6 * dilation

            def shipped(
                given: tuple[Tensor, ...], layers: tuple[Snake, CausalConv, Snake] = layers
            ) -> tuple[Tensor, ...]:
                before, conv, after = layers
                return after(conv(before(given[0]), given[1])), given[1]

            def candidate(
                given: tuple[Tensor, ...],
                layers: tuple[Snake, CausalConv, Snake] = layers,
                weight: Tensor = weight,
                dilation: int = dilation,
            ) -> tuple[Tensor, ...]:
                before, conv, after = layers
                alphas, inverses = (before._alpha, after._alpha), (before._inverse, after._inverse)
                y = triton_codec.snake_conv_snake(*given, weight, conv._shift, alphas, inverses, dilation)
                return y, given[1]

            for rows in _STREAMS:
                given = partial(_Drawing(device, torch.float32), (rows, count, width), (rows, memory, width))
                name = f"codec of {rows} rows, {width} x {count}, dilation {dilation}"
                yield Case(name, given, shipped, candidate, 4.0 * rows * width * (count + memory))


def _unit(width: int, dilation: int, device: torch.device) -> tuple[Snake, CausalConv, Snake]:
    layers = Snake(width), CausalConv(width, width, 7, dilation=dilation, groups=width), Snake(width)
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data = torch.rand(parameter.shape, device=device) + 0.2
        layer.prepare(torch.float32)
    return layers
