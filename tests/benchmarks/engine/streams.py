"""Streams of a model in this process, timed; the cost of distant positions and of each graph."""

import statistics
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.engine.device import times_of
from tests.benchmarks.engine.figures import Run
from tests.benchmarks.engine.options import GUIDANCE, SEED, TEXT
from tests.benchmarks.engine.work import evaluations_of
from voxcli.voxcpm.device import Precision, choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model, Utterance
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder
from voxcli.voxcpm.weights.quantization import INT8

Samples = NDArray[np.float32]


def load_voxcli(
    checkpoint: Path,
    device: str,
    dtype: str,
    quantize: str | None,
    *,
    slots: int,
    graphs: bool = True,
    prepared: Path | None = None,
) -> Model:
    """Load a model as the engine does.

    Args:
        prepared: folder of prepared weights.

    Raises:
        VoxError: this device cannot run it.
    """
    placement = choose_placement(device, dtype_of(dtype, quantize))
    kept = PreparedFolder(prepared) if prepared else None
    return load_model(checkpoint, placement, quantize=quantize, slots=slots, graphs=graphs, prepared=kept)


def dtype_of(dtype: str, quantize: str | None) -> str:
    """Return the dtype of activations: int8 runs with float32 between its products."""
    return Precision.FLOAT32 if quantize == INT8 else dtype


def new_utterance(text: str, seed: int, steps: int, patches: int) -> Utterance:
    return Utterance(text=text, steps=steps, guidance=GUIDANCE, seed=seed, min_patches=patches, max_patches=patches)


def stream_concurrently(model: Model, utterances: Sequence[Utterance]) -> list[tuple[Run, Samples]]:
    """Start all streams at the same moment, one thread each, and return the timing and samples of each."""
    if len(utterances) == 1:
        return [timed_stream(model, utterances[0])]
    ready = threading.Barrier(len(utterances))

    def collect(utterance: Utterance) -> tuple[Run, Samples]:
        ready.wait()
        return timed_stream(model, utterance)

    with ThreadPoolExecutor(len(utterances)) as threads:
        return list(threads.map(collect, utterances))


def timed_stream(model: Model, utterance: Utterance) -> tuple[Run, Samples]:
    """Note when each chunk is on the host, in seconds from the call."""
    chunks, came, sound = [], [], 0
    started = time.perf_counter()
    stream: Generator[Samples] = model.stream(utterance)
    with closing(stream):
        for chunk in stream:
            sound += len(chunk)
            came.append((time.perf_counter() - started, sound / model.sample_rate))
            chunks.append(chunk)
    return Run(started, came), np.concatenate(chunks)


NEAR, FAR = 20, 400
_PATCHES = 9
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class PositionCost:
    """Seconds per patch after the first, behind few positions and behind many."""

    near: float
    """Median."""
    far: float
    near_min: float
    far_min: float
    patches: int
    """How many of each."""

    @property
    def ratio(self) -> float:
        return self.far / self.near


def measure_position_cost(model: Model, steps: int, *, rounds: int = _ROUNDS) -> PositionCost:
    """Alternate between a short and a long text, a few patches each, so that both see the same load on the machine."""
    gaps: dict[int, list[float]] = {NEAR: [], FAR: []}
    for _ in range(rounds):
        for positions, measured in gaps.items():
            text = (TEXT * (positions // len(TEXT) + 1))[: positions - 1]  # and one for the start token
            run, _ = stream_concurrently(model, [new_utterance(text, SEED, steps, _PATCHES)])[0]
            # The first patch may arrive in two chunks.
            times = [came for came, _ in run.chunks][-_PATCHES:]
            measured += [later - sooner for sooner, later in pairwise(times)]
    near, far = gaps[NEAR], gaps[FAR]
    return PositionCost(statistics.median(near), statistics.median(far), min(near), min(far), len(near))


_TIMES, _IN_A_ROW = 5, 20


def measure_parts(model: Model, streams: int, steps: int) -> dict[str, float]:
    """Return the seconds of each part of a step with CUDA graphs, and of a whole step, by the GPU's clock.

    No stream may be running meanwhile.
    """
    runner = model.runner
    assert isinstance(runner, GraphRunner)
    return model.call(lambda: _measure(runner, streams, evaluations_of(steps)))


def _measure(runner: GraphRunner, streams: int, evaluations: int) -> dict[str, float]:
    parts = runner.parts(streams, evaluations)

    def step() -> None:
        for replay in parts.values():
            replay()

    def seconds(work: Callable[[], None]) -> float:
        return statistics.median(times_of(runner.device, work, times=_TIMES, in_a_row=_IN_A_ROW))

    return {name: seconds(replay) for name, replay in parts.items()} | {"step": seconds(step)}
