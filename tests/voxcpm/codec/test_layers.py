"""Every layer of the codec is torch's own operation, and hears pieces as it hears the whole."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.codec.layers import (
    CausalConv,
    Layer,
    Pointwise,
    Snake,
    Streaming,
    StridedConv,
    TransposedConv,
    rounding_to,
    windows,
)

torch.set_num_threads(1)  # what is this small is not worth sharing

CPU = torch.device("cpu")

AnyLayer = TypeVar("AnyLayer", bound=Layer)

STREAMING: dict[str, Callable[[], Streaming]] = {
    "dense": lambda: CausalConv(6, 10, 7),
    "dense and dilated": lambda: CausalConv(6, 6, 7, dilation=3),
    "depthwise": lambda: CausalConv(16, 16, 7, groups=16),
    "depthwise and dilated": lambda: CausalConv(16, 16, 7, dilation=9, groups=16),
    "from one channel": lambda: CausalConv(1, 8, 7),
    "to one channel": lambda: CausalConv(8, 1, 7),
    "strided": lambda: StridedConv(6, 10, 3, memory=3),
    "strided and one late": lambda: StridedConv(6, 10, 3, memory=4),
    "transposed": lambda: TransposedConv(8, 6, 3),
    "transposed by an even rate": lambda: TransposedConv(8, 6, 2),
}

RATE = 3
"""Pieces are multiples of it, which strided convolutions ask for."""


def loaded(layer: AnyLayer) -> tuple[AnyLayer, dict[str, Tensor]]:
    """Give a layer weights, prepare it, and return them too."""
    generator = torch.Generator().manual_seed(7)
    weights = {name: torch.randn(tensor.shape, generator=generator) / 4 for name, tensor in layer.state_dict().items()}
    layer.load_state_dict({name: tensor.clone() for name, tensor in weights.items()})
    layer.requires_grad_(False).prepare(rounding_to(torch.float32))
    return layer, weights


def noise(batch: int, samples: int, channels: int) -> Tensor:
    return torch.randn(batch, samples, channels, generator=torch.Generator().manual_seed(samples))


def heard(layer: Streaming, x: Tensor) -> Tensor:
    """Send sound through a layer that has heard nothing yet."""
    y: Tensor = layer(x, layer.new_history(len(x), CPU))
    return y


def channels_of(layer: Streaming) -> int:
    return layer.new_history(1, CPU).size(2)


def native(operation: Callable[..., Tensor], x: Tensor, *args: object, padding: int = 0, **options: object) -> Tensor:
    """Apply torch's own operation, which wants channels before time, in float64."""
    doubled = [value.double() if isinstance(value, Tensor) else value for value in args]
    padded = functional.pad(x.double().transpose(1, 2), (padding, 0))
    return operation(padded, *doubled, **options).transpose(1, 2).float()


@pytest.mark.parametrize("name", STREAMING)
@settings(deadline=None, max_examples=30)
@given(pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_pieces_joined_are_the_whole(name: str, pieces: list[int]) -> None:
    layer, _ = loaded(STREAMING[name]())
    lengths = [RATE * length for length in pieces]
    x = noise(2, sum(lengths), channels_of(layer))
    history = layer.new_history(2, CPU)
    joined = torch.cat([layer(piece, history) for piece in torch.split(x, lengths, 1)], 1)
    torch.testing.assert_close(joined, heard(layer, x), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", STREAMING)
def test_a_row_of_a_batch_sounds_as_if_alone(name: str) -> None:
    layer, _ = loaded(STREAMING[name]())
    x = noise(3, 4 * RATE, channels_of(layer))
    torch.testing.assert_close(heard(layer, x)[1:2], heard(layer, x[1:2]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", STREAMING)
def test_the_history_is_updated_where_it_stands(name: str) -> None:
    layer, _ = loaded(STREAMING[name]())
    history = layer.new_history(1, CPU)
    address, shape = history.data_ptr(), history.shape
    layer(noise(1, RATE, channels_of(layer)), history)
    assert (history.data_ptr(), history.shape) == (address, shape)
    assert history.any()


@pytest.mark.parametrize("name", STREAMING)
def test_nothing_is_heard_ahead_of_time(name: str) -> None:
    layer, _ = loaded(STREAMING[name]())
    x = noise(1, 4 * RATE, channels_of(layer))
    changed = torch.cat((x[:, : 2 * RATE], -x[:, 2 * RATE :]), 1)
    before = heard(layer, x[:, : 2 * RATE]).size(1)
    torch.testing.assert_close(heard(layer, changed)[:, :before], heard(layer, x)[:, :before], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("dilation", "groups"), [(1, 1), (3, 1), (1, 8), (9, 8)])
def test_a_causal_convolution_is_a_convolution_padded_on_the_left(dilation: int, groups: int) -> None:
    layer, weights = loaded(CausalConv(8, 8, 7, dilation=dilation, groups=groups))
    x = noise(2, 20, 8)
    expected = native(functional.conv1d, x, *weights.values(), padding=6 * dilation, dilation=dilation, groups=groups)
    torch.testing.assert_close(heard(layer, x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("rate", [2, 3, 7])
@pytest.mark.parametrize("late", [0, 1])
def test_a_strided_convolution_is_one_padded_on_the_left(rate: int, late: int) -> None:
    layer, weights = loaded(StridedConv(8, 12, rate, memory=rate + late))
    x = noise(2, 5 * rate, 8)
    expected = native(functional.conv1d, x, *weights.values(), padding=rate + late, stride=rate)
    assert expected.size(1) == 5
    torch.testing.assert_close(heard(layer, x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("rate", [2, 3, 7])
def test_a_transposed_convolution_is_one_cut_off_on_the_right(rate: int) -> None:
    layer, weights = loaded(TransposedConv(8, 6, rate))
    x = noise(2, 5, 8)
    expected = native(functional.conv_transpose1d, x, *weights.values(), stride=rate)[:, : 5 * rate]
    torch.testing.assert_close(heard(layer, x), expected, atol=1e-6, rtol=1e-6)


def test_a_pointwise_convolution_is_one_of_kernel_one() -> None:
    layer, weights = loaded(Pointwise(8, 12))
    x = noise(2, 5, 8)
    torch.testing.assert_close(layer(x), native(functional.conv1d, x, *weights.values()), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.3, 4.0])
def test_a_snake_adds_its_square_wave(alpha: float) -> None:
    layer = Snake(4)
    layer.alpha = nn.Parameter(torch.full((1, 4, 1), alpha), requires_grad=False)
    layer.prepare(rounding_to(torch.float32))
    x = noise(2, 5, 4)
    expected = x.double() + (alpha * x.double()).sin() ** 2 / (alpha + 1e-9)
    torch.testing.assert_close(layer(x), expected.float(), atol=1e-6, rtol=1e-6)


def test_windows_are_neighbours_in_order() -> None:
    x = torch.arange(10.0).view(1, 5, 2)
    assert windows(x, 2).tolist() == [[[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9]]]
    assert windows(x, 2, 3).tolist() == [[[0, 1, 2, 3], [6, 7, 8, 9]]]
