"""The tables at the end, and what could not be compared."""

import statistics

from measuring.contestants import Names
from measuring.figures import Figures
from measuring.flat import FAR, NEAR
from measuring.load import Memory
from measuring.stage import Stage, say
from measuring.targets import meant_for

_WIDTH = 28


def tell_figures(stage: Stage, streams: int) -> None:
    """Tell what has just been measured in a line for each contestant."""
    say(f"{streams} stream{'s' if streams > 1 else ''} at once:")
    for label, figures in _in_order(stage):
        if its := figures.get(streams):
            say(
                f"  {label:{_WIDTH}} first chunk {1000 * its.first_p50:.1f} ms, a patch {1000 * its.patch:.2f} ms, "
                f"{its.together:.3g}× real time together"
            )


def report(stage: Stage) -> None:
    options = stage.options
    say(
        f"\n== {options.family} on {stage.results.environment.device}, {options.size} size, {options.steps} steps, "
        f"{options.patches} patches of {1000 * stage.patch_seconds:.0f} ms"
    )
    for section in (_streams, _ratios, _floors, _parts, _loads, _memory, _flatness, _targets, _not_compared):
        section(stage)
    say(f"done in {stage.clock.passed:.0f} s")


def _in_order(stage: Stage) -> list[tuple[str, dict[int, Figures]]]:
    """Return what was measured: ours first."""
    figures, names = stage.results.figures, Names.of(stage.options)
    return sorted(figures.items(), key=lambda item: item[0] in (names.package, names.compiled))


def _streams(stage: Stage) -> None:
    say(
        f"{'':{_WIDTH}} {'at once':>7} {'turns':>5} {'first p50':>9} {'p99':>8} {'1st patch':>9} {'per patch':>9} "
        f"{'× floor':>7} {'RTF':>7} {'worst':>7} {'together':>8} {'ran dry':>8}"
    )
    for label, figures in _in_order(stage):
        for streams, its in figures.items():
            floor = stage.results.floors[label].patch[streams]
            listeners = its.streams * its.turns
            say(
                f"{label:{_WIDTH}} {streams:7} {its.turns:5} {1000 * its.first_p50:9.2f} {1000 * its.first_p99:8.2f} "
                f"{1000 * its.first_patch:9.2f} {1000 * its.patch:9.2f} {its.patch / floor:7.2f} {its.factor:7.4f} "
                f"{its.factor_worst:7.4f} {its.together:7.1f}× {its.dry_streams:3}/{listeners}"
            )
    say("times in ms; p99 is that of all streams of all turns; together: of all streams, times real time; ran dry: of")
    say("listeners who begin with the first chunk, how many would have heard a gap")


def _ratios(stage: Stage) -> None:
    names, figures = Names.of(stage.options), stage.results.figures
    for theirs in (names.package, names.compiled):
        for label, its in _in_order(stage):
            base, one = figures.get(theirs, {}).get(1), its.get(1)
            if base and one and label not in (names.package, names.compiled):
                say(
                    f"{label} against {theirs}, one stream: first chunk {base.first_p50 / one.first_p50:.1f} times "
                    f"sooner, first whole patch {base.first_patch / one.first_patch:.1f}, "
                    f"RTF {base.factor / one.factor:.1f} times faster, a patch {base.patch / one.patch:.1f}"
                )
    if stage.results.package:
        say(f"the package: {stage.results.package}")


def _floors(stage: Stage) -> None:
    rates, names = stage.results.rates, Names.of(stage.options)
    assert rates is not None
    for label, floor in stage.results.floors.items():
        if label in (names.plain, names.package, names.compiled):
            continue  # the same as that of the main contestant
        parts = ", ".join(f"{name} {read / 1e6:.3g}" for name, read in floor.bytes_read.items())
        steps = ", ".join(f"{streams}: {1000 * seconds:.3g}" for streams, seconds in sorted(floor.patch.items()))
        say(
            f"floor of {label}: {sum(floor.bytes_read.values()) / 1e9:.3g} GB and {floor.operations / 1e9:.3g} GFLOP "
            f"a step, at {rates.bandwidth / 1e9:.0f} GB/s and {rates.products / 1e12:.3g} TFLOP/s"
        )
        say(f"  MB: {parts}")
        say(f"  ms to the first chunk: {1000 * floor.first_chunk:.3g}; a step by streams at once: {steps}")


def _parts(stage: Stage) -> None:
    for label, table in stage.results.parts.items():
        say(f"parts of a step of {label}, replayed by themselves, ms by the GPU's clock:")
        for streams, parts in table.items():
            told = ", ".join(f"{name} {1000 * seconds:.3f}" for name, seconds in parts.items())
            alone = sum(seconds for name, seconds in parts.items() if name != "step")
            say(f"  {streams:3} at once: {told}; sum of the parts {1000 * alone:.3f}")


def _loads(stage: Stage) -> None:
    say(f"{'load, s':{_WIDTH}} {'whole':>7} {'imports':>7} {'loading':>7} {'1st chunk':>9} {'w/o imports':>11}")
    for label, loads in stage.results.loads.items():
        columns = [
            statistics.median(getattr(load, name) for load in loads)
            for name in ("whole", "imports", "load", "first_chunk", "without_imports")
        ]
        say("{:{}} {:7.2f} {:7.2f} {:7.2f} {:9.3f} {:11.2f}".format(label, _WIDTH, *columns))
    say("whole: from the call of Python to the first chunk, weights in the page cache, median; the package: once")


def _memory(stage: Stage) -> None:
    for label, memory in stage.results.memories.items():
        say(f"memory of {label}: {_memory_told(memory)}")
    say(f"ours with room for {stage.options.slots} streams, all speaking; the package with one")


def _memory_told(memory: Memory) -> str:
    gpu = (
        f", on the GPU {_gib(memory.allocated)} in tensors, {_gib(memory.reserved)} reserved" if memory.reserved else ""
    )
    return f"{_gib(memory.resident)} on the host at most{gpu}"


def _flatness(stage: Stage) -> None:
    for label, flatness in stage.results.flatness.items():
        say(
            f"{label}: a patch behind {NEAR} positions {1000 * flatness.near:.2f} ms, behind {FAR} "
            f"{1000 * flatness.far:.2f} ms, ratio {flatness.ratio:.3f} (medians of {flatness.patches} each, in turns; "
            f"the quickest: {1000 * flatness.near_least:.2f} and {1000 * flatness.far_least:.2f} ms)"
        )


def _targets(stage: Stage) -> None:
    say(f"targets, for {meant_for(stage.options)}:")
    for verdict in stage.results.verdicts:
        judged = {True: "met", False: "MISSED", None: "-"}[verdict.met]
        say(f"  {judged:7} {verdict.what:52} {verdict.target:18} {verdict.measured}")
    if all(verdict.met is None for verdict in stage.results.verdicts):
        say("  None is judged: this is another machine or another setting, or it was not measured.")


def _not_compared(stage: Stage) -> None:
    results = stage.results
    say("not compared:")
    for line in results.not_compared or ["nothing: all that can be compared was"]:
        say(f"  {line}")
    for line in results.failed:
        say(f"FAILED: {line}")


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
