"""Device state of one stream, and its preparation: shared by both runners."""

from dataclasses import dataclass

import torch
from torch import Tensor

from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.network.backbone import Backbone, LMState, Solver
from voxcli.voxcpm.runtime.stream import Stream


@dataclass(slots=True, eq=False)
class StreamState:
    """The state of a stream between two patches: KV caches, flow solver, random generator, codec state."""

    lm_state: LMState
    solver: Solver
    noise: torch.Generator
    codec_state: DecoderState


def new_stream_state(stream: Stream, lm_state: LMState, backbone: Backbone, codec: AudioVAE) -> StreamState:
    """Prepare a stream for its first patch.

    Args:
        lm_state: after the prefill of the stream's sequence.
    """
    codec_state = codec.new_decoder_state(1)
    if stream.prompt_patches:
        context = torch.cat(stream.prompt_patches)[-backbone.config.context_patches :]
        codec.decode(as_latents(context.flatten(0, 1).unsqueeze(0)), codec_state)
    return StreamState(
        lm_state,
        backbone.new_solver(stream.steps, stream.guidance),
        torch.Generator(backbone.device).manual_seed(stream.seed),
        codec_state,
    )


def draw_noise(generator: torch.Generator, like: Tensor) -> Tensor:
    """Draw the noise of a patch, (1, P, D), latent dimension first as the `voxcpm` package draws it."""
    _, frames, width = like.shape
    noise = torch.randn((1, width, frames), generator=generator, device=like.device, dtype=like.dtype)
    return noise.transpose(1, 2)


def as_latents(frames: Tensor) -> Tensor:
    """Convert frames, (B, T, D), to the codec's layout, (B, D, T) in float32."""
    return frames.transpose(1, 2).float()
