"""Engines to measure: voxcli in each of its setups, the package plain and compiled; loading them and running them."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch

from tests.benchmarks.engine.child_process import ChildFailed
from tests.benchmarks.engine.cpp_engine import CppEngine, models_in
from tests.benchmarks.engine.figures import Load, Memory, Run
from tests.benchmarks.engine.options import Options
from tests.benchmarks.engine.package_engine import PackageEngine, with_dtype
from tests.benchmarks.engine.results import Context, echo
from tests.benchmarks.engine.voxcli_engine import Contestant, VoxcliEngine

WARM_UP_PATCHES = 4

_PAUSE = 0.05
"""Seconds between two runs: threads of the one before spin for a while."""


class MeasuredEngine(Protocol):
    """Anything that can speak the text in concurrent streams."""

    label: str
    max_rounds: int
    """Upper limit, for engines too slow to take part in all rounds."""

    @property
    def max_streams(self) -> int: ...

    def speak(self, streams: int, patches: int) -> list[Run]:
        """Start `streams` concurrent streams of `patches` patches each, and return the timing of each."""

    def memory(self) -> Memory:
        """Return the peak memory of its process."""

    def close(self) -> None: ...


Failures = dict[str, Exception]
"""Label -> the error that ended it."""


def warm_up(engines: Sequence[MeasuredEngine], streams: int) -> Failures:
    """Run each engine twice for a few patches."""
    failures: Failures = {}
    for engine in engines:
        for _ in range(2):
            _run_once(engine, streams, WARM_UP_PATCHES, failures)
    return failures


def run_rounds(
    engines: Sequence[MeasuredEngine], streams: int, patches: int, rounds: int, seconds: float
) -> tuple[dict[str, list[list[Run]]], Failures]:
    """Run all engines in turns, for `rounds` rounds or `seconds` seconds, at least once each.

    The order is reversed every round, so that a noisy machine is noisy for all of them.
    """
    started = time.monotonic()
    recorded: dict[str, list[list[Run]]] = {engine.label: [] for engine in engines}
    failures: Failures = {}
    for round_ in range(rounds):
        if round_ and time.monotonic() - started > seconds:
            break
        for engine in engines if round_ % 2 == 0 else reversed(engines):
            if round_ >= engine.max_rounds:
                continue
            if runs := _run_once(engine, streams, patches, failures):
                recorded[engine.label].append(runs)
    return {label: runs for label, runs in recorded.items() if runs and label not in failures}, failures


def _run_once(engine: MeasuredEngine, streams: int, patches: int, failures: Failures) -> list[Run]:
    if engine.label in failures:
        return []
    time.sleep(_PAUSE)
    try:
        return engine.speak(streams, patches)
    except ChildFailed as error:
        failures[engine.label] = error
        return []


_COLD_LOADS = 3
_LOAD_SECONDS = 60.0
"""Least time that a load is given."""
_ROUNDS_WITHOUT_GRAPHS = 3
_MIN_SECONDS = 60.0
"""Time that must be left to start an optional section."""
_RESERVED = 150.0
"""Time that compiling must leave, in seconds."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to run voxcli."""

    label: str
    quantize: str | None
    graphs: bool

    @property
    def max_rounds(self) -> int:
        """Without graphs it is slow, and only there for comparison."""
        return sys.maxsize if self.graphs else _ROUNDS_WITHOUT_GRAPHS


@dataclass(frozen=True, slots=True)
class Names:
    """Labels of all engines that may take part."""

    main: str
    plain: str
    quantized: str
    package: str
    compiled: str

    @classmethod
    def of(cls, options: Options) -> "Names":
        own, package = f"voxcli {options.dtype}", f"package {options.dtype}"
        return cls(own, f"{own}, no graphs", f"voxcli {options.quantize}", package, f"{package}, compiled")


def setups_of(options: Options) -> list[Setup]:
    names = Names.of(options)
    setups = [Setup(names.main, None, graphs=True)]
    if options.quantize:
        setups.append(Setup(names.quantized, options.quantize, graphs=True))
    if options.kind == "cuda":
        setups.append(Setup(names.plain, None, graphs=False))
    return setups


def load_engines(context: Context, stack: ExitStack) -> Iterator[MeasuredEngine]:
    """Load every engine in a process of its own, one after another, and note those that fail. Loading is timed."""
    echo("load to the first chunk, each time in a new process:")
    for setup in setups_of(context.options):
        if engine := load_setup(context, stack, setup):
            yield engine
    yield from _load_package_engines(context, stack)
    if folder := context.options.voxcpm_cpp:
        threads = torch.get_num_threads()
        models = models_in(folder)
        yield from (CppEngine(folder, model, threads=threads, steps=context.options.steps) for model in models)
        if not models:
            context.results.not_compared.append(f"VoxCPM.cpp: there is no *.gguf in {folder}")


def load_setup(context: Context, stack: ExitStack, setup: Setup, loads: int = _COLD_LOADS) -> VoxcliEngine | None:
    """Load voxcli a few times, and return the last engine; None if it fails.

    On a CPU with its weights prepared, as they are from the second start on.
    """
    options, results = context.options, context.results
    kept = context.folder / "prepared" if options.kind == "cpu" else None
    contestant = Contestant(
        checkpoint=str(context.checkpoint),
        prepared=str(kept) if kept else None,
        device=options.device,
        dtype=options.dtype,
        quantize=setup.quantize,
        graphs=setup.graphs,
        slots=options.slots if setup.graphs else 1,  # several streams take too long without graphs
    )

    def load() -> VoxcliEngine:
        timeout = max(_LOAD_SECONDS, context.deadline.left / 3)
        return VoxcliEngine(setup.label, contestant, options.steps, timeout=timeout, max_rounds=setup.max_rounds)

    wanted = min(loads, options.runs) if setup.graphs else 1
    try:
        if kept:
            load().close()  # which waits until they are written
        for number in range(1, wanted + 1):
            if late := number < wanted and context.deadline.left < _MIN_SECONDS:
                results.not_compared.append(f"loading {setup.label} more than once: no time left")
            engine = load()
            results.loads.setdefault(setup.label, []).append(engine.load)
            if late or number == wanted:
                break
            engine.close()
    except ChildFailed as error:
        _failed(context, setup.label, error)
        return None
    stack.callback(engine.close)
    _print_load(context, setup.label)
    return engine


def _load_package_engines(context: Context, stack: ExitStack) -> Iterator[MeasuredEngine]:
    options, results, names = context.options, context.results, Names.of(context.options)
    if not options.against:
        results.not_compared.append("the package: pass --against package")
        return
    if results.package_not_importable:
        return
    yield from _load_package(context, stack, names.package, False, lambda: context.deadline.left / 3)
    if options.kind != "cuda":
        results.not_compared.append("the package compiled: it compiles for CUDA only")
    elif context.deadline.left < _RESERVED + _MIN_SECONDS:
        results.not_compared.append("the package compiled: no time left to compile")
    else:
        yield from _load_package(context, stack, names.compiled, True, lambda: context.deadline.left - _RESERVED)


def _load_package(
    context: Context, stack: ExitStack, label: str, compiled: bool, timeout: Callable[[], float]
) -> Iterator[PackageEngine]:
    checkpoint = with_dtype(context.checkpoint, context.options.dtype, context.folder)
    try:
        package = PackageEngine(label, checkpoint, context.options, compiled=compiled, timeout=timeout())
        stack.callback(package.close)
        first = package.speak(1, 2, timeout=timeout())[0].chunks[0][0]
    except ChildFailed as error:
        context.results.not_compared.append(f"{label}: {error}")
        return
    context.results.package = package.summary()
    about = package.about
    context.results.loads[label] = [Load(package.loaded + first, about["imports"], about["load"], first)]
    _print_load(context, label)
    yield package


def note_memory(context: Context, engines: list[MeasuredEngine]) -> None:
    for engine in engines:
        if engine.label in context.results.figures and not isinstance(engine, CppEngine):
            context.results.memories[engine.label] = engine.memory()


def _failed(context: Context, what: str, error: Exception) -> None:
    context.results.failed.append(f"{what}: {error}")
    echo(f"  FAILED  {what}: {error}")


def _print_load(context: Context, label: str) -> None:
    if loads := context.results.loads.get(label):
        whole = statistics.median(load.whole for load in loads)
        rest = statistics.median(load.without_imports for load in loads)
        echo(f"  {label:28} {whole:6.2f} s, {rest:.2f} s without imports")
