"""Fused operations: plain PyTorch, and Triton kernels on CUDA."""
