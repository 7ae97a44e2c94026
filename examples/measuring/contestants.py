"""Who takes part: ours in each way it runs, and the package as it is and compiled."""

import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from measuring.checkpoint import as_stored_in
from measuring.dialogue import DialogueEnded
from measuring.load import Fresh, Load, Memory, load_afresh
from measuring.options import Options
from measuring.ours import Ours, load_ours
from measuring.stage import Stage, say
from measuring.theirs import Theirs
from measuring.turns import Contestant
from voxcli.errors import VoxError

_FRESH_RUNS = 3
_TURNS_WITHOUT_GRAPHS = 3
_ENOUGH = 60.0
"""Seconds that must be left for a thing to be begun that may be left out."""
_FOR_THE_REST = 150.0
"""Seconds that compiling must leave."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which ours runs."""

    label: str
    quantize: str | None
    graphs: bool

    @property
    def most_turns(self) -> int:
        """Without graphs it is slow, and there to be compared with, not to be used."""
        return sys.maxsize if self.graphs else _TURNS_WITHOUT_GRAPHS


@dataclass(frozen=True, slots=True)
class Names:
    """What all that may take part are called."""

    main: str
    plain: str
    quantized: str
    package: str
    compiled: str

    @classmethod
    def of(cls, options: Options) -> "Names":
        ours, theirs = f"voxcli {options.dtype}", f"package {options.dtype}"
        return cls(ours, f"{ours}, no graphs", f"voxcli {options.quantize}", theirs, f"{theirs}, compiled")


def ways_of(options: Options) -> list[Way]:
    names = Names.of(options)
    ways = [Way(names.main, None, graphs=True)]
    if options.quantize:
        ways.append(Way(names.quantized, options.quantize, graphs=True))
    if options.kind == "cuda":
        ways.append(Way(names.plain, None, graphs=False))
    return ways


def measure_loading(stage: Stage) -> None:
    """Load ours in fresh processes, while nothing else runs."""
    options = stage.options
    say("load to the first chunk, each time in a process that has done nothing before:")
    for way in ways_of(options):
        if not way.graphs:
            continue
        what = Fresh(
            checkpoint=str(stage.checkpoint),
            device=options.device,
            dtype=options.dtype,
            quantize=way.quantize,
            graphs=way.graphs,
            slots=options.slots,
            steps=options.steps,
            patches=min(options.patches, 8),
        )
        _load_afresh(stage, way, what)
        _tell_load(stage, way.label)


def _load_afresh(stage: Stage, way: Way, what: Fresh) -> None:
    results = stage.results
    for number in range(min(_FRESH_RUNS, stage.options.runs)):
        if stage.clock.left < _ENOUGH:
            results.not_compared.append(f"loading {way.label} more than {number} times: no time left")
            return
        try:
            load, memory = load_afresh(what, stage.clock.left / 3)
        except DialogueEnded as error:
            _failed(stage, f"loading {way.label}", error)
            return
        results.loads.setdefault(way.label, []).append(load)
        results.memories[way.label] = memory


def open_contestants(stage: Stage, stack: ExitStack) -> Iterator[Contestant]:
    """Load all that take part, one after the other, and note who cannot. The package's loading is timed on the way."""
    yield from _package(stage, stack)
    options = stage.options
    for way in ways_of(options):
        try:
            model = load_ours(
                stage.checkpoint, options.device, options.dtype, way.quantize, slots=options.slots, graphs=way.graphs
            )
        except (VoxError, RuntimeError) as error:
            _failed(stage, way.label, error)
            continue
        contestant = Ours(way.label, model, options.steps, way.most_turns)
        stack.callback(contestant.close)
        yield contestant


def _package(stage: Stage, stack: ExitStack) -> Iterator[Contestant]:
    options, results, names = stage.options, stage.results, Names.of(stage.options)
    if not options.against:
        results.not_compared.append("the package: say --against package")
        return
    if results.package_missing:
        return
    yield from _opened(stage, stack, names.package, False, lambda: stage.clock.left / 3)
    if options.kind != "cuda":
        results.not_compared.append("the package compiled its own way: it compiles for CUDA only")
    elif stage.clock.left < _FOR_THE_REST + _ENOUGH:
        results.not_compared.append("the package compiled its own way: no time left to compile")
    else:
        yield from _opened(stage, stack, names.compiled, True, lambda: stage.clock.left - _FOR_THE_REST)


def _opened(
    stage: Stage, stack: ExitStack, label: str, compiled: bool, patience: Callable[[], float]
) -> Iterator[Theirs]:
    checkpoint = as_stored_in(stage.checkpoint, stage.options.dtype, stage.folder)
    try:
        package = Theirs(label, checkpoint, stage.options, compiled=compiled, patience=patience())
        stack.callback(package.close)
        first = package.speak(1, 2, patience=patience())[0].chunks[0][0]
    except DialogueEnded as error:
        stage.results.not_compared.append(f"{label}: {error}")
        return
    stage.results.package = package.told()
    about = package.about
    stage.results.loads[label] = [Load(package.loaded + first, about["imports"], about["load"], first)]
    _tell_load(stage, label)
    yield package


def note_memory_of_package(stage: Stage, contestants: list[Contestant]) -> None:
    for contestant in contestants:
        if isinstance(contestant, Theirs) and contestant.label in stage.results.figures:
            stage.results.memories[contestant.label] = Memory(**contestant.memory())


def _failed(stage: Stage, what: str, error: Exception) -> None:
    stage.results.failed.append(f"{what}: {error}")
    say(f"  FAILED  {what}: {error}")


def _tell_load(stage: Stage, label: str) -> None:
    if loads := stage.results.loads.get(label):
        whole = statistics.median(load.whole for load in loads)
        rest = statistics.median(load.without_imports for load in loads)
        say(f"  {label:28} {whole:6.2f} s, {rest:.2f} s without imports")
