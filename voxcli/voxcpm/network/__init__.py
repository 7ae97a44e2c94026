"""The network of VoxCPM: language models, local DiT, KV cache."""
