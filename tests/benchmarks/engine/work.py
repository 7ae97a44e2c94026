"""Work of one step, counted from the config: the bytes it must read and the operations it takes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from voxcli.voxcpm.network.config import Architecture, CodecConfig, ModelConfig, StackConfig
from voxcli.voxcpm.network.local_dit import new_time_grid
from voxcli.voxcpm.weights.quantization import FP8, INT8, KEPT_BY_FP8


@dataclass(frozen=True, slots=True)
class Widths:
    """Bytes per weight."""

    whole: float
    """Of everything without a width of its own."""
    codec: float
    quantized: float
    """Of the matrices of the transformer blocks, if quantized to 8 bits."""
    kept: str = ""
    """Regular expression for the names of block matrices that are not quantized."""

    @classmethod
    def of(cls, device: str, dtype: str, quantize: str | None) -> "Widths":
        whole = 4 if dtype == "float32" else 2
        # The codec multiplies in float32, except on a CPU where the rest uses bfloat16.
        codec = 2 if device == "cpu" and (quantize or dtype == "bfloat16") else 4
        kept = {None: r"\.layers\.", INT8: "", FP8: KEPT_BY_FP8}[quantize]
        return cls(whole, codec, 1, kept)

    def of_matrix(self, name: str) -> float:
        return self.whole if self.kept and re.search(self.kept, name) else self.quantized


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a step: what it reads for all streams together, and computes for each."""

    read: float  # bytes
    done: float = 0.0  # operations per stream


@dataclass(frozen=True, slots=True)
class Work:
    """One step, part by part."""

    parts: dict[str, Part]
    memory: float
    """Bytes of keys and values read per stream."""
    prefill: float
    """Operations of the prefill, per stream."""

    def bytes_read(self, streams: int) -> float:
        return sum(part.read for part in self.parts.values()) + streams * self.memory

    def operations(self, streams: int) -> float:
        return streams * sum(part.done for part in self.parts.values())

    def seconds(self, streams: int, bandwidth: float, rate: float) -> float:
        """Return the least time for a step: reading or arithmetic, whichever takes longer.

        Args:
            bandwidth: bytes a second.
            rate: operations a second.
        """
        return max(self.bytes_read(streams) / bandwidth, self.operations(streams) / rate)

    def before_first(self) -> "Work":
        """Return the work before the first chunk: prefill instead of a step, and no patch to encode yet."""
        parts = {name: part for name, part in self.parts.items() if name != ENCODER}
        parts[BASE] = replace(parts[BASE], done=self.prefill)
        parts[RESIDUAL] = replace(parts[RESIDUAL], done=0.0)
        return Work(parts, 0.0, 0.0)

    def whole_prefill(self) -> Part:
        """Return the prefill of one stream, which reads both language models."""
        return Part(self.parts[BASE].read + self.parts[RESIDUAL].read, self.prefill)


PREFILL, STOP_HEAD, DIT, ENCODER = "prefill", "stop head", "local DiT", "local encoder"
BASE, RESIDUAL, PROJECTIONS, CODEC = "base LM", "residual LM", "projections", "codec"


def evaluations_of(steps: int) -> int:
    """Return the number of flow evaluations: the first steps of the time grid are skipped."""
    return len(new_time_grid(steps, torch.device("cpu"), torch.float32).times)


def work_of(config: ModelConfig, widths: Widths, *, evaluations: int, positions: int, text: int) -> Work:
    """Count the work of a step with guidance.

    Args:
        positions: filled positions of the KV cache.
        text: positions of the prompt text.
    """
    base, residual = config.base_lm, config.residual_lm
    dit, encoder = config.local_dit, config.local_encoder
    base_size, residual_size = stack_size(base), stack_size(residual)
    dit_rows = 2 * evaluations * _dit_tokens(config)
    dit_ends = 3 * config.latent_dim * dit.hidden
    encoder_rows = 1 + config.patch_size
    encoder_ends = config.latent_dim * encoder.hidden + encoder.hidden * base.hidden
    stop, joints = base.hidden * base.hidden + 2 * base.hidden, _joints_size(config)
    codec, codec_done = codec_size(config.codec), codec_operations(config)
    parts = {
        STOP_HEAD: Part(widths.whole * stop, 2 * stop),
        DIT: Part(
            evaluations * (stack_bytes(dit, widths) + widths.whole * dit_ends),
            2 * dit_rows * (stack_size(dit) + dit_ends),
        ),
        ENCODER: Part(
            stack_bytes(encoder, widths) + widths.whole * encoder_ends,
            2 * encoder_rows * (stack_size(encoder) + encoder_ends),
        ),
        BASE: Part(stack_bytes(base, widths), 2 * base_size),
        RESIDUAL: Part(stack_bytes(residual, widths), 2 * residual_size),
        PROJECTIONS: Part(widths.whole * joints, 2 * joints),
        CODEC: Part(widths.codec * codec, codec_done),
    }
    kept = 2 * (base.layers * base.kv_heads * base.head_dim + residual.layers * residual.kv_heads * residual.head_dim)
    return Work(parts, widths.whole * positions * kept, 2 * text * (base_size + residual_size))


def times_size(config: ModelConfig) -> int:
    """Count the weights of the time embedding. A step need not read them: the times never change."""
    return 2 * config.local_dit.hidden**2


def stack_size(stack: StackConfig) -> int:
    """Count the weights of a transformer stack."""
    return stack.layers * (_attention_size(stack) + _mlp_size(stack) + 2 * stack.hidden) + stack.hidden


def stack_bytes(stack: StackConfig, widths: Widths) -> float:
    """Count the bytes of these weights."""
    matrices = sum(
        widths.of_matrix(f".layers.{layer}.self_attn.") * _attention_size(stack)
        + widths.of_matrix(f".layers.{layer}.mlp.") * _mlp_size(stack)
        for layer in range(stack.layers)
    )
    return matrices + widths.whole * (2 * stack.layers + 1) * stack.hidden


def _attention_size(stack: StackConfig) -> int:
    return stack.hidden * stack.head_dim * 2 * (stack.heads + stack.kv_heads)


def _mlp_size(stack: StackConfig) -> int:
    return 3 * stack.hidden * stack.ffn


def _dit_tokens(config: ModelConfig) -> int:
    """Count the positions of the local DiT: conditioning, the previous patch and the new one."""
    guides = 3 if config.architecture is Architecture.V2 else 1
    return guides + 2 * config.patch_size


def _joints_size(config: ModelConfig) -> int:
    hidden = config.base_lm.hidden
    fusion = 2 * hidden * hidden if config.architecture is Architecture.V2 else 0
    return 2 * hidden * config.fsq_dim + 2 * hidden * config.local_dit.hidden + fusion


def codec_size(codec: CodecConfig) -> int:
    """Count the weights of the decoder."""
    return sum(weights for weights, _ in _codec_layers(codec))


def codec_operations(config: ModelConfig) -> int:
    """Count the operations for a patch."""
    return sum(2 * weights * config.patch_size * often for weights, often in _codec_layers(config.codec))


def _codec_layers(codec: CodecConfig) -> Iterator[tuple[int, int]]:
    """Yield the weights of each convolution of the decoder, and how often they are applied per frame."""
    width = codec.decoder_dim
    if codec.depthwise:
        yield 7 * codec.latent_dim + codec.latent_dim * width, 1
    else:
        yield 7 * codec.latent_dim * width, 1
    often = 1
    widths = [width >> number for number in range(len(codec.decoder_rates) + 1)]
    for (inputs, outputs), rate in zip(pairwise(widths), codec.decoder_rates, strict=True):
        yield 2 * rate * inputs * outputs, often
        often *= rate
        yield 3 * (7 * outputs * (1 if codec.depthwise else outputs) + outputs * outputs), often
    yield 7 * widths[-1], often
