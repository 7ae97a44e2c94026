"""CUDA graphs emulated on a CPU: the operations of a function are recorded once and then replayed.

Every decision that Python made during the recording is fixed, and nothing may be read back from the device.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Launch

SYNCHRONIZING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.is_nonzero.default,
}
_FROM_PYTHON = {torch.ops.aten.lift_fresh.default}


class RecordedGraphStream(GraphStream):
    """A graph stream that captures on any device."""

    def _captured(self, fn: Launch, mutated_state: Iterable[Tensor]) -> Launch:
        saved = [(tensor, tensor.clone()) for tensor in mutated_state]
        with _Recording() as recording:
            fn()
        for tensor, before in saved:
            tensor.copy_(before)
        return recording.replay


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, list[Any], Any, list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in SYNCHRONIZING, f"{func} synchronizes with the device"
        assert func not in _FROM_PYTHON, f"{func} makes a tensor of a Python value"
        made = func(*args, **(kwargs or {}))
        given, form = tree_flatten((args, kwargs or {}))
        self._operations.append((func, given, form, tree_leaves(made)))
        return made

    def replay(self) -> None:
        """Repeat the operations on the memory they used. Their intermediate results are new tensors."""
        renewed: dict[int, Any] = {}
        for func, given, form, made in self._operations:
            args, kwargs = tree_unflatten([renewed.get(id(value), value) for value in given], form)
            renewed.update(zip(map(id, made), tree_leaves(func(*args, **kwargs)), strict=True))
