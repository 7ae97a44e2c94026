"""A small model for ONNX Runtime, written by hand, and packages that carry it in four parts."""

import hashlib
from pathlib import Path

import numpy as np

from voxcli.models.kokoro import PACKAGES, KokoroSource


def small_model(name: str = "speech") -> bytes:
    """Return a model with one input and one output that is the same.

    The format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, fields by number.
    """
    shape = _field(1, _field(2, b"n"))
    kind = _field(1, _number(1, 1) + _field(2, shape))  # a tensor of float32
    node = _field(1, b"x") + _field(2, name.encode()) + _field(4, b"Identity")
    inputs = _field(11, _field(1, b"x") + _field(2, kind))
    outputs = _field(12, _field(1, name.encode()) + _field(2, kind))
    graph = _field(1, node) + _field(2, b"small") + inputs + outputs
    return _number(1, 8) + _field(8, _field(1, b"") + _number(2, 17)) + _field(7, graph)


def write_packages(folder: Path, data: bytes) -> KokoroSource:
    """Write the four packages that hold a file, and return them as a source."""
    quarter = len(data) // len(PACKAGES) + 1
    paths = []
    for number, package in enumerate(PACKAGES):
        (folder / package).mkdir(parents=True, exist_ok=True)
        (folder / package / "__init__.py").touch()
        paths.append(folder / package / "part.bin")
        paths[-1].write_bytes(data[number * quarter : (number + 1) * quarter])
    return KokoroSource(tuple(paths), hashlib.sha256(data).hexdigest())


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _length(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def _length(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7])


def convolution(weights: np.ndarray, *, zero: int, weight_zero: int) -> bytes:
    """Return a model with one ConvInteger of weights (out, in, width), of 8 bits, on an input "x" (1, in, n)."""
    kind = 2 if weights.dtype == np.uint8 else 3
    names = (b"x", b"w", b"x_zero", b"w_zero")
    node = b"".join(_field(1, name) for name in names) + _field(2, b"y") + _field(4, b"ConvInteger")
    tensors = (
        (b"w", kind, weights.shape, weights.tobytes()),
        (b"x_zero", 2, (), bytes([zero])),
        (b"w_zero", kind, (), bytes([weight_zero % 128])),
    )
    initializers = b"".join(
        _field(5, b"".join(_number(1, size) for size in shape) + _number(2, type_) + _field(8, name) + _field(9, data))
        for name, type_, shape, data in tensors
    )
    inputs = _field(11, _field(1, b"x") + _field(2, _kind(2, (1, weights.shape[1], 0))))
    outputs = _field(12, _field(1, b"y") + _field(2, _kind(6, (1, weights.shape[0], 0))))
    graph = _field(1, node) + _field(2, b"small") + initializers + inputs + outputs
    return _number(1, 8) + _field(8, _field(1, b"") + _number(2, 18)) + _field(7, graph)


def _kind(element: int, sizes: tuple[int, ...]) -> bytes:
    """Describe a tensor; a size of 0 is any."""
    shape = b"".join(_field(1, _number(1, size) if size else _field(2, b"n")) for size in sizes)
    return _field(1, _number(1, element) + _field(2, shape))
