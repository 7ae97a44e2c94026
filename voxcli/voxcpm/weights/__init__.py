"""Weights: checkpoint files, LoRA, quantization."""
