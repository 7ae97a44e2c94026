"""A loaded model for the probe, and what its loading consists of."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tests.benchmarks.engine.device import Rates
from tests.benchmarks.engine.results import echo
from voxcli.synthesis.loading import LoadingProgress, OnLoading
from voxcli.voxcpm import loading
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Launch
from voxcli.voxcpm.runtime.graph_runner import GraphRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    family: str
    device: str
    size: str
    folder: Path
    slots: int
    streams: tuple[int, ...]
    """Numbers of concurrent streams."""
    quantize: str | None
    cudnn_attention: bool
    only: tuple[str, ...]
    """The sections to run."""
    json: Path | None
    checkpoint_only: bool

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the sections measure."""

    options: ProbeOptions
    checkpoint: Path
    model: Model
    runner: GraphRunner
    rates: Rates

    @property
    def device(self) -> torch.device:
        return self.runner.device


@dataclass(slots=True)
class _Graph:
    """How long one graph took."""

    name: str
    shape: str
    whole: float = 0.0
    first_run: float = 0.0


def load(options: ProbeOptions, checkpoint: Path, rates: Rates, results: dict[str, object]) -> Loaded:
    """Load the model, and print how long each stage and each kind of graph takes."""
    started = time.perf_counter()
    stages: dict[str, float] = {}

    def note(progress: LoadingProgress) -> None:
        stages.setdefault(progress.words, time.perf_counter() - started)

    with timed_graphs() as graphs:
        model = _load(options, checkpoint, note)
    whole = time.perf_counter() - started
    echo(f"load {whole:.2f} s; begun after: " + ", ".join(f"{name} {at:.2f} s" for name, at in stages.items()))
    _print_graphs(graphs)
    if options.on_gpu:
        gib = [used() / 2**30 for used in (torch.cuda.memory_allocated, torch.cuda.memory_reserved)]
        echo(f"memory: {gib[0]:.2f} GiB allocated, {gib[1]:.2f} GiB reserved")
    results["load"] = {
        "whole": whole,
        "stages": stages,
        "graphs": [(g.name, g.shape, g.first_run, g.whole) for g in graphs],
    }
    assert isinstance(model.runner, GraphRunner)
    return Loaded(options, checkpoint, model, model.runner, rates)


def _load(options: ProbeOptions, checkpoint: Path, note: OnLoading) -> Model:
    # On a CPU, stacks in bfloat16 are compiled, and not for batches of a graph.
    placement = choose_placement(options.device, "bfloat16" if options.on_gpu else "float32")
    # What is patched turns cuDNN's attention off.
    with mock.patch.object(loading, "prepare_device") if options.cudnn_attention else nullcontext():
        model = loading.load_model(
            checkpoint, placement, quantize=options.quantize, slots=options.slots, on_loading=note
        )
    if options.on_gpu:
        return model
    # Without a GPU, what would be captured is called directly.
    runner = GraphRunner(model._backbone, model._codec, options.slots, on_loading=note)
    return Model(model.config, model._tokenizer, model._backbone, model._codec, runner, options.slots)


@contextmanager
def timed_graphs() -> Iterator[list[_Graph]]:
    """Time the captures within the block: each consists of a first run, which may compile, and the capture itself."""
    graphs: list[_Graph] = []
    warm_up, capture = GraphStream.warm_up, GraphStream.capture

    def timed_warm_up(self: GraphStream, *given: Any) -> None:
        started = time.perf_counter()
        warm_up(self, *given)
        graphs[-1].first_run = time.perf_counter() - started

    def timed_capture(self: GraphStream, fn: Launch, *given: Any) -> Launch:
        name, shape = (getattr(fn, "func", fn).__name__, getattr(fn, "args", ()))
        graph = _Graph(name.strip("_"), ", ".join(map(str, shape)))
        graphs.append(graph)
        started = time.perf_counter()
        replay = capture(self, fn, *given)
        graph.whole = time.perf_counter() - started
        return replay

    with (
        mock.patch.object(GraphStream, "warm_up", timed_warm_up),
        mock.patch.object(GraphStream, "capture", timed_capture),
    ):
        yield graphs


def _print_graphs(graphs: list[_Graph]) -> None:
    kinds: dict[str, list[_Graph]] = defaultdict(list)
    for graph in graphs:
        kinds[graph.name].append(graph)
    for name, same in kinds.items():
        first, whole = sum(graph.first_run for graph in same), sum(graph.whole for graph in same)
        echo(f"  graphs of {name}: {len(same)}, first runs {first:.2f} s, all of it {whole:.2f} s")
    for graph in sorted(graphs, key=lambda graph: -graph.first_run)[:6]:
        echo(f"  slowest first runs: {graph.name}({graph.shape}) {graph.first_run:.3f} s of {graph.whole:.3f} s")
