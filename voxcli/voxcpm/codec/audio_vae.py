"""The audio codec: a causal convolutional autoencoder from samples to frames and back.

Parameters are named as in the checkpoint, with weight norm folded. Sound and latents are float32 here, whatever the
rest of the model is computed in.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.errors import ModelError
from voxcli.voxcpm.codec.blocked_product import BlockedProduct
from voxcli.voxcpm.codec.decoder_layers import BlockLayers, DecoderLayers, UnitLayers
from voxcli.voxcpm.codec.layers import (
    CausalConv,
    Chain,
    Layer,
    NewProduct,
    Pointwise,
    Snake,
    StridedConv,
    TransposedConv,
    new_histories,
    rounding_to,
    through,
)
from voxcli.voxcpm.kernels.factor_formats import FactorFormat, format_of
from voxcli.voxcpm.network.config import CodecConfig

if TYPE_CHECKING:
    from voxcli.voxcpm.codec.native_decoder import NativeDecoder

_FRAMES_AT_ONCE = 25
"""Frames of a long clip that are encoded at a time, to bound memory."""

_KERNEL = 7
_DILATIONS = (1, 3, 9)


@dataclass(frozen=True, slots=True, eq=False)
class DecoderState:
    """The newest inputs of every streaming decoder layer. Decoding updates them in place; shapes never change."""

    histories: tuple[Tensor, ...]
    """(B, samples, channels) each, in the order of the layers."""

    def copy(self) -> "DecoderState":
        """Return an independent copy."""
        return DecoderState(tuple(history.clone() for history in self.histories))


class AudioVAE(nn.Module):
    """The codec. Load its weights, move it to its device, and call `prepare` before anything else."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)
        self._device = torch.device("meta")
        self._native: NativeDecoder | None = None

    @torch.no_grad()
    def prepare(self, matmul_dtype: torch.dtype = torch.float32, factors: FactorFormat | None = None) -> None:
        """Convert the weights to the layout they are used in. Call it once, after loading.

        Args:
            matmul_dtype: of the factors of matrix products. bfloat16 is faster on processors that support it, and adds
                noise about 40 dB below the signal.
            factors: of the products of a decoder that is compiled for this processor; None leaves it to torch.
        """
        self._device = next(self.parameters()).device
        new_product = rounding_to(matmul_dtype)
        for part in _layers(self.encoder):
            part.prepare(new_product)
        largest = self.decoder.largest
        new_large_product = new_product
        if factors and self.config.depthwise:
            new_product = partial(BlockedProduct, factors=factors)
            new_large_product = partial(BlockedProduct, factors=factors.few_rows)
        for part in _layers(self.decoder):
            part.prepare(new_large_product if part is largest else new_product)

    def restored_on(self, device: torch.device) -> None:
        """Take the place of `prepare` when all layers have been restored."""
        self._device = device

    @property
    def _is_gpu(self) -> bool:
        return self._device.type == "cuda"

    def compile(self, kept: Path | None = None) -> None:
        """Compile the decoder, if it has been prepared for that.

        Args:
            kept: folder of compiled code.
        """
        if factors := self.decoder.factors:
            from voxcli.voxcpm.codec.native_decoder import NativeDecoder

            self._native = NativeDecoder(self.decoder.layers(), factors, kept)

    @torch.no_grad()
    def encode(self, samples: Tensor) -> Tensor:
        """Encode samples at the input rate, (B, n), as latents, (B, D, frames). The last frame is padded with zeros."""
        return torch.cat(list(self.encoded(samples)), dim=2)

    def encoded(self, samples: Tensor) -> Iterator[Tensor]:
        """Encode lazily: yield what `encode` returns in pieces of about a second, (B, D, frames) each.

        A GPU is given pieces of one size only, as its libraries choose kernels anew for every shape, and compile some.
        """
        hop = self.config.input_hop
        at_once = _FRAMES_AT_ONCE * hop
        left = -(-samples.size(1) // hop)
        filled = functional.pad(samples.float(), (0, -samples.size(1) % (at_once if self._is_gpu else hop)))
        histories = new_histories(self.encoder, samples.size(0), self._device)
        for piece in torch.split(filled.unsqueeze(2), at_once, dim=1):
            # No frame depends on what comes after it.
            frames = self.encoder(piece, iter(histories)).transpose(1, 2)[:, :, :left]
            left -= frames.size(2)
            yield frames

    def new_decoder_state(self, batch: int) -> DecoderState:
        """Return the initial state of a batch of streams."""
        if self._native:
            return DecoderState(self._native.new_histories(batch))
        return DecoderState(new_histories(self.decoder, batch, self._device))

    @torch.no_grad()
    def decode(self, latents: Tensor, state: DecoderState) -> Tensor:
        """Decode the next latents of each stream, (B, D, T), to samples at the output rate, (B, T·hop)."""
        if self._native:
            return self._native.decode(latents.float().transpose(1, 2), state.histories)
        samples: Tensor = self.decoder(latents.float().transpose(1, 2), iter(state.histories))
        return samples.squeeze(2)


class _Encoder(nn.Module):
    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        width = config.encoder_dim
        self.block = Chain([CausalConv(1, width, _KERNEL)])
        for rate in config.encoder_rates:
            self.block.append(_EncoderBlock(width, rate, config))
            width *= 2
        self.fc_mu = CausalConv(width, config.latent_dim, 3)

    def forward(self, samples: Tensor, histories: Iterator[Tensor]) -> Tensor:
        return through(self.fc_mu, self.block(samples, histories), histories)


class _Decoder(nn.Module):
    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        latent, width = config.latent_dim, config.decoder_dim
        if config.depthwise:
            self.model = Chain([CausalConv(latent, latent, _KERNEL, groups=latent), Pointwise(latent, width)])
        else:
            self.model = Chain([CausalConv(latent, width, _KERNEL)])
        self.sr_cond_model = nn.ModuleDict()
        for rate in config.decoder_rates:
            if config.rate_boundaries is not None:
                condition = _RateCondition(width, config.output_rate, config.rate_boundaries)
                self.sr_cond_model[str(len(self.model))] = condition
            self.model.append(_DecoderBlock(width, rate, config))
            width //= 2
        self.model.extend([Snake(width), CausalConv(width, 1, _KERNEL)])

    def forward(self, latents: Tensor, histories: Iterator[Tensor]) -> Tensor:
        x = latents
        for place, layer in self.model.named_children():
            if place in self.sr_cond_model:
                x = self.sr_cond_model[place](x)
            x = through(layer, x, histories)
        return x.tanh()

    @property
    def factors(self) -> FactorFormat | None:
        """Of its products, if they are in blocks."""
        widen = self.model[1]
        found = widen.tensors().get("_product.blocks") if isinstance(widen, Pointwise) else None
        return None if found is None else format_of(found)

    @property
    def largest(self) -> Layer:
        """The layer with most of the weights, which meets one row for each frame."""
        block = next(part for part in self.model if isinstance(part, _DecoderBlock))
        layer = block.block[1]
        assert isinstance(layer, Layer)
        return layer

    def layers(self) -> DecoderLayers:
        """Return its layers, once they are prepared."""
        layers: list[Any] = [*self.model]
        first, widen, *between, snake, last = layers
        conditions: dict[str, Any] = dict(self.sr_cond_model.items())
        blocks = []
        for place, block in enumerate(between, 2):
            before, transposed, *chains = block.block
            units = [UnitLayers(*chain.block) for chain in chains]
            blocks.append(BlockLayers(conditions.get(str(place)), before, transposed, transposed.rate, units))
        return DecoderLayers(first, widen, blocks, snake, last)


class _Block(nn.Module):
    """A chain whose parameter names have one more level."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = Chain(layers)

    def forward(self, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
        return through(self.block, x, histories)


class _ResidualUnit(_Block):
    def __init__(self, width: int, dilation: int, config: CodecConfig) -> None:
        groups = width if config.depthwise else 1
        conv = CausalConv(width, width, _KERNEL, dilation=dilation, groups=groups)
        super().__init__(Snake(width), conv, Snake(width), Pointwise(width, width))

    def forward(self, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
        return x + super().forward(x, histories)


class _EncoderBlock(_Block):
    """Downsamples by `rate` and doubles the channels."""

    def __init__(self, width: int, rate: int, config: CodecConfig) -> None:
        # VoxCPM-0.5B and 1.5 pad for the next even rate, which delays odd rates by one sample.
        memory = 2 * math.ceil(rate / 2) - (rate % 2 if config.v2 else 0)
        units = (_ResidualUnit(width, dilation, config) for dilation in _DILATIONS)
        super().__init__(*units, Snake(width), StridedConv(width, 2 * width, rate, memory=memory))


class _DecoderBlock(_Block):
    """Upsamples by `rate` and halves the channels."""

    def __init__(self, width: int, rate: int, config: CodecConfig) -> None:
        units = (_ResidualUnit(width // 2, dilation, config) for dilation in _DILATIONS)
        super().__init__(Snake(width), TransposedConv(width, width // 2, rate), *units)


class _RateCondition(Layer):
    """Scales and shifts the input of a decoder block by an embedding of the output rate."""

    def __init__(self, width: int, rate: int, boundaries: tuple[int, ...]) -> None:
        super().__init__()
        buckets = len(boundaries) + 1
        # Without initial values: drawing them on the meta device imports torch's decompositions, which takes 2 s.
        self.scale_embed = nn.Embedding.from_pretrained(torch.empty(buckets, width))
        self.bias_embed = nn.Embedding.from_pretrained(torch.empty(buckets, width))
        self._bucket = bisect_left(boundaries, rate)

    def prepare(self, new_product: NewProduct) -> None:
        self._scale = self.scale_embed.weight[self._bucket].detach()
        self._shift = self.bias_embed.weight[self._bucket].detach()
        del self.scale_embed, self.bias_embed

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self._shift, x, self._scale)


def _layers(module: nn.Module) -> list[Layer]:
    return [part for part in module.modules() if isinstance(part, Layer)]


def fold_weight_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each pair of direction `weight_v` and length `weight_g` by the weight (arXiv 1602.07868).

    A length without a direction is kept under its own name, which no layer has, so that loading reports it.

    Raises:
        ModelError: a direction has no length.
    """
    folded = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight_v"):
            length = tensors.get(f"{name.removesuffix('v')}g")
            if length is None:
                raise ModelError(f"The codec has {name} and no length for it. Pull the model again.")
            norm = torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True)
            folded[name.removesuffix("_v")] = tensor * (length / norm)
        elif f"{name.removesuffix('g')}v" not in tensors or not name.endswith(".weight_g"):
            folded[name] = tensor
    return folded
