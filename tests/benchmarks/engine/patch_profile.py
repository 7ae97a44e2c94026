"""Profile of a patch: the seconds that each part of a step takes, by timing the real parts where they are computed."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn

from tests.benchmarks.engine.options import SEED, TEXT
from tests.benchmarks.engine.streams import measure_parts, new_utterance, timed_stream
from tests.benchmarks.engine.work import BASE, CODEC, DIT, ENCODER, PREFILL, PROJECTIONS, RESIDUAL, STOP_HEAD
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.runtime.eager_runner import EagerRunner

_RUNS = 3


@dataclass(frozen=True, slots=True)
class PatchProfile:
    """Seconds of one stream, medians over the patches between the first and the last."""

    first_chunk: float
    prefill: float
    patch: float
    """From one patch to the next, as the consumer sees it."""
    parts: dict[str, float]
    """By the names of the parts of `Work`; or of the CUDA graphs, by the GPU's clock."""


def profile_patches(model: Model, patches: int, steps: int) -> PatchProfile:
    """Speak a few times, and time every part of a step. No stream may be running meanwhile."""
    if not isinstance(model.runner, EagerRunner):
        return _profile_graphs(model, patches, steps)
    clock = PartsClock()
    firsts, gaps = [], []
    with clock.installed(model):
        for number in range(_RUNS):
            first, between = _speak(model, patches, steps)
            firsts.append(first)
            gaps += between if number else []  # the first run warms up
    prefills = [parts.pop(PREFILL) for parts in clock.steps if PREFILL in parts]
    whole = [parts for parts in clock.steps if set(parts) == set(clock.names)]
    return PatchProfile(
        statistics.median(firsts[1:]),
        statistics.median(prefills[1:]),
        statistics.median(gaps),
        {name: statistics.median(parts[name] for parts in whole[patches:]) for name in clock.names},
    )


def _profile_graphs(model: Model, patches: int, steps: int) -> PatchProfile:
    runs = [_speak(model, patches, steps) for _ in range(1 + _RUNS)][1:]
    parts = measure_parts(model, 1, steps)
    del parts["step"]
    first = statistics.median(first for first, _ in runs)
    return PatchProfile(first, 0.0, statistics.median(gap for _, gaps in runs for gap in gaps), parts)


def _speak(model: Model, patches: int, steps: int) -> tuple[float, list[float]]:
    """Return the seconds to the first chunk, and those between the whole patches that follow."""
    run, _ = timed_stream(model, new_utterance(TEXT, SEED, steps, patches))
    times = [came for came, _ in run.chunks]
    return times[0], [later - sooner for sooner, later in pairwise(times[2:])]  # the first patch comes in two chunks


class PartsClock:
    """Clocks around the parts of a step. What runs within another part counts for the inner one only."""

    def __init__(self) -> None:
        self.steps: list[Counter[str]] = []
        """Part -> seconds, for each step."""
        self.names: list[str] = []
        self._within: list[float] = []
        """Seconds of the inner parts of each part that is running."""

    @contextmanager
    def installed(self, model: Model) -> Iterator[None]:
        """Time the parts of a model within the block."""
        backbone, codec, runner = model._backbone, model._codec, model.runner
        wrapped: list[tuple[object, str]] = []

        def wrap(name: str, owner: Any, method: str = "forward") -> None:
            setattr(owner, method, self.timed(name, getattr(owner, method)))
            wrapped.append((owner, method))

        wrap(STOP_HEAD, backbone, "wants_to_stop")
        wrap(DIT, backbone, "next_patches")
        wrap(ENCODER, backbone.feat_encoder)
        wrap(ENCODER, backbone.enc_to_lm_proj)
        wrap(BASE, backbone.base_lm)
        wrap(RESIDUAL, backbone.residual_lm)
        for name in ("fsq_layer", "lm_to_dit_proj", "res_to_dit_proj", "fusion_concat_proj"):
            if isinstance(projection := getattr(backbone, name, None), nn.Module):
                wrap(PROJECTIONS, projection)
        wrap(CODEC, codec, "decode")
        self.names = list(dict.fromkeys(self.names))
        for owner, method, begin in ((backbone, "prefill", self._prefilled), (runner, "step", self._stepped)):
            setattr(owner, method, begin(getattr(owner, method)))
            wrapped.append((owner, method))
        try:
            yield
        finally:
            for owner, method in wrapped:
                delattr(owner, method)

    def timed(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        self.names.append(name)

        def run(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            self._within.append(0.0)
            try:
                return fn(*arguments, **named)
            finally:
                took = time.perf_counter() - started
                self.steps[-1][name] += took - self._within.pop()
                if self._within:
                    self._within[-1] += took

        return run

    def _stepped(self, step: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            self.steps.append(Counter())
            step(*arguments)

        return run

    def _prefilled(self, prefill: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            self.steps.append(Counter())
            started = time.perf_counter()
            try:
                return prefill(*arguments)
            finally:
                self.steps[-1] = Counter({PREFILL: time.perf_counter() - started})

        return run
