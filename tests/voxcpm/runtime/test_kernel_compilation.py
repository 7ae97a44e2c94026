"""Kernels are compiled while weights are read, and counted afterwards. Which ones: see test_kernels.py."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from voxcli.synthesis.loading import LoadingProgress, LoadingStage
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.config import ModelConfig, read_config
from voxcli.voxcpm.runtime import kernel_compilation
from voxcli.voxcpm.runtime.kernel_compilation import KernelCompilation

CUDA = torch.device("cuda")


@pytest.fixture
def config(checkpoints: Callable[[str], Path]) -> ModelConfig:
    return read_config(checkpoints("voxcpm-1.5"))


def compile_these(monkeypatch: pytest.MonkeyPatch, *calls: Callable[[], object]) -> None:
    monkeypatch.setattr(ops, "has_kernels", lambda device: True)
    monkeypatch.setattr(kernel_compilation, "kernel_calls", lambda *given, **settings: calls)


def test_kernels_are_compiled_within_the_block_and_counted_at_its_end(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = [threading.Event(), threading.Event()]
    compile_these(monkeypatch, *(event.set for event in compiled))
    reported: list[LoadingProgress] = []
    with KernelCompilation(config, CUDA, torch.bfloat16) as compilation:
        assert all(event.wait(10) for event in compiled)
        assert reported == []
        compilation.finish(reported.append)
    assert {progress.stage for progress in reported} == {LoadingStage.COMPILING}
    assert [(progress.done, progress.total) for progress in reported] == [(0, 2), (1, 2), (2, 2)]


def test_an_error_while_weights_are_read_ends_the_compilation(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, compiled = threading.Event(), []
    compile_these(monkeypatch, *[failed.wait] * 2, *[lambda: compiled.append(1)] * 20)

    def read() -> None:
        with KernelCompilation(config, CUDA, torch.bfloat16):
            threading.Timer(0.2, failed.set).start()
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk"):
        read()
    assert len(compiled) < 20


def test_what_a_kernel_fails_with_is_raised(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise RuntimeError("out of registers")

    compile_these(monkeypatch, failing)
    with KernelCompilation(config, CUDA, torch.bfloat16) as compilation, pytest.raises(RuntimeError, match="registers"):
        compilation.finish(lambda progress: None)


def test_where_there_are_no_kernels_nothing_is_compiled(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[LoadingProgress] = []
    with KernelCompilation(config, torch.device("cpu"), torch.float32) as compilation:
        compilation.finish(reported.append)
    monkeypatch.setattr(ops, "has_kernels", lambda device: False)
    with KernelCompilation(config, CUDA, torch.float32) as compilation:
        compilation.finish(reported.append)
    assert reported == []
