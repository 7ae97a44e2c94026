"""Utterances for tests, and reference implementations to compare their samples with."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxcli.audio.chunk import Samples
from voxcli.voxcpm.model import Model, Utterance
from voxcli.voxcpm.network.backbone import Batch
from voxcli.voxcpm.network.sequence import build_sequence
from voxcli.voxcpm.tokenizer import on_one_line

TEXT = "你好世界 hello there"


def utterance(**changes: Any) -> Utterance:
    """Return a short utterance of a fixed length."""
    usual = {"text": TEXT, "steps": 4, "guidance": 2.0, "seed": 7, "min_patches": 3, "max_patches": 4}
    return Utterance(**(usual | changes))


def samples_of(model: Model, said: Utterance | None = None) -> Samples:
    return np.concatenate(list(model.stream(said or utterance())))


def patches_of(model: Model, said: Utterance) -> Tensor:
    """Generate the patches of an utterance without a runner, (max_patches, P, D)."""
    backbone, config = model._backbone, model.config
    ids = model._tokenizer.ids(said.transcript + on_one_line(said.text))
    noise = torch.Generator().manual_seed(said.seed)
    made: list[Tensor] = []
    with torch.inference_mode():
        state = backbone.prefill(build_sequence(ids, said.prompt, said.reference))
        solver = backbone.new_solver(said.steps, said.guidance)
        for _ in range(said.max_patches or 0):
            batch = Batch.of([state])
            if made:
                backbone.advance(batch, made[-1])
                batch.write_back([state])
            drawn = torch.randn((1, config.latent_dim, config.patch_size), generator=noise).transpose(1, 2)
            made.append(backbone.next_patches(batch, drawn, solver))
    return torch.cat(made)


def decoded(model: Model, patches: Tensor) -> Samples:
    """Decode all patches at once."""
    latents = patches.float().flatten(0, 1).T.unsqueeze(0)
    samples: Samples = model._codec.decode(latents, model._codec.new_decoder_state(1))[0].numpy()
    return samples


def clip(model: Model, seconds: float, seed: int = 1) -> Samples:
    """Return noise at the input rate of the codec."""
    count = round(seconds * model.config.codec.input_rate)
    noise: Samples = np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32)
    return noise
