"""The bench itself: engines are handed to it, and every request that was planned becomes a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from voxcli.bench.measure.plan import Ask, Mode
from voxcli.bench.measure.sample import Sample, take_sample
from voxcli.bench.measure.validity import find_failure
from voxcli.bench.report.record import Run
from voxcli.errors import RequestError
from voxcli.synthesis.request import Engine, SynthesisRequest

_DIGITS = 6
"""Behind the point of a second: no clock here is finer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How everything is measured."""

    new_request: Callable[[str, int | None], SynthesisRequest]
    """Makes a request of a text, by its name, and a seed."""
    clock: Callable[[], float]
    """Seconds from any origin."""
    seed: int | None = None
    """Of the first run, if the user wants one. Otherwise those who take none are asked without."""
    prebuffer_seconds: float = 0.0


class Bench:
    """Measures one request after another, or several at once from several threads."""

    def __init__(self, engines: Mapping[str, Mapping[Mode, Engine]], circumstances: Circumstances) -> None:
        """engines: of every subject, the one that streams and the one that does not. Closed by whoever opened them."""
        self.seedless: set[str] = set()
        """Who takes no seeds. Known once they were asked."""
        self._engines = engines
        self._circumstances = circumstances
        self._began = circumstances.clock()

    def run(self, ask: Ask, check: Callable[[], None]) -> Run:
        """Make one request and judge the answer.

        Args:
            check: called between chunks; raises if the work shall stop.

        Raises:
            RequestError: the subject cannot be asked for that.
            NotFound: it has no such voice.
        """
        circumstances = self._circumstances
        seed = None if ask.subject in self.seedless else (circumstances.seed or 0) + ask.number
        request = circumstances.new_request(ask.text, seed)
        started = circumstances.clock() - self._began
        try:
            sample = self._sample(ask, request, check)
        except RequestError:
            if seed is None or circumstances.seed is not None:
                raise
            self.seedless.add(ask.subject)  # or something else is wrong, and is again
            return self.run(ask, check)
        return _to_run(ask, request, started, sample)

    def _sample(self, ask: Ask, request: SynthesisRequest, check: Callable[[], None]) -> Sample:
        return take_sample(
            self._engines[ask.subject][ask.mode],
            request,
            clock=self._circumstances.clock,
            check=check,
            prebuffer_seconds=self._circumstances.prebuffer_seconds,
        )


def _to_run(ask: Ask, request: SynthesisRequest, started: float, sample: Sample) -> Run:
    names = [field.name for field in fields(sample) if field.name != "error"]
    measured = {name: _rounded(getattr(sample, name)) for name in names}
    return Run(
        subject=ask.subject,
        text=ask.text,
        mode=ask.mode,
        number=ask.number,
        seed=request.sampling.seed,
        warmup=ask.warmup,
        level=ask.level,
        started_seconds=_rounded(started),
        failure=find_failure(sample, request),
        **measured,
    )


def _rounded(value: Any) -> Any:
    """Round seconds, and pairs of them."""
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    return round(value, _DIGITS) if isinstance(value, float) else value
