"""From a patch of latents to one position of the language model."""

import torch
from torch import Tensor, nn

from voxcli.voxcpm.config import StackConfig
from voxcli.voxcpm.linear import Linear
from voxcli.voxcpm.transformer import Stack


class LocalEncoder(nn.Module):
    """Reads the frames of a patch together with a token of its own, and answers with that token."""

    def __init__(self, config: StackConfig, latent_dim: int) -> None:
        super().__init__()
        self.special_token = nn.Parameter(torch.empty(1, 1, 1, config.hidden))
        self.in_proj = Linear(latent_dim, config.hidden)
        self.encoder = Stack(config)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches, (N, P, D), to (N, hidden)."""
        frames = self.in_proj(patches)
        token = self.special_token[0].expand(len(patches), 1, -1)
        encoded: Tensor = self.encoder(torch.cat((token, frames), 1))
        return encoded[:, 0]
