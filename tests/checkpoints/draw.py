"""Random tensors, bit-identical on every machine, generated in pieces."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_PIECE = 1 << 20
"""Values per piece. Even, because each raw number of the generator gives two values."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """A tensor of `shape` with values uniformly distributed between `low` and `high`."""

    shape: tuple[int, ...]
    low: float
    high: float

    @property
    def size(self) -> int:
        return math.prod(self.shape)


Tensors = dict[str, "Uniform | NDArray[np.int32]"]
"""Tensors by name: the distribution to draw from, or the values of a tensor that is not random."""


def around_zero(shape: tuple[int, ...], deviation: float) -> Uniform:
    return Uniform(shape, -deviation * math.sqrt(3), deviation * math.sqrt(3))


def drawn(tensor: Uniform, seed: int, name: str) -> Iterator[Floats]:
    """Yield the flattened values in pieces. Each name has its own random stream, so no tensor depends on another.

    NumPy guarantees PCG64's raw numbers across versions, and every operation here is correctly rounded. Normal
    distributions are guaranteed neither across machines nor across versions.
    """
    raw = np.random.PCG64(np.random.SeedSequence([seed, crc32(name.encode())]))
    low, span = np.float32(tensor.low), np.float32(tensor.high - tensor.low)
    for start in range(0, tensor.size, _PIECE):
        count = min(_PIECE, tensor.size - start)
        bits = raw.random_raw((count + 1) // 2).astype("<u8", copy=False).view("<u4")[:count]
        yield (bits >> np.uint32(8)).astype(np.float32) * np.float32(2**-24) * span + low


def drawn_whole(tensor: Uniform, seed: int, name: str) -> Floats:
    return np.concatenate(list(drawn(tensor, seed, name))).reshape(tensor.shape)
