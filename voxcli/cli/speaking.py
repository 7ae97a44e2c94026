"""The loop behind `voxcli say`: parts of a text down to an engine, chunks of sound up to a sink."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from voxcli.audio.pcm import amplified
from voxcli.cli.report import Report
from voxcli.cli.source import Source, Whole
from voxcli.engines import model_names, open_engine
from voxcli.errors import RequestError
from voxcli.narration import Narrator
from voxcli.sinks import Target, ToFile, open_sink
from voxcli.speech import Speech, SynthesisRequest, Voice
from voxcli.text.parts import read_parts
from voxcli.timing import Stopwatch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that the command line asked for."""

    text: Source
    markdown: bool
    model: str | None
    voice: Voice
    language: str | None
    speed: float
    volume: float
    targets: list[Target]


def speak(job: Job, report: Report, check: Callable[[], None]) -> None:
    """Say all of it, and report.

    check: raises if the work shall stop. Called between chunks, and before every wait for text.
    """
    if isinstance(job.text, Whole) and not job.text.text.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    report.loading(job.model or model_names()[0])
    started, stopwatch = time.perf_counter(), Stopwatch()
    # The sink first: a file that may not be written is better known before a model is loaded.
    with open_sink(job.targets) as sink, closing(open_engine(job.model)) as engine:

        def before_waiting() -> None:
            check()
            sink.idle()

        def speak_sentence(text: str) -> Speech:
            request = SynthesisRequest(text=text, voice=job.voice, language=job.language, speed=job.speed)
            return stopwatch.timed(engine.stream(request))

        _log.debug("ready after %.0f ms", 1000 * (time.perf_counter() - started))
        narrator = Narrator(speak_sentence)
        for part in read_parts(job.text.pieces(before_waiting), markdown=job.markdown):
            with closing(amplified(narrator.stream(part), job.volume)) as chunks:
                for chunk in chunks:
                    sink.write(chunk)
                    report.chunk(chunk, stopwatch.timings)
                    check()
    if not stopwatch.timings.chunks:
        raise RequestError("There is nothing to say: the text has no words.")
    outputs = [str(target.path) for target in job.targets if isinstance(target, ToFile)]
    report.done(stopwatch.timings, sink.underruns, outputs)
