"""The plan of a measurement: its sections in order, within the time that was given."""

import gc
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from tests.benchmarks.engine.cpp_engine import LABEL
from tests.benchmarks.engine.device import measure_rates, read_environment
from tests.benchmarks.engine.engines import (
    Failures,
    MeasuredEngine,
    Names,
    load_engines,
    load_setup,
    note_memory,
    run_rounds,
    setups_of,
    warm_up,
)
from tests.benchmarks.engine.equality import check_equality
from tests.benchmarks.engine.figures import Figures
from tests.benchmarks.engine.options import TEXT, Options
from tests.benchmarks.engine.report import print_figures, print_profile, report
from tests.benchmarks.engine.results import Context, Deadline, Floor, Results, echo
from tests.benchmarks.engine.streams import dtype_of
from tests.benchmarks.engine.targets import Measurements, check_targets
from tests.benchmarks.engine.voxcli_engine import VoxcliEngine
from tests.benchmarks.engine.work import Part, Widths, evaluations_of, work_of
from tests.checkpoints import write_checkpoint
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.network.config import read_config

_REPORT_SECONDS, _POSITIONS_SECONDS = 15.0, 60.0
_MIN_SECONDS = 10.0
"""Needed for another number of streams."""
_SINGLE_STREAM_WEIGHT = 3
"""One stream gets this many times the time of several: the package takes part in it."""


def measure(options: Options) -> int:
    """Run the whole measurement, and return the exit code.

    Raises:
        VoxError: there is no such device.
    """
    deadline = Deadline(options.minutes)
    device = choose_placement(options.device, options.dtype).device
    if device.type == "cuda":
        torch.cuda.set_device(device)
    results = Results(options=options, environment=read_environment(device))
    echo(results.environment.summary())
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = _checkpoint(folder, options, results)
        context = Context(options, checkpoint, read_config(checkpoint), folder, deadline, results)
        try:
            code = _run(context, device)
        finally:
            results.seconds = deadline.passed
            if options.json is not None:
                results.write(options.json)
    return code


def _checkpoint(folder: Path, options: Options, results: Results) -> Path:
    started = time.perf_counter()
    checkpoint = find_or_write(folder, options.family, options.size)
    results.checkpoint_seconds = time.perf_counter() - started
    results.checkpoint_bytes = read_into_page_cache(checkpoint)
    echo(
        f"{options.family}, {options.size} size, random weights: {results.checkpoint_bytes / 1e9:.2f} GB "
        f"in {checkpoint}, written in {results.checkpoint_seconds:.1f} s"
    )
    return checkpoint


def find_or_write(folder: Path, family: str, size: str) -> Path:
    """Return a random checkpoint in `folder`, written unless it exists: speed does not depend on the weights."""
    checkpoint = folder / f"{family}-{size}"
    if not checkpoint.exists():
        unfinished = folder / f"{checkpoint.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_checkpoint(unfinished, family, 1, size="tiny" if size == "tiny" else "full")
        unfinished.rename(checkpoint)
    return checkpoint


def read_into_page_cache(checkpoint: Path) -> int:
    """Read all files once, and return their total size in bytes."""
    count = 0
    for path in checkpoint.iterdir():
        with path.open("rb") as file:
            while piece := file.read(1 << 24):
                count += len(piece)
    return count


def _run(context: Context, device: torch.device) -> int:
    results = context.results
    _measure_floors(context, device)
    if context.options.profile:
        return _profile(context)
    check_equality(context)
    different = [comparison.summary() for comparison in results.comparisons if not comparison.good]
    if different and not context.options.time_anyway:
        echo("The outputs differ, so nothing is timed: see DIFFER above.")
        return 1
    results.failed += different
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with ExitStack() as stack:
        engines = list(load_engines(context, stack))
        _measure_streams(context, engines)
        note_memory(context, engines)
        for engine in engines:
            if isinstance(engine, VoxcliEngine):
                _measure_details(context, engine)
    _measure_floors(context, device)  # again, in case something else ran the first time
    results.verdicts += check_targets(_measurements(context))
    report(context)
    return 1 if results.failed else 0


def _profile(context: Context) -> int:
    """Print where the time of a patch goes, in each setup that runs as fast as it can."""
    for setup in setups_of(context.options):
        with ExitStack() as stack:
            if setup.graphs and (engine := load_setup(context, stack, setup, loads=1)):
                context.results.profiles[setup.label] = engine.profile(context.options.patches)
                print_profile(context, setup.label)
    return 1 if context.results.failed else 0


def _measurements(context: Context) -> Measurements:
    options, results, names = context.options, context.results, Names.of(context.options)
    return Measurements(
        options=options,
        environment=results.environment,
        figures=results.figures,
        loads=results.loads,
        position_costs=results.position_costs,
        main=names.main,
        quantized=names.quantized if options.quantize else None,
        package=names.package,
        compiled=names.compiled,
        cpp=[label for label in results.figures if label.startswith(LABEL)],
    )


def _measure_floors(context: Context, device: torch.device) -> None:
    options, results = context.options, context.results
    rates = results.rates = measure_rates(device, small=options.size == "tiny").maximum(results.rates)
    echo(
        f"this device reads and writes {rates.bandwidth / 1e9:.0f} GB/s "
        f"and multiplies matrices at {rates.products / 1e12:.3g} TFLOP/s"
    )
    for setup in setups_of(options):
        widths = Widths.of(options.kind, dtype_of(options.dtype, setup.quantize), setup.quantize)
        text = len(TEXT) + 1
        work = work_of(
            context.config,
            widths,
            evaluations=evaluations_of(options.steps),
            positions=text + options.patches // 2,
            text=text,
        )
        results.floors[setup.label] = Floor(
            work.before_first().seconds(1, rates.bandwidth, rates.products),
            {streams: work.seconds(streams, rates.bandwidth, rates.products) for streams in {1, *options.streams}},
            work.parts | {"keys and values": Part(work.memory)},
            work.whole_prefill(),
        )
    names = Names.of(options)
    results.floors[names.package] = results.floors[names.compiled] = results.floors[names.main]


def _measure_streams(context: Context, engines: Sequence[MeasuredEngine]) -> None:
    options, deadline, notes = context.options, context.deadline, context.results.not_compared
    reserve = _REPORT_SECONDS + (_POSITIONS_SECONDS if options.long_text else 0.0)
    if options.against and 1 not in options.streams:
        notes.append("the package: it runs one stream at a time, and --streams lacks 1")
    for number, streams in enumerate(options.streams):
        if deadline.left - reserve < _MIN_SECONDS:
            notes.append(f"{streams} at once: no time left")
            continue
        weights = [_SINGLE_STREAM_WEIGHT if later == 1 else 1 for later in options.streams[number:]]
        _measure_at(context, engines, streams, (deadline.left - reserve) * weights[0] / sum(weights))
    notes += [
        f"{engine.label}, several streams at once: it runs one at a time"
        for engine in engines
        if engine.max_streams < options.slots
    ]


def _measure_at(context: Context, engines: Sequence[MeasuredEngine], streams: int, seconds: float) -> None:
    results, options = context.results, context.options
    started = context.deadline.passed
    able = [one for one in engines if one.max_streams >= streams and one.label not in results.dropped]
    _note(context, streams, warm_up(able, streams))
    able = [one for one in able if one.label not in results.dropped]
    left = seconds - (context.deadline.passed - started)
    recorded, failures = run_rounds(able, streams, options.patches, options.runs, left)
    _note(context, streams, failures)
    for label, rounds in recorded.items():
        results.figures.setdefault(label, {})[streams] = Figures.of(rounds, context.patch_seconds)
    print_figures(context, streams)


def _note(context: Context, streams: int, failures: Failures) -> None:
    own = {setup.label for setup in setups_of(context.options)}
    for label, error in failures.items():
        failure = f"{label}, {streams} at once: {error}"
        (context.results.failed if label in own else context.results.not_compared).append(failure)
        context.results.dropped[label] = str(error)
        echo(f"  {label} is dropped: {error}")


def _measure_details(context: Context, engine: VoxcliEngine) -> None:
    """Measure what applies to voxcli only: the parts of a step, and the cost of distant positions."""
    options, results = context.options, context.results
    if engine.label in results.dropped:
        return
    graphs = any(setup.label == engine.label and setup.graphs for setup in setups_of(options))
    if engine.captured:
        results.parts[engine.label] = engine.parts(options.streams)
    if options.long_text and graphs:
        if context.deadline.left < _REPORT_SECONDS + _MIN_SECONDS:
            results.not_compared.append(f"{engine.label}, a short text and a long one: no time left")
        else:
            results.position_costs[engine.label] = engine.position_cost()
