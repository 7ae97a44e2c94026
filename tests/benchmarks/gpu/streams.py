"""Sections of the probe about whole streams: first chunks, the host's part of a step, concurrent streams, precision."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from tests.benchmarks.engine.figures import percentile, sound_per_second
from tests.benchmarks.engine.options import SEED, TEXT
from tests.benchmarks.engine.results import echo
from tests.benchmarks.engine.streams import Samples, load_voxcli, new_utterance, stream_concurrently
from tests.benchmarks.gpu.loaded import Loaded
from voxcli.voxcpm.model import Model

_STEPS = 10


def first_chunk(loaded: Loaded) -> dict[str, float]:
    """The very first one, then the usual ones: what a user waits for after loading."""
    patches, times = (12, 25) if loaded.options.on_gpu else (2, 3)
    firsts = []
    for _ in range(times):
        run, samples = _speak(loaded, 1, patches)[0]
        assert np.isfinite(samples).all()
        assert samples.std() > 0
        firsts.append(1000 * run.chunks[0][0])
    run, _ = _speak(loaded, 1, 4 * patches)[0]
    chunks = run.chunks
    patch = 1000 * (chunks[-1][0] - chunks[0][0]) / (len(chunks) - 1)
    usual = statistics.median(firsts[1:])
    echo(
        f"first chunk: the very first {firsts[0]:.2f} ms, then median {usual:.2f}, worst {max(firsts[1:]):.2f}; "
        f"a patch {patch:.3f} ms, RTF {run.seconds / run.sound:.4f}"
    )
    return {"very first": firsts[0], "median": usual, "worst": max(firsts[1:]), "patch": patch}


def host(loaded: Loaded) -> dict[int, dict[str, tuple[float, float]]]:
    """Where the thread that drives the device spends its time: median and maximum in milliseconds."""
    runner = loaded.runner
    watched = ((runner, "begin"), (runner._prefiller, "prefill"), (runner, "_launch"), (runner, "step"))
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for streams in loaded.options.streams:
        spent: dict[str, list[float]] = defaultdict(list)
        with ExitStack() as stack:
            for owner, name in watched:
                stack.enter_context(_timed_calls(owner, name, spent[name]))
            for _ in range(3):
                _speak(loaded, streams, 12 if loaded.options.on_gpu else 2)
        found[streams] = {name: (1000 * statistics.median(its), 1000 * max(its)) for name, its in spent.items() if its}
        told = ", ".join(f"{name} {middle:.3f} (max {most:.2f})" for name, (middle, most) in found[streams].items())
        echo(f"host, {streams:2} streams, ms: {told}")
    return found


def together(loaded: Loaded) -> dict[int, tuple[float, float, float]]:
    """For each number of streams: p50 and p99 of the first chunk in milliseconds, and how many times real time."""
    found = {}
    for streams in loaded.options.streams:
        firsts: list[float] = []
        rates = []
        for turn in range(4):
            runs = [run for run, _ in _speak(loaded, streams, 40 if loaded.options.on_gpu else 3)]
            if turn:  # the first warms up
                firsts += [1000 * run.chunks[0][0] for run in runs]
                rates.append(sound_per_second(runs))
        found[streams] = statistics.median(firsts), percentile(firsts, 0.99), statistics.median(rates)
        p50, p99, rate = found[streams]
        echo(f"{streams:2} streams: first chunk p50 {p50:.1f} ms, p99 {p99:.1f}; {rate:.1f} x real time together")
    return found


def halves(loaded: Loaded) -> float:
    """Return how far bfloat16 by graphs is from float32 by plain calls in the first patch.

    Later patches may differ more: a number between two levels of the quantizer falls to either. A GPU draws the same
    noise in both, rounded in one.
    """
    low = _first_patch(loaded.model)
    plain = load_voxcli(loaded.checkpoint, loaded.options.device, "float32", None, slots=1, graphs=False)
    high = _first_patch(plain)
    plain.close()
    off = float(np.linalg.norm(low - high) / np.linalg.norm(high))
    echo(f"first patch, bfloat16 by graphs beside float32 by plain calls: {off:.4f} apart (.015 to .06 is rounding)")
    return off


def _first_patch(model: Model) -> Samples:
    (_, samples), *_ = stream_concurrently(model, [new_utterance(TEXT, SEED, _STEPS, 1)])
    return samples[: model.config.patch_samples]


def _speak(loaded: Loaded, streams: int, patches: int) -> Sequence[tuple[Any, Samples]]:
    utterances = [new_utterance(TEXT, SEED + number, _STEPS, patches) for number in range(streams)]
    return stream_concurrently(loaded.model, utterances)


@contextmanager
def _timed_calls(owner: object, name: str, spent: list[float]) -> Iterator[None]:
    call = getattr(owner, name)

    def timed(*given: Any, **settings: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*given, **settings)
        finally:
            spent.append(time.perf_counter() - started)

    with mock.patch.object(owner, name, timed):
        yield
