"""Values of options: words become numbers and texts without pydantic, where there is only one way to read them.

Typer converts every value with pydantic, one that is not given too, and pydantic takes as long to load as Typer and
Python together. What is out of bounds, or can be read in several ways, is still left to Typer, with its messages.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_EXACT = 2**53
"""Whole numbers up to this are the same as floats."""
_UNREAD = object()


def read_without_pydantic(params: list[Any]) -> list[Any]:
    """Let the parameters of a command ask Typer for a conversion only if a value needs one, and return them."""
    for param in params:
        of_typer = getattr(param, "get_runtime_param", None)  # not part of Typer's interface: it may disappear
        if of_typer and "get_runtime_param" not in vars(param):
            vars(param)["get_runtime_param"] = _Conversion(of_typer).itself
    return params


@dataclass(frozen=True, slots=True)
class _Conversion:
    """Stands where Typer has its own conversion of a parameter."""

    of_typer: Callable[[], Any]

    def itself(self) -> Self:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        read = _UNREAD if several and isinstance(value, str) else _read(value, param.type_descriptor)
        return self.of_typer().coerce(value, param=param, ctx=ctx) if read is _UNREAD else read


def _read(value: Any, descriptor: Any) -> Any:
    kind, info = descriptor.annotation, descriptor.parameter_info
    if info.parser is not None or info.clamp:
        return _UNREAD
    if kind is str:
        return value if type(value) is str else _UNREAD
    if kind == list[str]:
        return [*value] if type(value) in (list, tuple) and all(type(item) is str for item in value) else _UNREAD
    if kind is bool:
        return _TRUTHS.get(value, _UNREAD) if type(value) is str else _UNREAD
    if kind is Path:
        return _path(value, info)
    if kind is int or kind is float:
        number = _number(value, kind)
        within = number is not None and _within(number, info.min, info.max)
        return number if within else _UNREAD
    return _UNREAD


def _path(value: Any, info: Any) -> Any:
    """Return a path that no rule of its option forbids."""
    ruled = info.exists or info.writable or info.resolve_path or info.allow_dash or info.path_type is not None
    if ruled or not (info.file_okay and info.dir_okay) or type(value) is not str or "\0" in value:
        return _UNREAD
    path = Path(value)
    try:
        path.stat()
    except OSError:  # it need not exist
        return path
    return path if not info.readable or os.access(path, os.R_OK) else _UNREAD


def _number(value: Any, kind: type[int] | type[float]) -> float | None:
    """Return an int or a float as asked for; None for what is not clearly one."""
    if type(value) is str:
        pattern = _WHOLE if kind is int else _DECIMAL
        return kind(value) if pattern.fullmatch(value) else None
    if type(value) is int:
        return kind(value) if kind is int or abs(value) <= _EXACT else None
    return value if type(value) is float and kind is float else None


def _within(number: float, least: float | None, most: float | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)
