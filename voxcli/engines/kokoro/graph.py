"""Graph of an ONNX model, rewritten for the processor: signed activations beside unsigned weights.

Processors with VNNI multiply unsigned by signed bytes. ONNX Runtime uses that for convolutions only if the activations
are the signed ones, and takes three times as long for the unsigned ones that dynamic quantization makes. Both numbers,
the activation and its zero point, become less by 128, so the products are the same.

The format is that of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, fields by number.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_GRAPH, _OPSET, _OPSET_VERSION = 7, 8, 2
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_DATA = 2, 8, 9
_UINT8, _INT8 = 2, 3
_LEAST_OPSET = 18
"""The first one with BitwiseXor."""

_ACTIVATION, _WEIGHT, _ZERO_POINT = 0, 1, 2
"""Inputs of ConvInteger."""
_128 = b"voxcli_128"
_FLIPPED, _SIGNED = b"_flipped", b"_signed"


def has_vnni(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether the processor multiplies bytes by VNNI; False where the system does not say."""
    if sys.platform != "linux":
        return False
    try:
        flags = next((line for line in cpu.read_text().splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return not {"avx512_vnni", "avx_vnni"}.isdisjoint(flags.split())


def with_signed_activations(model: bytes) -> bytes:
    """Return the model with signed activations of its convolutions of 8 bits; one that cannot be read, as it is."""
    try:
        fields = list(_fields(memoryview(model)))
        newest = max((_first(field.value, _OPSET_VERSION) for field in fields if field.number == _OPSET), default=0)
        if newest < _LEAST_OPSET:
            return model
        return b"".join(
            _field(_GRAPH, _rewritten(field.value)) if field.number == _GRAPH else bytes(field.raw) for field in fields
        )
    except (IndexError, ValueError):
        return model  # damaged, which ONNX Runtime tells


class _Field(NamedTuple):
    number: int
    value: memoryview
    """Of a number, its bytes; else without the length."""
    raw: memoryview


def _fields(data: memoryview) -> Iterator[_Field]:
    place = 0
    while place < len(data):
        start = place
        key, place = _varint(data, place)
        if key & 7 == 0:
            _, end = _varint(data, place)
        elif key & 7 == 2:
            size, place = _varint(data, place)
            end = place + size
        else:
            end = place + {1: 8, 5: 4}.get(key & 7, len(data) + 1)
        if end > len(data):
            raise ValueError("the data ends within a field")
        yield _Field(key >> 3, data[place:end], data[start:end])
        place = end


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, place


def _first(data: memoryview, number: int) -> int:
    """Return the number in a field; 0 if it is missing."""
    return next((_varint(field.value, 0)[0] for field in _fields(data) if field.number == number), 0)


def _rewritten(graph: memoryview) -> bytes:
    unsigned = {
        name
        for field in _fields(graph)
        if field.number == _INITIALIZER and _first(field.value, _TENSOR_TYPE) == _UINT8
        for name in _texts(field.value, _TENSOR_NAME)
    }
    parts: list[bytes | memoryview] = []
    signed: set[bytes] = set()
    for field in _fields(graph):
        if field.number == _NODE and _texts(field.value, _OPERATOR) == [b"ConvInteger"]:
            inputs = _texts(field.value, _INPUT)
            if inputs[_WEIGHT] in unsigned and len(inputs) > _ZERO_POINT:
                for name in (inputs[_ACTIVATION], inputs[_ZERO_POINT]):
                    if name not in signed:
                        signed.add(name)
                        parts += _conversion(name)
                parts.append(_field(_NODE, _with_signed_inputs(field.value)))
                continue
        parts.append(field.raw)
    if signed:
        tensor = _number(_TENSOR_TYPE, _UINT8) + _field(_TENSOR_NAME, _128) + _field(_TENSOR_DATA, b"\x80")
        parts.append(_field(_INITIALIZER, tensor))
    return b"".join(parts)


def _conversion(name: bytes) -> list[bytes]:
    """Return the nodes that take 128 off: by the highest bit, and by another reading of the same byte."""
    to_int8 = _field(1, b"to") + _number(3, _INT8) + _number(20, 2)  # an attribute of the type INT
    flip = _node(b"BitwiseXor", [name, _128], name + _FLIPPED)
    cast = _node(b"Cast", [name + _FLIPPED], name + _SIGNED) + _field(_ATTRIBUTE, to_int8)
    return [_field(_NODE, flip), _field(_NODE, cast)]


def _node(operator: bytes, inputs: list[bytes], output: bytes) -> bytes:
    return b"".join(_field(_INPUT, name) for name in inputs) + _field(_OUTPUT, output) + _field(_OPERATOR, operator)


def _with_signed_inputs(node: memoryview) -> bytes:
    parts: list[bytes | memoryview] = []
    place = 0
    for field in _fields(node):
        if field.number == _INPUT:
            changed = place in (_ACTIVATION, _ZERO_POINT)
            parts.append(_field(_INPUT, bytes(field.value) + _SIGNED) if changed else field.raw)
            place += 1
        else:
            parts.append(field.raw)
    return b"".join(parts)


def _texts(data: memoryview, number: int) -> list[bytes]:
    return [bytes(field.value) for field in _fields(data) if field.number == number]


def _field(number: int, data: bytes) -> bytes:
    return _encoded(number << 3 | 2) + _encoded(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _encoded(number << 3) + _encoded(value)


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
