"""The run of `voxcli say` and `clone`: a text through the pipeline into its targets, with a report."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from voxcli.cli.commands.chosen import engine_name, name_unused, open_chosen_engine
from voxcli.cli.commands.voices.remembered import HOW_TO_SAVE, remember
from voxcli.cli.console import Console
from voxcli.cli.run_report import RunReport
from voxcli.cli.text_source import Source, Whole
from voxcli.engines import BUILTIN_MODEL, can_run_models
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RequestError
from voxcli.sinks import Target, ToFile, open_sink
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import Voice, abilities_of, check_description, with_seed
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Part
from voxcli.text.parts import read_text

_log = logging.getLogger(__name__)

_BUILTIN_NOTE = (
    "using the built-in voice (eSpeak NG): instant but robotic. For a natural voice: {}voxcli models pull voxcpm-1.5"
)
_INSTALL = 'pip install "voxcli[local]", then '


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakJob:
    """Everything that `voxcli say` was asked to do."""

    text: Source
    markdown: bool
    split: bool
    """Into sentences."""
    engine: EngineSettings
    delivery: Delivery
    targets: list[Target]
    styled_by_option: bool = False
    """Whether the style is an option of this run, and not a voice that is kept as a description."""

    def parts(self, before_waiting: Callable[[], None], tags: frozenset[str]) -> Iterator[Part]:
        """Yield the parts of the text as soon as they are available. `tags` are those that the engine performs."""
        return read_text(self.text.pieces(before_waiting), markdown=self.markdown, split=self.split, tags=tags)


def speak(job: SpeakJob, console: Console, report: RunReport, check: Callable[[], None]) -> None:
    """Speak the text of a job into its targets, and report.

    check: raises if the work has to stop. Called between chunks, and before every wait for text.
    """
    if isinstance(job.text, Whole) and not job.text.text.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    model = engine_name(job.engine)
    if model == BUILTIN_MODEL and job.engine.model is None:
        console.note(_BUILTIN_NOTE.format("" if can_run_models() else _INSTALL))
    report.loading(model)
    started, stopwatch = time.perf_counter(), Stopwatch()
    # The sink first, so that a file that cannot be written is reported before a model is loaded.
    with open_sink(job.targets) as sink, closing(open_chosen_engine(job.engine, slots=1)) as engine:
        _log.debug("ready after %.0f ms", 1000 * (time.perf_counter() - started))

        if not job.styled_by_option:
            check_description(job.delivery.voice, abilities_of(engine))
        name_unused(job.delivery, engine, model)
        sampling = with_seed(job.delivery.sampling, engine)
        seed = sampling.seed if model != BUILTIN_MODEL else None
        if seed is not None:
            _log.debug("to repeat this speech: --seed %d", seed)

        def before_waiting() -> None:
            check()
            sink.idle()

        drawn: list[Voice] = []
        parts = job.parts(before_waiting, abilities_of(engine).tags)
        delivery = replace(job.delivery, sampling=sampling)
        pieces = synthesize(engine, parts, delivery, stopwatch=stopwatch, on_drawn_voice=drawn.append)
        try:
            with closing(only_chunks(pieces)) as chunks:
                for chunk in chunks:
                    sink.write(chunk)
                    report.chunk(chunk, stopwatch.timings)
                    check()
        finally:  # also when the consumer closed early
            remembered = bool(drawn) and remember(drawn[-1], None if job.engine.remote else model)
    if not stopwatch.timings.chunks:
        raise RequestError("There is nothing to say: the text has no words.")
    outputs = [str(target.path) for target in job.targets if isinstance(target, ToFile)]
    report.done(stopwatch.timings, sink.underruns, outputs, seed)
    if remembered and console.rich.is_terminal:
        console.note(HOW_TO_SAVE)
