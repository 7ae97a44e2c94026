"""Sections of the probe about kernels: the graphs of a step, their kernels, matrix products, and candidates."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from tests.benchmarks.engine.device import times_of
from tests.benchmarks.engine.results import echo
from tests.benchmarks.engine.work import evaluations_of
from tests.benchmarks.gpu.candidates.cases import Case, cases_of
from tests.benchmarks.gpu.loaded import Loaded
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.config import ModelConfig, StackConfig
from voxcli.voxcpm.runtime.cuda_graphs import Launch

_STEPS = 10
_POSITIONS = 60
"""Filled positions of each stream, as in the middle of a sentence."""

_ROWS = (1, 5, 18, 32, 144, 1152)
"""Of products: one stream's language model, encoder and DiT, and those of more streams."""

_COLD_BYTES = 300e6
"""More than a cache holds: a step finds no weights in it."""

_MAX_COPIES = 160

_TOLERANCE = 1e-2

Kernel: TypeAlias = tuple[str, float, float]
"""Name, launches and microseconds."""


@torch.inference_mode()
def parts(loaded: Loaded) -> dict[str, Any]:
    """Seconds of each part of a step, and of the prefill of each shape."""
    found: dict[str, Any] = {}
    for streams in loaded.options.streams:
        launches = _parts(loaded, streams)
        found[f"{streams} streams"] = {name: _median(loaded.device, launch, 10) for name, launch in launches.items()}
    found["prefill"] = {
        f"{rows} x {length}": _median(loaded.device, launch, 5) for (rows, length), launch in _prefills(loaded)
    }
    for name, times in found.items():
        echo(f"parts, {name}, ms: " + ", ".join(f"{part} {1000 * seconds:.3f}" for part, seconds in times.items()))
    return found


@torch.inference_mode()
def kernels(loaded: Loaded) -> dict[str, list[Kernel]]:
    """Which kernels each part consists of, and how long each takes inside its graph."""
    if not loaded.options.on_gpu:
        echo("kernels: needs a GPU")
        return {}
    few, many = min(loaded.options.streams), max(loaded.options.streams)
    launches = [
        (f"{name}, {streams} streams", each)
        for streams in (few, many)
        for name, each in _parts(loaded, streams).items()
    ]
    shape, prefill = min(_prefills(loaded), key=lambda item: abs(item[0][0] * item[0][1] - 32))
    found = {}
    for name, launch in [*launches, (f"prefill {shape}", prefill)]:
        found[name] = _profiled(launch)
        busy = sum(microseconds for _, _, microseconds in found[name])
        echo(f"{name}: {sum(count for _, count, _ in found[name]):.0f} kernels, {busy / 1000:.3f} ms busy")
        for key, count, microseconds in found[name][:14]:
            echo(f"  {microseconds:8.1f} us {count:5.0f} x {microseconds / count:7.2f}  {key[:110]}")
    return found


@torch.inference_mode()
def products(loaded: Loaded) -> dict[str, float]:
    """cuBLAS for few rows, in a graph, with weights that no cache holds. Seconds for each."""
    found: dict[str, float] = {}
    for outputs, inputs in sorted(_shapes(loaded.model.config)):
        weights = [_drawn(loaded, outputs, inputs) for _ in range(_copies(loaded, 2 * outputs * inputs))]
        told = []
        for rows in _ROWS if loaded.options.on_gpu else _ROWS[:2]:
            calls = [partial(functional.linear, _drawn(loaded, rows, inputs), weight) for weight in weights]
            seconds = _seconds_per_call(loaded.device, calls)
            found[f"{rows} x {outputs} x {inputs}"] = seconds
            told.append(f"{rows} rows {1e6 * seconds:.2f} us")
        floor = 2 * outputs * inputs / loaded.rates.bandwidth
        echo(f"product {outputs} x {inputs}, floor {1e6 * floor:.2f} us: " + ", ".join(told))
    return found


@torch.inference_mode()
def candidates(loaded: Loaded) -> dict[str, tuple[float, float, float]]:
    """Kernels that may replace what ships: seconds of what ships, seconds of the candidate, and how far they differ."""
    found: dict[str, tuple[float, float, float]] = {}
    if not ops.has_kernels(loaded.device):
        echo("candidates: needs a GPU and Triton")
        return found
    failed = []
    for case in cases_of(loaded.model.config, loaded.device):
        try:
            found[case.name] = _measured(loaded, case)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next candidate is worth its time
            failed.append(case.name)
            echo(f"candidate {case.name}: FAILED  {type(error).__name__}: {str(error)[:160]}")
            continue
        shipped, candidate, off = found[case.name]
        verdict = "" if off <= _TOLERANCE else f"  WRONG: {off:.1e}"
        echo(f"candidate {case.name}: {1e6 * shipped:.2f} -> {1e6 * candidate:.2f} us{verdict}")
    failed += [name for name, (_, _, off) in found.items() if not off <= _TOLERANCE]
    if failed:
        raise AssertionError(f"{len(failed)} candidates failed or differ from what ships: {failed[0]}")
    return found


def _measured(loaded: Loaded, case: Case) -> tuple[float, float, float]:
    results = zip(case.candidate(case.given()), case.shipped(case.given()), strict=True)
    off = max(_distance(got, right) for got, right in results)
    given = [case.given() for _ in range(_copies(loaded, case.bytes_read))]
    times = [
        _seconds_per_call(loaded.device, [partial(work, its) for its in given])
        for work in (case.shipped, case.candidate)
    ]
    return times[0], times[1], off


def _distance(got: Tensor, right: Tensor) -> float:
    return float((got.float() - right.float()).norm() / right.float().norm().clamp(min=1e-9))


def _copies(loaded: Loaded, count: float) -> int:
    return min(_MAX_COPIES, max(4, int(_COLD_BYTES / count))) if loaded.options.on_gpu else 2


def _seconds_per_call(device: torch.device, calls: Sequence[Callable[[], object]]) -> float:
    """Time calls one after another, in a graph so that no launch is waited for."""

    def all_of_them() -> None:
        for call in calls:
            call()

    return _median(device, _captured(device, all_of_them), 2) / len(calls)


def _captured(device: torch.device, work: Launch) -> Launch:
    if device.type != "cuda":
        return work
    side = torch.cuda.Stream(device)
    with torch.cuda.stream(side):
        work()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _median(device: torch.device, launch: Launch, in_a_row: int) -> float:
    return statistics.median(times_of(device, launch, times=5, in_a_row=in_a_row if device.type == "cuda" else 1))


def _profiled(launch: Launch, times: int = 3) -> list[Kernel]:
    """Return the kernels of a graph, those that take longest first."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(2):
        launch()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(times):
            launch()
        torch.cuda.synchronize()
    found = [(event.key, event.count / times, event.self_device_time_total / times) for event in seen.key_averages()]
    return sorted((kernel for kernel in found if kernel[2] > 0), key=lambda kernel: -kernel[2])


def _parts(loaded: Loaded, streams: int) -> dict[str, Launch]:
    launches = loaded.runner.parts(min(streams, loaded.options.slots), evaluations_of(_STEPS))
    loaded.runner._slots._lengths.fill_(_POSITIONS)
    return launches


def _prefills(loaded: Loaded) -> Iterator[tuple[tuple[int, int], Launch]]:
    prefiller = loaded.runner._prefiller
    prefiller._inputs.zero_()  # a position beyond a short graph is an assertion on the device, which ends its context
    for shape in prefiller.shapes:
        yield shape, prefiller.capture(shape)


def _shapes(config: ModelConfig) -> set[tuple[int, int]]:
    """Return outputs and inputs of all matrices of the transformer stacks."""
    stacks = (config.base_lm, config.residual_lm, config.local_encoder, config.local_dit)
    return {shape for stack in stacks for shape in _shapes_of(stack)}


def _shapes_of(stack: StackConfig) -> Iterator[tuple[int, int]]:
    yield (stack.heads + 2 * stack.kv_heads) * stack.head_dim, stack.hidden
    yield stack.hidden, stack.heads * stack.head_dim
    yield 2 * stack.ffn, stack.hidden
    yield stack.hidden, stack.ffn


def _drawn(loaded: Loaded, *shape: int) -> Tensor:
    return torch.randn(*shape, device=loaded.device, dtype=torch.bfloat16)
