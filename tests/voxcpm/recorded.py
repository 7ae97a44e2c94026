"""What a CUDA graph does, on a CPU: the operations of a piece of work are written down once, and then done over again.

All that Python decided meanwhile stays as it was then, and nothing may be read back from the device.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Work

_WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.is_nonzero.default}
_FROM_PYTHON = {torch.ops.aten.lift_fresh.default}


class RecordedGraphStream(GraphStream):
    """A lane that records on any device."""

    def record(self, work: Work, touched: Iterable[Tensor]) -> Work:
        kept = [(tensor, tensor.clone()) for tensor in touched]
        with _Writing() as written:
            work()
        for tensor, before in kept:
            tensor.copy_(before)
        return written.do_again


class _Writing(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, list[Any], Any, list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in _WAITS, f"{func} waits for the device"
        assert func not in _FROM_PYTHON, f"{func} makes a tensor of what Python has now"
        made = func(*args, **(kwargs or {}))
        given, form = tree_flatten((args, kwargs or {}))
        self._done.append((func, given, form, tree_leaves(made)))
        return made

    def do_again(self) -> None:
        """Do it all with what is in memory now. What it makes on the way is made anew."""
        anew: dict[int, Any] = {}
        for func, given, form, made in self._done:
            args, kwargs = tree_unflatten([anew.get(id(value), value) for value in given], form)
            anew.update(zip(map(id, made), tree_leaves(func(*args, **kwargs)), strict=True))
