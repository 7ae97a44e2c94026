"""Benchmark runner: makes a planned request with an engine, and records the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from voxcli.bench.measure.plan import BenchRequest, Mode
from voxcli.bench.measure.sample import Sample, take_sample
from voxcli.bench.measure.validity import find_failure
from voxcli.bench.report.record import Run
from voxcli.errors import RequestError
from voxcli.synthesis.request import Engine, SynthesisRequest

_DIGITS = 6
"""Decimal places of seconds in records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """Options that all runs of a benchmark have in common."""

    new_request: Callable[[BenchRequest, int | None], SynthesisRequest]
    """Makes the request with a seed."""
    clock: Callable[[], float]
    """Returns seconds since any origin."""
    seed: int | None = None
    """Of the first run. None uses 0 where seeds are supported, and no seed elsewhere."""
    prebuffer_seconds: float = 0.0


class Bench:
    """Measures requests, from one thread or several."""

    def __init__(self, engines: Mapping[str, Mapping[Mode, Engine]], options: RunnerOptions) -> None:
        """
        Args:
            engines: by subject and mode. The caller closes them.
        """
        self.seedless: set[str] = set()
        """Subjects that have refused a seed."""
        self._engines = engines
        self._options = options
        self._started = options.clock()

    def run(self, planned: BenchRequest, check: Callable[[], None]) -> Run:
        """Make one request, and record what was measured and whether the run is valid.

        Args:
            check: called between chunks; raises to stop.

        Raises:
            RequestError: the subject does not support the request.
            NotFound: it has no such voice.
        """
        options = self._options
        seed = None if planned.subject in self.seedless else (options.seed or 0) + planned.number
        request = options.new_request(planned, seed)
        started = options.clock() - self._started
        try:
            sample = self._sample(planned, request, check)
        except RequestError:
            if seed is None or options.seed is not None:
                raise
            self.seedless.add(planned.subject)  # if the seed is not the reason, the next attempt fails too
            return self.run(planned, check)
        return _to_run(planned, request, started, sample)

    def _sample(self, planned: BenchRequest, request: SynthesisRequest, check: Callable[[], None]) -> Sample:
        return take_sample(
            self._engines[planned.subject][planned.mode],
            request,
            clock=self._options.clock,
            check=check,
            prebuffer_seconds=self._options.prebuffer_seconds,
        )


def _to_run(planned: BenchRequest, request: SynthesisRequest, started: float, sample: Sample) -> Run:
    names = [field.name for field in fields(sample) if field.name != "error"]
    measured = {name: _rounded(getattr(sample, name)) for name in names}
    return Run(
        subject=planned.subject,
        text=planned.text,
        mode=planned.mode,
        number=planned.number,
        seed=request.sampling.seed,
        warmup=planned.warmup,
        level=planned.level,
        started_seconds=_rounded(started),
        failure=find_failure(sample, request),
        **measured,
    )


def _rounded(value: Any) -> Any:
    """Round floats, also in tuples."""
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    return round(value, _DIGITS) if isinstance(value, float) else value
