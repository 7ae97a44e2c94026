"""The sections of a measurement in their order."""

import gc
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from measuring.checkpoint import find_or_write, read_into_page_cache
from measuring.clock import Clock
from measuring.contestants import Names, measure_loading, note_memory_of_package, open_contestants, ways_of
from measuring.environment import read_environment
from measuring.figures import Figures
from measuring.flat import measure_flatness
from measuring.options import TEXT, Options
from measuring.ours import Ours
from measuring.parts import measure_parts
from measuring.proof import prove_equality
from measuring.rates import measure_rates
from measuring.report import report, tell_figures
from measuring.results import Floor, Results
from measuring.stage import Stage, say
from measuring.targets import Seen, judge
from measuring.turns import Contestant, Failures, take_turns, warm_up
from measuring.work import Widths, evaluations_of, work_of
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.runtime.graph_runner import GraphRunner

_FOR_THE_REPORT, _FOR_FLATNESS = 15.0, 60.0
_LEAST = 10.0
"""Seconds, for one more number of streams."""
_WEIGHT_OF_ONE = 3
"""One stream gets so many times the time of many: the package takes part."""


def measure(options: Options) -> int:
    """Measure all that was asked for, and return the exit code.

    Raises:
        VoxError: there is no such device.
    """
    clock = Clock(options.minutes)
    device = choose_placement(options.device, options.dtype).device
    if device.type == "cuda":
        torch.cuda.set_device(device)
    results = Results(options=options, environment=read_environment(device))
    say(results.environment.told())
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = _checkpoint(folder, options, results)
        stage = Stage(options, checkpoint, read_config(checkpoint), folder, clock, results)
        try:
            code = _run(stage, device)
        finally:
            results.seconds = clock.passed
            if options.json is not None:
                results.write(options.json)
    return code


def _checkpoint(folder: Path, options: Options, results: Results) -> Path:
    started = time.perf_counter()
    checkpoint = find_or_write(folder, options.family, options.size)
    results.checkpoint_seconds = time.perf_counter() - started
    results.checkpoint_bytes = read_into_page_cache(checkpoint)
    say(
        f"{options.family}, {options.size} size, random weights: {results.checkpoint_bytes / 1e9:.2f} GB "
        f"in {checkpoint}, written in {results.checkpoint_seconds:.1f} s"
    )
    return checkpoint


def _run(stage: Stage, device: torch.device) -> int:
    results = stage.results
    _measure_floors(stage, device)
    prove_equality(stage)
    if not all(comparison.good for comparison in results.comparisons):
        say("They do not say the same, so nothing is timed: see DIFFER above.")
        return 1
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    measure_loading(stage)
    with ExitStack() as stack:
        contestants = list(open_contestants(stage, stack))
        _measure_streams(stage, contestants)
        note_memory_of_package(stage, contestants)
        for contestant in contestants:
            if isinstance(contestant, Ours):
                _measure_alone(stage, contestant)
    _measure_floors(stage, device)  # once more, in case the first time something else ran
    results.verdicts += judge(_seen(stage))
    report(stage)
    return 1 if results.failed else 0


def _seen(stage: Stage) -> Seen:
    options, results, names = stage.options, stage.results, Names.of(stage.options)
    return Seen(
        options=options,
        environment=results.environment,
        figures=results.figures,
        loads=results.loads,
        flatness=results.flatness,
        main=names.main,
        quantized=names.quantized if options.quantize else None,
        package=names.package,
        compiled=names.compiled,
    )


def _measure_floors(stage: Stage, device: torch.device) -> None:
    options, results = stage.options, stage.results
    rates = results.rates = measure_rates(device, small=options.size == "tiny").or_better(results.rates)
    say(
        f"this device copies {rates.bandwidth / 1e9:.0f} GB/s, read and written, "
        f"and multiplies bfloat16 at {rates.products / 1e12:.3g} TFLOP/s"
    )
    for way in ways_of(options):
        widths = Widths.of(options.kind, options.dtype, way.quantize)
        text = len(TEXT) + 1
        work = work_of(
            stage.config,
            widths,
            evaluations=evaluations_of(options.steps),
            positions=text + options.patches // 2,
            text=text,
        )
        results.floors[way.label] = Floor(
            work.before_first().seconds(1, rates.bandwidth, rates.products),
            {streams: work.seconds(streams, rates.bandwidth, rates.products) for streams in {1, *options.streams}},
            {name: part.read for name, part in work.parts.items()} | {"keys and values": work.memory},
            work.operations(1),
        )
    names = Names.of(options)
    results.floors[names.package] = results.floors[names.compiled] = results.floors[names.main]


def _measure_streams(stage: Stage, contestants: Sequence[Contestant]) -> None:
    options, clock, notes = stage.options, stage.clock, stage.results.not_compared
    reserve = _FOR_THE_REPORT + (_FOR_FLATNESS if options.flat else 0.0)
    if options.against and 1 not in options.streams:
        notes.append("one stream at once, which is all that the package can: it was not asked for")
    for number, streams in enumerate(options.streams):
        if clock.left - reserve < _LEAST:
            notes.append(f"{streams} at once: no time left")
            continue
        weights = [_WEIGHT_OF_ONE if later == 1 else 1 for later in options.streams[number:]]
        _measure_at(stage, contestants, streams, (clock.left - reserve) * weights[0] / sum(weights))
    notes += [
        f"{contestant.label}, several streams at once: it makes one after the other"
        for contestant in contestants
        if contestant.most_streams < options.slots
    ]


def _measure_at(stage: Stage, contestants: Sequence[Contestant], streams: int, seconds: float) -> None:
    results, options = stage.results, stage.options
    started = stage.clock.passed
    able = [one for one in contestants if one.most_streams >= streams and one.label not in results.out]
    _note(stage, streams, warm_up(able, streams))
    able = [one for one in able if one.label not in results.out]
    left = seconds - (stage.clock.passed - started)
    heard, failures = take_turns(able, streams, options.patches, options.runs, left)
    _note(stage, streams, failures)
    for label, turns in heard.items():
        results.figures.setdefault(label, {})[streams] = Figures.of(turns, stage.patch_seconds)
    tell_figures(stage, streams)


def _note(stage: Stage, streams: int, failures: Failures) -> None:
    ours = {way.label for way in ways_of(stage.options)}
    for label, error in failures.items():
        words = f"{label}, {streams} at once: {error}"
        (stage.results.failed if label in ours else stage.results.not_compared).append(words)
        stage.results.out[label] = str(error)
        say(f"  {label} is out: {error}")


def _measure_alone(stage: Stage, contestant: Ours) -> None:
    """Measure what only ours is asked for: the parts of a step, and whether it stays flat."""
    options, results = stage.options, stage.results
    if contestant.label in results.out:
        return
    graphs = any(way.label == contestant.label and way.graphs for way in ways_of(options))
    if isinstance(contestant.model.runner, GraphRunner):
        results.parts[contestant.label] = measure_parts(contestant.model.runner, options)
    if options.flat and graphs:
        if stage.clock.left < _FOR_THE_REPORT + _LEAST:
            results.not_compared.append(f"{contestant.label}, a short text and a long one: no time left")
        else:
            results.flatness[contestant.label] = measure_flatness(contestant.model, options.steps)
