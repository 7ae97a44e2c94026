"""voxcli as a measured engine: one thread per concurrent stream; the cost of distant positions and of each graph."""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.engine.device import times_of
from tests.benchmarks.engine.figures import Run
from tests.benchmarks.engine.options import GUIDANCE, SEED, TEXT, Options
from tests.benchmarks.engine.work import evaluations_of
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model, Utterance
from voxcli.voxcpm.runtime.graph_runner import GraphRunner

Samples = NDArray[np.float32]


class VoxcliEngine:
    """A loaded model, measured with up to as many streams as it has slots."""

    def __init__(self, label: str, model: Model, steps: int, max_rounds: int = sys.maxsize) -> None:
        self.label = label
        self.max_rounds = max_rounds
        self.model = model
        self._steps = steps

    @property
    def max_streams(self) -> int:
        return self.model.slots

    def speak(self, streams: int, patches: int) -> list[Run]:
        """Speak the text in concurrent streams, each with its own seed."""
        utterances = [new_utterance(TEXT, SEED + number, self._steps, patches) for number in range(streams)]
        return [run for run, _ in stream_concurrently(self.model, utterances)]

    def close(self) -> None:
        self.model.close()


def load_voxcli(
    checkpoint: Path, device: str, dtype: str, quantize: str | None, *, slots: int, graphs: bool = True
) -> Model:
    """Load a model as the engine does.

    Raises:
        VoxError: this device cannot run it.
    """
    placement = choose_placement(device, dtype)
    return load_model(checkpoint, placement, quantize=quantize, slots=slots, graphs=graphs)


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


def measure_parts(runner: GraphRunner, options: Options) -> dict[int, dict[str, float]]:
    """Time the CUDA graphs of each part of a step, and of a whole step, for each number of streams.

    No stream may be running meanwhile.

    Returns:
        Streams -> part -> seconds.
    """
    return {streams: _measure(runner, streams, evaluations_of(options.steps)) for streams in options.streams}


@torch.inference_mode()
def _measure(runner: GraphRunner, streams: int, evaluations: int) -> dict[str, float]:
    parts = runner.parts(streams, evaluations)

    def step() -> None:
        for replay in parts.values():
            replay()

    def seconds(work: Callable[[], None]) -> float:
        return statistics.median(times_of(runner.device, work, times=_TIMES, in_a_row=_IN_A_ROW))

    return {name: seconds(replay) for name, replay in parts.items()} | {"step": seconds(step)}
