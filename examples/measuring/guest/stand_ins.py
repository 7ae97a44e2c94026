"""What stands in for libraries that the package imports and that are not here, as far as it takes to speak.

None of it does arithmetic: `rearrange` gives another view of a tensor, `BaseModel` holds numbers of a config.
"""

import copy
import json
import sys
import types
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import Any, get_args, get_type_hints

import torch


class BaseModel:
    """The part of pydantic's that a config takes: typed fields with defaults, one inside another, out of JSON."""

    def __init__(self, **given: Any) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if name in given:
                setattr(self, name, _typed(kind, given[name]))
            elif hasattr(type(self), name):
                setattr(self, name, copy.deepcopy(getattr(type(self), name)))
            else:
                raise ValueError(f"{type(self).__name__} needs a {name}")

    @classmethod
    def model_validate_json(cls, text: str) -> "BaseModel":
        return cls(**json.loads(text))

    @classmethod
    def model_rebuild(cls) -> None: ...

    def model_copy(self, *, deep: bool = False) -> "BaseModel":
        return copy.deepcopy(self) if deep else copy.copy(self)


def _typed(kind: Any, value: Any) -> Any:
    if isinstance(value, dict):
        models = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
        return models[0](**value) if models else value
    return float(value) if kind is float else value


def rearrange(tensor: torch.Tensor, pattern: str, **sizes: int) -> torch.Tensor:
    """Do as einops does with axes that change places, are joined in brackets, or taken apart.

    It is compiled as a part of the network, so it keeps to what torch.compile follows.
    """
    left, right = pattern.split("->")
    before, after = _axes(left), _axes(right)
    known = dict(sizes)
    for group, size in zip(before, tensor.shape, strict=True):
        rest = size
        for axis in group:
            if axis in known:
                rest = rest // known[axis]
        for axis in group:
            if axis not in known:
                known[axis] = rest
    apart = [axis for group in before for axis in group]
    order = [apart.index(axis) for group in after for axis in group if axis != "1"]
    moved = tensor.reshape([known[axis] for axis in apart]).permute(order)
    joined = []
    for group in after:
        size = 1
        for axis in group:
            size = size * (1 if axis == "1" else known[axis])
        joined.append(size)
    return moved.reshape(joined)


def _axes(side: str) -> list[list[str]]:
    """Return the axes of one side of a pattern, those in brackets together."""
    groups: list[list[str]] = []
    inside = False
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word in "()":
            inside = word == "("
            if inside:
                groups.append([])
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


STAND_INS: dict[str, dict[str, Any]] = {
    "pydantic": {"BaseModel": BaseModel},
    "einops": {"rearrange": rearrange},
    "tqdm": {"tqdm": iter},
    # These read files of sound, which nobody asks for here.
    "librosa": {},
    "torchaudio": {},
}


def stand_in_for_what_is_missing() -> list[str]:
    """Put them where imports look, and name them."""
    missing = []
    for name, content in STAND_INS.items():
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError):  # not there, or built for another torch
            module = types.ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)  # transformers looks for it
            vars(module).update(content)
            sys.modules[name] = module
            missing.append(name)
    return missing
