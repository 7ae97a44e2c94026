"""Layout of matrices for the kernels of transformer stacks, and whether there can be such kernels."""

from functools import cache
from importlib.util import find_spec

WORDS = 16
"""Words of 32 bits that a block holds for a group of inputs."""

INT8_OFFSET = 128
"""Added to int8 weights, since the instruction takes unsigned ones."""


@cache
def has_compiler() -> bool:
    """Whether kernels for a CPU can be compiled."""
    return find_spec("llvmlite") is not None
