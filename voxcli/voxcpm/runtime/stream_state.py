"""Device state of one stream, and its preparation: shared by both runners."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.backbone import LMState
from voxcli.voxcpm.network.local_dit import Solver
from voxcli.voxcpm.network.sequence import AudioSegment
from voxcli.voxcpm.runtime.stream import Stream


@dataclass(slots=True, eq=False)
class StreamState:
    """The state of a stream between two patches: KV caches, flow solver, random generator, codec state."""

    lm_state: LMState
    solver: Solver
    noise: torch.Generator
    codec_state: DecoderState


class PromptContexts:
    """States of the codec after the prompts of streams. Each is kept as long as its clip, since all texts share it."""

    def __init__(self, codec: AudioVAE, patches: int) -> None:
        """patches: how many of a prompt are decoded, the last ones."""
        self._codec = codec
        self._patches = patches
        self._kept: WeakKeyDictionary[AudioSegment, DecoderState] = WeakKeyDictionary()

    def state_after(self, stream: Stream) -> DecoderState | None:
        """Return the state before the first patch, which is not to be modified; None if the stream has no prompt."""
        prompt = stream.sequence[-1]
        if not stream.prompt_patches or not isinstance(prompt, AudioSegment):
            return None
        if prompt in self._kept:
            return self._kept[prompt]
        context = torch.cat(stream.prompt_patches)[-self._patches :]
        state = self._codec.new_decoder_state(1)
        self._codec.decode(as_latents(context.flatten(0, 1).unsqueeze(0)), state)
        if len(prompt) >= self._patches or len(stream.prompt_patches) == 1:  # it depends on this clip alone
            self._kept[prompt] = state
        return state


def new_generator(seed: int, device: torch.device) -> torch.Generator:
    """Return the source of a stream's noise."""
    return torch.Generator(device).manual_seed(seed)


def draw_noise(noise: Tensor, generator: torch.Generator) -> None:
    """Fill a tensor, (1, D, P), with the noise of a patch, as the `voxcpm` package draws it."""
    noise.normal_(generator=generator)


def can_draw_noise(device: torch.device, dtype: torch.dtype, shape: tuple[int, int]) -> bool:
    """Return whether a kernel draws the noise of many streams at once, the same as a generator for each.

    It depends on how torch draws random numbers on this device, so it is tried out.
    """
    if not ops.has_kernels(device):
        return False
    seed = 1 << 40 | 1234
    seeds, counts = (torch.full((1,), number, device=device) for number in (seed, 0))
    noise, expected = torch.zeros(2, 1, *shape, device=device, dtype=dtype)
    generator = new_generator(seed, device)
    for _ in range(2):
        ops.draw_noise(noise, seeds, counts, counts >= 0)
        draw_noise(expected, generator)
    step = torch.finfo(dtype).eps
    return torch.allclose(noise, expected, rtol=2 * step, atol=max(2 * step, 5e-5))


def as_latents(frames: Tensor) -> Tensor:
    """Convert frames, (B, T, D), to the codec's layout, (B, D, T) in float32."""
    return frames.transpose(1, 2).float()
