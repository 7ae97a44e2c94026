"""Tensors as bytes in memory and back, without a copy: plain ones, and those in oneDNN's own layouts.

torch saves a packed tensor only unpacked. Its inductor keeps the bytes and the serialized layout instead, and makes the
tensor again through a C interface that does not change between versions (torch/csrc/inductor/aoti_torch/c/shim.h); the
same functions are called here. A serialized layout is valid for one version of oneDNN.
"""

import ctypes
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxcli.voxcpm.network.linear import PackedMatrix, can_pack, is_packed

_LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib", "win32": "torch_cpu.dll"}
_DTYPES = ("float32", "bfloat16", "float16", "int8")
_CPU = torch.device("cpu")
_PROBED = 64
"""Rows and columns of a small matrix, which is packed to find out the layouts in use."""


def bytes_of(tensor: Tensor) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return a description of a tensor, for `tensor_of`, and its memory, which has to outlive what is returned."""
    described: dict[str, Any] = {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
    if is_packed(tensor):
        layout: Tensor = torch.ops.mkldnn._get_mkldnn_serialized_md(tensor)
        described["layout"] = bytes(layout.numpy()).hex()
        address, size = torch.ops.mkldnn.data_ptr(tensor), torch.ops.mkldnn._nbytes(tensor)
        return described, np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    if not _is_dense(tensor):
        tensor = tensor.contiguous()
    described["strides"] = list(tensor.stride())
    return described, tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy()


def tensor_of(described: Mapping[str, Any], memory: Tensor) -> Tensor:
    """Return the tensor that `bytes_of` has described.

    Args:
        memory: its bytes, aligned to 64, which the tensor shares and keeps alive.
    """
    dtype = getattr(torch, described["dtype"])
    if "layout" not in described:
        return memory.view(dtype).as_strided(described["shape"], described["strides"])
    tensor = _packed(memory.data_ptr(), described["shape"], dtype, bytes.fromhex(described["layout"]))
    tensor.memory = memory  # type: ignore[attr-defined]  # which the tensor itself does not own
    return tensor


@cache
def layouts_in_use() -> list[str] | None:
    """Return the layouts of small packed matrices, which tell what oneDNN chooses on this machine.

    None if packed tensors cannot be made of memory here: then nothing that holds them can be kept.
    """
    try:
        found = []
        for dtype in (torch.float32, torch.bfloat16):
            if can_pack(_CPU, dtype):
                weight = torch.arange(_PROBED * _PROBED).view(_PROBED, _PROBED).remainder(7).to(dtype)
                matrix = PackedMatrix(weight, None)
                described, memory = bytes_of(matrix.tensors()["weight"])
                again = PackedMatrix.of_tensors({"weight": tensor_of(described, _copied(memory))})
                if not torch.equal(matrix(weight), again(weight)):
                    return None
                found.append(described["layout"])
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None
    return found


def _is_dense(tensor: Tensor) -> bool:
    """Whether the values fill the memory without gaps or overlaps, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _packed(address: int, shape: list[int], dtype: torch.dtype, layout: bytes) -> Tensor:
    create, codes, packed_layout = _interface()
    sizes, strides = (ctypes.c_int64 * len(shape))(*shape), (ctypes.c_int64 * len(shape))()
    handle = ctypes.c_void_p()
    failed = create(
        ctypes.c_void_p(address),
        ctypes.c_int64(len(shape)),
        sizes,
        strides,
        ctypes.c_int64(0),
        codes[dtype],
        0,  # the CPU
        0,
        ctypes.byref(handle),
        packed_layout,
        ctypes.c_char_p(layout),
        ctypes.c_int64(len(layout)),
    )
    if failed:
        raise RuntimeError("torch cannot make a packed tensor of memory.")
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    tensor: Tensor = torch._C._aoti.alloc_tensor_by_stealing_from_void_ptr(new_capsule(handle, None, None))
    return tensor


@cache
def _interface() -> tuple[Callable[..., int], dict[torch.dtype, int], int]:
    """Return the function that makes tensors of memory, and its codes of dtypes and of packed layouts.

    Raises:
        OSError, AttributeError: this torch has none.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / _LIBRARIES[sys.platform]))
    codes = {getattr(torch, name): getattr(library, f"aoti_torch_dtype_{name}")() for name in _DTYPES}
    return library.aoti_torch_create_tensor_from_blob_v2, codes, library.aoti_torch_layout__mkldnn()


def _copied(memory: NDArray[np.uint8]) -> Tensor:
    """Return a copy that is aligned to 64 bytes."""
    copy = torch.empty(len(memory) + 64, dtype=torch.uint8)
    return copy[-copy.data_ptr() % 64 :][: len(memory)].copy_(torch.from_numpy(memory))
