"""What a stream has of its own while it speaks, and how it begins."""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.network.backbone import Backbone, LMState, Solver
from voxcli.voxcpm.runtime.stream import Stream


@dataclass(slots=True, eq=False)
class StreamState:
    """Where a stream stands, how its flow is solved, where its noise comes from, what its codec has heard."""

    state: LMState
    solver: Solver
    noise: torch.Generator
    heard: DecoderState


def new_stream_state(stream: Stream, state: LMState, backbone: Backbone, codec: AudioVAE) -> StreamState:
    """Prepare a stream, whose sequence has led to `state`, for its first patch."""
    heard = codec.new_decoder_state(1)
    if stream.heard:
        context = torch.cat(stream.heard)[-backbone.config.context_patches :]
        codec.decode(as_latents(context.flatten(0, 1).unsqueeze(0)), heard)
    return StreamState(
        state,
        backbone.new_solver(stream.steps, stream.guidance),
        torch.Generator(backbone.device).manual_seed(stream.seed),
        heard,
    )


def draw_noise(generator: torch.Generator, like: Tensor) -> Tensor:
    """Draw noise like a patch, (1, P, D): latents first, as the reference draws it."""
    _, frames, width = like.shape
    noise = torch.randn((1, width, frames), generator=generator, device=like.device, dtype=like.dtype)
    return noise.transpose(1, 2)


def as_latents(frames: Tensor) -> Tensor:
    """Turn frames, (B, T, D), into what the codec decodes, (B, D, T)."""
    return frames.transpose(1, 2).float()
