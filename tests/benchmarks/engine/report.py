"""Tables printed at the end of a measurement, and the list of what could not be compared."""

import statistics

from tests.benchmarks.engine.engines import Names
from tests.benchmarks.engine.figures import Figures, Memory
from tests.benchmarks.engine.results import Context, echo
from tests.benchmarks.engine.streams import FAR, NEAR
from tests.benchmarks.engine.targets import conditions
from tests.benchmarks.engine.work import DIT, PREFILL, Part, evaluations_of

_WIDTH = 28


def print_figures(context: Context, streams: int) -> None:
    """Print one line per engine for the streams just measured."""
    echo(f"{streams} stream{'s' if streams > 1 else ''} at once:")
    for label, figures in _in_order(context):
        if its := figures.get(streams):
            echo(
                f"  {label:{_WIDTH}} first chunk {1000 * its.first_p50:.1f} ms, a patch {1000 * its.patch:.2f} ms, "
                f"{its.together:.3g}× real time together"
            )


def print_profile(context: Context, label: str) -> None:
    """Print where the time of a patch goes, beside the least time that bytes and operations take."""
    found, floor, rates = context.results.profiles[label], context.results.floors[label], context.results.rates
    assert rates is not None

    def line(name: str, seconds: float, part: Part | None) -> None:
        share = f"{seconds / found.patch:7.1%}" if name != PREFILL else ""
        text = f"{name:18} {1000 * seconds:8.2f} {share:>7}"
        if part:
            reading, computing = 1000 * part.read / rates.bandwidth, 1000 * part.done / rates.products
            least = max(reading, computing)
            text += f" {part.read / 1e6:8.1f} {reading:7.2f} {part.done / 1e9:7.2f} {computing:7.2f}"
            text += f" {1000 * seconds / least:7.1f}" if least else ""
        echo(text)

    echo(f"\n{label}: first chunk {1000 * found.first_chunk:.1f} ms, a patch {1000 * found.patch:.1f} ms, by parts:")
    echo(f"{'':18} {'ms':>8} {'share':>7} {'MB':>8} {'read ms':>7} {'GFLOP':>7} {'mult ms':>7} {'× floor':>7}")
    if found.prefill:
        line(PREFILL, found.prefill, floor.prefill)
    for name, seconds in found.parts.items():
        shown = f"{evaluations_of(context.options.steps)} × {name}" if name == DIT else name
        line(shown, seconds, floor.parts.get(name))
    line("Python and the rest", found.patch - sum(found.parts.values()), None)
    line("patch", found.patch, Part(floor.bytes_read, floor.operations))


def report(context: Context) -> None:
    options = context.options
    echo(
        f"\n== {options.family} on {context.results.environment.device}, {options.size} size, {options.steps} steps, "
        f"{options.patches} patches of {1000 * context.patch_seconds:.0f} ms"
    )
    for section in (_streams, _ratios, _floors, _parts, _loads, _memory, _position_costs, _targets, _not_compared):
        section(context)
    echo(f"done in {context.deadline.passed:.0f} s")


def _in_order(context: Context) -> list[tuple[str, dict[int, Figures]]]:
    """Return the figures, voxcli first."""
    figures, names = context.results.figures, Names.of(context.options)
    return sorted(figures.items(), key=lambda item: item[0] in (names.package, names.compiled))


def _streams(context: Context) -> None:
    echo(
        f"{'':{_WIDTH}} {'at once':>7} {'rounds':>6} {'first p50':>9} {'p99':>8} {'1st patch':>9} {'per patch':>9} "
        f"{'× floor':>7} {'RTF':>7} {'worst':>7} {'together':>8} {'gaps':>8}"
    )
    for label, figures in _in_order(context):
        for streams, its in figures.items():
            floors = context.results.floors
            floor = floors.get(label, floors[Names.of(context.options).main]).patch[streams]
            count = its.streams * its.rounds
            echo(
                f"{label:{_WIDTH}} {streams:7} {its.rounds:6} {1000 * its.first_p50:9.2f} {1000 * its.first_p99:8.2f} "
                f"{1000 * its.first_patch:9.2f} {1000 * its.patch:9.2f} {its.patch / floor:7.2f} {its.factor:7.4f} "
                f"{its.factor_worst:7.4f} {its.together:7.1f}× {its.dry_streams:3}/{count}"
            )
    echo("times in ms; p99 over all streams of all rounds; together: throughput of all streams, times real time;")
    echo("gaps: streams that would have a gap if played from the first chunk")


def _ratios(context: Context) -> None:
    names, figures = Names.of(context.options), context.results.figures
    for package in (names.package, names.compiled):
        for label, its in _in_order(context):
            base, one = figures.get(package, {}).get(1), its.get(1)
            if base and one and label not in (names.package, names.compiled):
                echo(
                    f"{label} against {package}, one stream: first chunk {base.first_p50 / one.first_p50:.1f} times "
                    f"sooner, first whole patch {base.first_patch / one.first_patch:.1f}, "
                    f"RTF {base.factor / one.factor:.1f} times faster, a patch {base.patch / one.patch:.1f}"
                )
    if context.results.package:
        echo(f"the package: {context.results.package}")


def _floors(context: Context) -> None:
    rates, names = context.results.rates, Names.of(context.options)
    assert rates is not None
    for label, floor in context.results.floors.items():
        if label in (names.plain, names.package, names.compiled):
            continue  # the same as that of the main engine
        parts = ", ".join(f"{name} {part.read / 1e6:.3g}" for name, part in floor.parts.items())
        steps = ", ".join(f"{streams}: {1000 * seconds:.3g}" for streams, seconds in sorted(floor.patch.items()))
        echo(
            f"floor of {label}: {floor.bytes_read / 1e9:.3g} GB and {floor.operations / 1e9:.3g} GFLOP "
            f"a step, at {rates.bandwidth / 1e9:.0f} GB/s and {rates.products / 1e12:.3g} TFLOP/s"
        )
        echo(f"  MB: {parts}")
        echo(f"  ms to the first chunk: {1000 * floor.first_chunk:.3g}; a step by streams at once: {steps}")


def _parts(context: Context) -> None:
    for label, table in context.results.parts.items():
        echo(f"parts of a step of {label}, each replayed alone, ms by the GPU's clock:")
        for streams, parts in table.items():
            summary = ", ".join(f"{name} {1000 * seconds:.3f}" for name, seconds in parts.items())
            total = sum(seconds for name, seconds in parts.items() if name != "step")
            echo(f"  {streams:3} at once: {summary}; sum of the parts {1000 * total:.3f}")


def _loads(context: Context) -> None:
    echo(f"{'load, s':{_WIDTH}} {'whole':>7} {'imports':>7} {'loading':>7} {'1st chunk':>9} {'w/o imports':>11}")
    for label, loads in context.results.loads.items():
        columns = [
            statistics.median(getattr(load, name) for load in loads)
            for name in ("whole", "imports", "load", "first_chunk", "without_imports")
        ]
        echo("{:{}} {:7.2f} {:7.2f} {:7.2f} {:9.3f} {:11.2f}".format(label, _WIDTH, *columns))
    echo(
        "whole: from the start of Python to the first chunk, weights in the page cache; median, of the package one load"
    )


def _memory(context: Context) -> None:
    for label, memory in context.results.memories.items():
        echo(f"memory of {label}: {_memory_summary(memory)}")
    echo(f"peak of voxcli with {context.options.slots} streams at once; of the package with one")


def _memory_summary(memory: Memory) -> str:
    gpu = (
        f", on the GPU {_gib(memory.allocated)} in tensors, {_gib(memory.reserved)} reserved" if memory.reserved else ""
    )
    return f"{_gib(memory.resident)} on the host at most{gpu}"


def _position_costs(context: Context) -> None:
    for label, cost in context.results.position_costs.items():
        echo(
            f"{label}: a patch behind {NEAR} positions {1000 * cost.near:.2f} ms, behind {FAR} "
            f"{1000 * cost.far:.2f} ms, ratio {cost.ratio:.3f} (medians of {cost.patches} each, alternating; "
            f"minima: {1000 * cost.near_min:.2f} and {1000 * cost.far_min:.2f} ms)"
        )


def _targets(context: Context) -> None:
    echo(f"targets, for {conditions(context.options)}:")
    for verdict in context.results.verdicts:
        mark = {True: "met", False: "MISSED", None: "-"}[verdict.met]
        echo(f"  {mark:7} {verdict.what:52} {verdict.target:18} {verdict.measured}")
    if all(verdict.met is None for verdict in context.results.verdicts):
        echo("  No verdict: this is another machine or other settings, or nothing was measured.")


def _not_compared(context: Context) -> None:
    results = context.results
    echo("not compared:")
    for line in results.not_compared or ["nothing: everything was compared"]:
        echo(f"  {line}")
    for line in results.failed:
        echo(f"FAILED: {line}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
