"""Steps of a decoder's layers, with the memory that they use, for the native decoder."""

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.codec.blocked_product import padded
from voxcli.voxcpm.codec.decoder_layers import DecoderLayers, stored_channels
from voxcli.voxcpm.codec.layers import CausalConv, Layer
from voxcli.voxcpm.kernels.cpu.factors import MOST_ROWS
from voxcli.voxcpm.kernels.cpu.steps import TAPS, Field, Kind
from voxcli.voxcpm.kernels.factor_formats import FactorFormat


class DecoderSteps:
    """The steps of a decoder for any number of frames up to a limit, all in the same memory."""

    def __init__(self, layers: DecoderLayers, factors: FactorFormat, frames: int) -> None:
        """frames: the most of a call."""
        self._layers = layers
        self._parameters: dict[tuple[int, str], Tensor] = {}
        spare = MOST_ROWS  # rows that are read, and not used
        self.frames = torch.zeros(frames, stored_channels(layers.first))
        self._windows = []
        rows, largest = frames, (frames + spare) * stored_channels(layers.first)
        for block in layers.blocks:
            width = padded(len(block.snake.tensors()["_alpha"]))
            self._windows.append(torch.zeros(rows + 1 + spare, width, dtype=factors.activation))
            rows *= block.rate
            largest = max(largest, (rows + spare) * stored_channels(block.units[0].conv))
        self._sums, self._first, self._second = torch.zeros(3, largest)
        self._activations = torch.zeros(largest, dtype=factors.activation)

    def steps(self, frames: int) -> Tensor:
        """Return the steps for a number of frames, (steps, fields)."""
        layers, history, rows = self._layers, 0, frames
        given, other = self._first, self._second
        steps = _Steps()
        for number, (window, block) in enumerate(zip(self._windows, layers.blocks, strict=True)):
            place = 1 + number * (1 + len(block.units))
            steps.add(Kind.RECALL, columns=window.size(1), history=place, activations=window)
        self._add_conv(steps, layers.first, None, history, rows=rows, input=self.frames)
        pointwise, residual = layers.widen, 0
        for window, block in zip(self._windows, layers.blocks, strict=True):
            history += 1
            condition = {} if block.condition is None else self._condition(block.condition)
            self._add_pointwise(
                steps, pointwise, block.snake, rows, residual, next=window[1:], history=history, **condition
            )
            steps.add(
                Kind.MULTIPLY,
                barrier=1,
                rows=rows,
                stride=window.size(1),
                activations=window,
                **self._product(block.transposed, block.units[0].snake),
                sum=self._sums,
                output=given,
            )
            rows, residual = rows * block.rate, 1
            for unit, following in zip(block.units, [*(unit.snake for unit in block.units[1:]), None], strict=True):
                history += 1
                self._add_conv(steps, unit.conv, unit.second_snake, history, barrier=1, rows=rows, input=given)
                given, other = other, given
                pointwise = unit.pointwise
                if following:
                    self._add_pointwise(steps, pointwise, following, rows, 1, sum=self._sums, output=given)
        self._add_pointwise(steps, pointwise, layers.snake, rows, residual, output=given)
        self._add_last(steps, history + 1, rows, given)
        return steps.table()

    def _add_conv(
        self, steps: "_Steps", conv: CausalConv, snake: Layer | None, history: int, **rest: int | Tensor
    ) -> None:
        """Add a depthwise convolution and, in the next phase, the update of its history."""
        steps.add(
            Kind.CONVOLVE,
            **self._conv(conv, history),
            dilation=conv.dilation,
            activations=self._activations,
            alpha=self._parameter(snake, "_alpha") if snake else self._zeros(conv),
            inverse=self._parameter(snake, "_inverse") if snake else self._zeros(conv),
            **rest,
        )
        steps.add(Kind.REMEMBER, **self._conv(conv, history), **{**rest, "barrier": 1})

    def _add_pointwise(
        self, steps: "_Steps", layer: Layer, snake: Layer, rows: int, residual: int, **rest: int | Tensor
    ) -> None:
        """Add a product to the phase that the update of a history has begun."""
        product = self._product(layer, snake)
        steps.add(
            Kind.MULTIPLY,
            rows=rows,
            stride=product["inputs"],
            activations=self._activations,
            residual=self._sums if residual else 0,
            **product,
            **rest,
        )

    def _add_last(self, steps: "_Steps", history: int, rows: int, given: Tensor) -> None:
        conv = self._conv(self._layers.last, history)
        steps.add(Kind.SOUND, **conv, barrier=1, rows=rows, input=given)
        steps.add(Kind.REMEMBER, **conv, barrier=1, rows=rows, input=given)

    def _conv(self, conv: CausalConv, history: int) -> dict[str, int | Tensor]:
        return {
            "columns": stored_channels(conv),
            "weights": self._parameter(conv, "_kernel"),
            "bias": self._parameter(conv, "_shift"),
            "history": history,
            "memory": conv.memory,
        }

    def _product(self, layer: Layer, snake: Layer) -> dict[str, int | Tensor]:
        tensors = layer.tensors()
        blocks, bias = tensors["_product.blocks"], tensors["_product.bias"]
        times = len(bias) // padded(len(snake.tensors()["_alpha"]))
        return {
            "columns": len(bias),
            "inputs": blocks.size(1),
            "weights": blocks,
            "weight_bytes": blocks.itemsize,
            "scales": tensors["_product.scales"],
            "bias": bias,
            "alpha": self._parameter(snake, "_alpha", times),
            "inverse": self._parameter(snake, "_inverse", times),
        }

    def _condition(self, condition: Layer) -> dict[str, int | Tensor]:
        return {"factor": self._parameter(condition, "_scale"), "shift": self._parameter(condition, "_shift")}

    def _zeros(self, conv: CausalConv) -> Tensor:
        return self._parameters.setdefault((id(conv), "zeros"), torch.zeros(stored_channels(conv)))

    def _parameter(self, layer: Layer, name: str, times: int = 1) -> Tensor:
        """Return a tensor of a layer with the channels that are stored, the last axis of a kernel too.

        times: how often it is repeated.
        """
        key = id(layer), name
        if key not in self._parameters:
            tensor = layer.tensors()[name]
            if name == "_kernel":
                tensor = tensor.reshape(-1, TAPS).T
            missing = padded(tensor.size(-1)) - tensor.size(-1)
            self._parameters[key] = torch.cat([functional.pad(tensor, (0, missing))] * times, dim=-1).contiguous()
        return self._parameters[key]


class _Steps:
    """A table of steps that is being written."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []

    def add(self, kind: Kind, **fields: int | Tensor) -> None:
        row = [0] * len(Field)
        row[Field.kind] = kind
        for name, value in fields.items():
            row[Field[name]] = value.data_ptr() if isinstance(value, Tensor) else value
        self._rows.append(row)

    def table(self) -> Tensor:
        return torch.tensor(self._rows)
