"""Speaking, for `voxcli say` and `clone`: a text through the pipeline into its targets, with a report."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.cli.commands.chosen import engine_name, name_unused, open_chosen_engine, stays_loaded
from voxcli.cli.commands.speak_job import SpeakJob, SpeakRun
from voxcli.cli.commands.voices.remembered import HOW_TO_SAVE, remember
from voxcli.cli.console import Console
from voxcli.cli.reports.text import RunReport
from voxcli.cli.settings.files import find_user_places
from voxcli.cli.text_source import Whole, known_text
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL, can_run_models
from voxcli.errors import RequestError
from voxcli.installation import install_command
from voxcli.sinks import ToFile, open_sink
from voxcli.sinks.background import OpenedInBackground
from voxcli.sinks.base import Sink
from voxcli.synthesis.loading import LoadingProgress
from voxcli.synthesis.narration import draws_voice, first_request, with_drawn_voice
from voxcli.synthesis.pipeline import Delivery, Speakers, TakesText, delivery_of, prepared_speakers, synthesize
from voxcli.synthesis.request import (
    Engine,
    Parameter,
    Piece,
    Sampling,
    SentenceMark,
    Speech,
    SynthesisRequest,
    Voice,
    abilities_of,
    check_description,
    with_seed,
)

if TYPE_CHECKING:
    from voxcli.engines.resident.client import ResidentEngine

_log = logging.getLogger(__name__)

_BUILTIN_NOTE = "using the built-in voice (eSpeak NG): instant but robotic. For a human voice: {}"
_KOKORO_NOTE = "using Kokoro. For a still better voice, and to clone one: {}voxcli models pull voxcpm-1.5"
_DAY_SECONDS = 24 * 60 * 60


def speak(job: SpeakJob, console: Console, report: RunReport, check: Callable[[], None]) -> None:
    """Speak the text of a job into its targets, and report.

    check: raises if the work has to stop. Called between chunks, and before every wait for text.
    """
    if isinstance(job.text, Whole) and not job.text.text.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    model = engine_name(job.engine)
    if job.engine.model is None:
        _note_better(console, model)
    outputs = [str(target.path) for target in job.targets if isinstance(target, ToFile)]
    with ExitStack() as held:
        if job.queue:
            held.enter_context(_turn(job, report, check))
        report.loading(model, outputs)
        run = SpeakRun(job, report, check)
        held.push(lambda kind, error, trace: report.stopped(run.spoken()) if kind else None)
        # A warm engine gets the first sentence at once, and speaks while the rest of the program is loaded.
        engine: Engine | None = None
        if warm := _find_warm(job, report, check):
            engine = held.enter_context(closing(warm))
            delivery, speakers = prepared(job, engine, model)
            run.loaded(was_warm=True)
            run.stopwatch.begin()
            if not job.cached:
                _begin(warm, job, delivery, speakers)
        # Without one the sink is first, so that a file that cannot be written is reported before a model is loaded.
        sink = held.enter_context(open_sink(job.targets, start_buffer=run.start_buffer, in_background=True))
        run.laps.end("output")
        if engine is None:
            engine = held.enter_context(closing(_open_engine(job, report, check, sink)))
            run.loaded()
            delivery, speakers = prepared(job, engine, model)
        if job.provenance:
            job.provenance.begin(engine, model, delivery, speakers, job.reading)
        idle = delivery.unused(engine)
        run.sampled = abilities_of(engine).sampling and Parameter.STEPS not in idle
        seed = None if model in (BUILTIN_MODEL, KOKORO_MODEL) or Parameter.SEED in idle else delivery.sampling.seed
        if seed is not None:
            _log.debug("to repeat this speech: --seed %d", seed)
        drawn: list[Voice] = []
        pieces = _sent_as_written(job, run, engine, delivery, sink, drawn.append) or synthesize(
            engine,
            run.parts(sink, abilities_of(engine)),
            delivery,
            speakers=speakers,
            stopwatch=run.stopwatch,
            steps=run.steps,
            on_drawn_voice=drawn.append,
            through=_cached(engine, model, held) if job.cached else None,
        )
        if job.loudness is not None:
            pieces = _levelled(pieces, job.loudness)
        try:
            with closing(pieces):
                run.write(pieces, sink)
        finally:  # also when the consumer closed early
            remembered = bool(drawn) and remember(drawn[-1], None if job.engine.remote else model)
    if not run.stopwatch.timings.chunks:
        raise RequestError("There is nothing to say: the text has no words.")
    report.done(run.summary(model, sink, outputs, seed))
    if remembered:
        _note_daily(console, "voice-to-save", HOW_TO_SAVE)


def _sent_as_written(
    job: SpeakJob,
    run: SpeakRun,
    engine: Engine,
    delivery: Delivery,
    sink: Sink,
    on_drawn_voice: Callable[[Voice], None],
) -> Generator[Piece] | None:
    """Have a text that may still be arriving spoken by a server that takes it as it comes, if there is one."""
    if not isinstance(engine, TakesText) or not job.split or job.auto_steps or known_text(job.text) is not None:
        return None
    if job.cached or job.script or job.lexicon:  # the protocol has one voice for a text, and other words
        return None
    pieces = engine.stream_text(run.text(sink), delivery, run.stopwatch)
    return with_drawn_voice(pieces, on_drawn_voice) if pieces and draws_voice(engine, delivery.voice) else pieces


def _levelled(pieces: Generator[Piece], lufs: float) -> Generator[Piece]:
    """Bring speech to a loudness. Marks stay where they are in the sound, which comes a little later."""
    from voxcli.audio.levelling import Levelling

    levelling: Levelling | None = None
    marks: list[SentenceMark] = []
    rate = given = 0

    def passed_on(samples: Samples) -> Iterator[Piece]:
        nonlocal given
        while marks:
            mark = marks[0]
            ahead = round((mark.start if mark.end is None else mark.end) * rate) - given
            if ahead > len(samples):
                break
            if ahead > 0:
                given += ahead
                yield AudioChunk(samples[:ahead], rate)
                samples = samples[ahead:]
            yield marks.pop(0)
        if len(samples):
            given += len(samples)
            yield AudioChunk(samples, rate)

    with closing(pieces):
        for piece in pieces:
            if not isinstance(piece, AudioChunk):
                marks.append(piece)
                continue
            rate = piece.sample_rate
            levelling = levelling or Levelling(rate, lufs)
            yield from passed_on(levelling.feed(piece.samples))
    if levelling:
        yield from passed_on(levelling.finish())
    yield from marks


@contextmanager
def _turn(job: SpeakJob, report: RunReport, check: Callable[[], None]) -> Iterator[None]:
    """Wait until those who came before have spoken, and let the next one speak at the end."""
    from voxcli.devices.turns import Turn

    with Turn(find_user_places().turns) as turn:
        if ahead := turn.ahead:
            report.queued(ahead)
        turn.wait(check, job.max_wait)
        yield


def _open_engine(job: SpeakJob, report: RunReport, check: Callable[[], None], sink: Sink) -> Engine:
    """Open the engine, unless the loudspeaker turns out not to open meanwhile."""

    def check_both() -> None:
        check()
        if isinstance(sink, OpenedInBackground):
            sink.check()

    def on_loading(progress: LoadingProgress) -> None:
        if threading.current_thread() is threading.main_thread():  # weights are read on others too
            check_both()
        report.progress(progress)

    return open_chosen_engine(job.engine, slots=1, on_loading=on_loading, check=check_both)


def prepared(job: SpeakJob, engine: Engine, model: str) -> tuple[Delivery, Speakers]:
    """Return the deliveries of a job, with the seed that an engine draws, and warn of options without effect on it.

    Raises:
        RequestError: the engine cannot speak with one of the voices.
    """
    if not job.styled_by_option:
        check_description(job.delivery.voice, abilities_of(engine))
    name_unused(job.delivery, engine, model, auto_steps=job.auto_steps)
    sampling = with_seed(_with_fixed_seed(job.delivery.sampling) if job.cached else job.delivery.sampling, engine)
    return replace(job.delivery, sampling=sampling), prepared_speakers(job.speakers, engine, sampling.seed)


def _with_fixed_seed(sampling: Sampling) -> Sampling:
    """Return a seed with which the same text is found again."""
    from voxcli.synthesis.speech_cache import FIXED_SEED

    return replace(sampling, seed=FIXED_SEED) if sampling.seed is None else sampling


def _cached(engine: Engine, model: str, held: ExitStack) -> Callable[[Engine, SynthesisRequest], Speech]:
    """Return what speaks through the cache of this user."""
    from voxcli.synthesis.identity import identity_of
    from voxcli.synthesis.speech_cache import SpeechCache
    from voxcli.voices.description import note_of_model

    cache = SpeechCache(find_user_places().speech, identity_of(engine, note_of_model(model)))
    held.callback(cache.close)
    return cache.stream


def _find_warm(job: SpeakJob, report: RunReport, check: Callable[[], None]) -> "ResidentEngine | None":
    """Return the engine that is loaded already, if there is one."""
    if not stays_loaded(job.engine):
        return None
    from voxcli.cli.commands.warm import find_warm_engine

    return find_warm_engine(job.engine, report.progress, check)


def _begin(engine: "ResidentEngine", job: SpeakJob, delivery: Delivery, speakers: Speakers) -> None:
    """Send the first sentence, if the whole text is known."""
    if isinstance(job.text, Whole):
        parts = job.parts(lambda: None, abilities_of(engine), lambda: 0.0)
        if first := next((part for part in parts if isinstance(part, str)), None):
            engine.begin(first_request(engine, delivery_of(first, delivery, speakers).request(first)))


def _note_better(console: Console, default: str) -> None:
    """Say once a day what would speak better than the model that is the default here."""
    if default == BUILTIN_MODEL:
        _note_daily(console, "builtin-voice", _BUILTIN_NOTE.format(install_command("voices")))
    elif default == KOKORO_MODEL:
        more = "" if can_run_models() else f"{install_command('local')}, then "
        _note_daily(console, "kokoro", _KOKORO_NOTE.format(more))


def _note_daily(console: Console, name: str, message: str) -> None:
    """Show a note on a terminal, at most once a day."""
    if console.quiet or not console.is_terminal:
        return
    shown = find_user_places().cache / "notices" / name
    with suppress(OSError):
        if shown.exists() and time.time() - shown.stat().st_mtime < _DAY_SECONDS:
            return
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.touch()
    console.note(message)
