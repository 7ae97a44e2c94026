"""Kernels are compiled while weights are read, and counted afterwards. Which ones: see test_kernels.py."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from llvmlite import ir

from voxcli.synthesis.loading import LoadingProgress, LoadingStage
from voxcli.voxcpm.codec import native_decoder
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.kernels.cpu.compiler import CompiledModule, compile_module
from voxcli.voxcpm.kernels.cpu.targets import Target, find_target
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.network import cpu_stack
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.runtime.kernel_compilation import KernelCompilation, triton_calls

SHARED = Path(os.environ["VOXCLI_KERNELS"])
CPU = torch.device("cpu")


def test_kernels_are_compiled_within_the_block_and_counted_at_its_end() -> None:
    compiled = [threading.Event(), threading.Event()]
    reported: list[LoadingProgress] = []
    with KernelCompilation(lambda: [event.set for event in compiled]) as compilation:
        assert all(event.wait(10) for event in compiled)
        assert reported == []
        compilation.finish(reported.append)
    assert {progress.stage for progress in reported} == {LoadingStage.COMPILING}
    assert [(progress.done, progress.total) for progress in reported] == [(0, 2), (1, 2), (2, 2)]


def test_an_error_while_weights_are_read_ends_the_compilation() -> None:
    failed, compiled = threading.Event(), []
    calls = [*[failed.wait] * 2, *[lambda: compiled.append(1)] * 20]

    def read() -> None:
        with KernelCompilation(lambda: calls):
            threading.Timer(0.2, failed.set).start()
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk"):
        read()
    assert len(compiled) < 20


def test_what_a_kernel_fails_with_is_raised() -> None:
    def failing() -> None:
        raise RuntimeError("out of registers")

    with KernelCompilation(lambda: [failing]) as compilation, pytest.raises(RuntimeError, match="registers"):
        compilation.finish(lambda progress: None)


def test_where_there_are_no_kernels_nothing_is_compiled(
    checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[LoadingProgress] = []
    config = read_config(checkpoints("voxcpm-1.5"))
    monkeypatch.setattr(ops, "has_kernels", lambda device: False)
    assert triton_calls(config, torch.device("cuda"), torch.float32) == []
    with KernelCompilation(list) as compilation:
        compilation.finish(reported.append)
    assert reported == []


@pytest.mark.skipif(find_target() is None, reason="kernels cannot be compiled here")
@pytest.mark.parametrize(
    ("dtype", "quantize", "kinds"),
    [
        (torch.float32, None, set()),
        (torch.bfloat16, None, {"stack", "decoder"}),
        (torch.float32, "int8", {"stack", "decoder"}),
        (torch.float16, "int8", {"decoder"}),
    ],
)
def test_what_a_cpu_runs_is_compiled_while_weights_are_read_and_counted(
    checkpoints: Callable[[str], Path],
    dtype: torch.dtype,
    quantize: str | None,
    kinds: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[tuple[str, str]] = []

    def compile_noted(target: Target, name: str, write: Callable[[ir.Module], None], kept: Path) -> CompiledModule:
        found.append(("decoder" if name.startswith("decoder") else "stack", threading.current_thread().name))
        return compile_module(target, name, write, SHARED)

    for module in (cpu_stack, native_decoder):
        monkeypatch.setattr(module, "_modules", {})
        monkeypatch.setattr(module, "compile_module", compile_noted)
    reported: list[LoadingProgress] = []

    def load(kernels: Path) -> None:
        reported.clear()
        load_model(
            checkpoints("voxcpm-1.5"),
            Placement(CPU, dtype),
            quantize=quantize,
            kernels=kernels,
            on_loading=reported.append,
        ).close()

    load(tmp_path)
    compiling = [(one.done, one.total) for one in reported if one.stage is LoadingStage.COMPILING]
    assert {kind for kind, _ in found} == kinds
    assert all(thread.startswith("compile") for _, thread in found)
    assert compiling == [(done, len(found)) for done in range(len(found) + 1)] * bool(found)
    for kernels in (tmp_path, SHARED):  # in memory; on disk
        load(kernels)
        assert LoadingStage.COMPILING not in {one.stage for one in reported}
        for module in (cpu_stack, native_decoder):
            monkeypatch.setattr(module, "_modules", {})
