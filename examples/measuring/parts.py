"""What the parts of a step take on a GPU by themselves, by its own clock."""

import statistics
from collections.abc import Callable

import torch

from measuring.options import Options
from measuring.rates import times_of
from measuring.work import evaluations_of
from voxcli.voxcpm.runtime.graph_runner import GraphRunner

_TIMES, _IN_A_ROW = 5, 20


def measure_parts(runner: GraphRunner, options: Options) -> dict[int, dict[str, float]]:
    """Replay the graphs of each part for so many streams, and those of a whole step in their order.

    Nobody may be speaking meanwhile.

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
