"""Compilation of kernels for this processor, with the compiled code kept on disk."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding, ir

from voxcli.files import remove_unused, replacing
from voxcli.voxcpm.kernels.cpu.targets import Target

_SUFFIX = ".kernel"
_DIGEST_BYTES = 16
_MOST_BYTES = 64 << 20
"""Of all files together. Those of a model take 0.1 to 0.3 MB, and every version of the program has its own."""


class CompiledModule:
    """Functions in memory, which stay there as long as this object."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def address(self, name: str) -> int:
        """Return the address of an exported function."""
        found: int = self._engine.get_function_address(name)
        return found


def compile_module(
    target: Target, name: str, write: Callable[[ir.Module], None], kept: Path | None = None
) -> CompiledModule:
    """Compile kernels, unless that has been done on this machine.

    Args:
        name: tells all variants of the written code apart.
        write: writes the functions into a module.
        kept: folder of compiled code.
    """
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, codemodel="jitdefault"
    )
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    path = _path(target, name, kept)
    compiled = _read(path) if path else None
    if compiled is None:
        compiled = _compiled(machine, write)
        _keep(path, compiled)
    engine.add_object_file(binding.ObjectFileRef.from_data(compiled))
    engine.finalize_object()
    return CompiledModule(engine)


def is_kept(target: Target, name: str, kept: Path | None) -> bool:
    """Whether there is code of this name on disk, damaged or not."""
    path = _path(target, name, kept)
    return path is not None and path.exists()


def _path(target: Target, name: str, kept: Path | None) -> Path | None:
    return kept / f"{_digest(target, name)}{_SUFFIX}" if kept else None


def _compiled(machine: Any, write: Callable[[ir.Module], None]) -> bytes:
    module = ir.Module()
    module.triple = machine.triple
    write(module)
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    found: bytes = machine.emit_object(parsed)
    return found


@cache
def _digest_of_sources() -> bytes:
    digest = hashlib.sha256(llvmlite.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _digest(target: Target, name: str) -> str:
    return hashlib.sha256(_digest_of_sources() + f"{target}\0{name}".encode()).hexdigest()[: 2 * _DIGEST_BYTES]


def _read(path: Path) -> bytes | None:
    """Read compiled code, whose digest stands before it."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    expected, compiled = found[:_DIGEST_BYTES], found[_DIGEST_BYTES:]
    if not compiled or hashlib.sha256(compiled).digest()[:_DIGEST_BYTES] != expected:
        return None
    with suppress(OSError):  # the folder may belong to someone else
        os.utime(path)  # what is in use is not removed
    return compiled


def _keep(path: Path | None, compiled: bytes) -> None:
    if path is None:
        return
    with suppress(OSError):  # costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as staged:
            staged.write(hashlib.sha256(compiled).digest()[:_DIGEST_BYTES] + compiled)
        remove_unused(path.parent, _SUFFIX, most_bytes=_MOST_BYTES)
