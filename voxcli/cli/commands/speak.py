"""The run of `voxcli say` and `clone`: a text through the pipeline into its targets, with a report."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.commands.chosen import engine_name, name_unused, open_chosen_engine
from voxcli.cli.commands.voices.remembered import HOW_TO_SAVE, remember
from voxcli.cli.console import Console
from voxcli.cli.run_report import RunReport
from voxcli.cli.run_summary import RunSummary, seconds_since_start
from voxcli.cli.settings.files import find_user_places
from voxcli.cli.text_source import Source, Whole
from voxcli.engines import BUILTIN_MODEL, can_run_models
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RequestError
from voxcli.installation import install_command
from voxcli.sinks import Target, ToFile, open_sink
from voxcli.sinks.base import Sink
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Abilities, Piece, Voice, abilities_of, check_description, with_seed
from voxcli.synthesis.timing import StartBuffer, Stopwatch, speaking_seconds
from voxcli.text.marks import Part
from voxcli.text.parts import read_text

_log = logging.getLogger(__name__)

_BUILTIN_NOTE = (
    "using the built-in voice (eSpeak NG): instant but robotic. For a natural voice: {}voxcli models pull voxcpm-1.5"
)
_DAY_SECONDS = 24 * 60 * 60


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
    start_buffer: float | None = None
    """Seconds of audio that have to wait before playback starts; None measures what is needed."""

    def parts(
        self, before_waiting: Callable[[], None], abilities: Abilities, playing: Callable[[], float]
    ) -> Iterator[Part]:
        """Yield the parts of the text as soon as they are available.

        playing: returns the seconds of speech that a listener has yet to hear.
        """
        return read_text(
            self.text.pieces(before_waiting),
            markdown=self.markdown,
            split=self.split,
            tags=abilities.tags,
            least_syllables=abilities.least_syllables,
            playing=playing,
        )


def speak(job: SpeakJob, console: Console, report: RunReport, check: Callable[[], None]) -> None:
    """Speak the text of a job into its targets, and report.

    check: raises if the work has to stop. Called between chunks, and before every wait for text.
    """
    if isinstance(job.text, Whole) and not job.text.text.strip():
        raise RequestError("The text is empty: there is nothing to say.")
    model = engine_name(job.engine)
    if model == BUILTIN_MODEL and job.engine.model is None:
        _note_daily(
            console,
            "builtin-voice",
            _BUILTIN_NOTE.format("" if can_run_models() else f"{install_command('local')}, then "),
        )
    outputs = [str(target.path) for target in job.targets if isinstance(target, ToFile)]
    report.loading(model, outputs)
    run = _Run(job, report, check)
    # The sink first, so that a file that cannot be written is reported before a model is loaded.
    with (
        open_sink(job.targets, start_buffer=run.start_buffer) as sink,
        closing(open_chosen_engine(job.engine, slots=1)) as engine,
    ):
        run.loaded()
        if not job.styled_by_option:
            check_description(job.delivery.voice, abilities_of(engine))
        name_unused(job.delivery, engine, model)
        sampling = with_seed(job.delivery.sampling, engine)
        seed = sampling.seed if model != BUILTIN_MODEL else None
        if seed is not None:
            _log.debug("to repeat this speech: --seed %d", seed)
        drawn: list[Voice] = []
        delivery = replace(job.delivery, sampling=sampling)
        pieces = synthesize(
            engine,
            run.parts(sink, abilities_of(engine)),
            delivery,
            stopwatch=run.stopwatch,
            on_drawn_voice=drawn.append,
        )
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


class _Run:
    """The state of one run: its timing, and how much is buffered before playback starts."""

    def __init__(self, job: SpeakJob, report: RunReport, check: Callable[[], None]) -> None:
        self.stopwatch = Stopwatch()
        self._job = job
        self._report = report
        self._check = check
        known = speaking_seconds(job.text.text) / job.delivery.speed if isinstance(job.text, Whole) else None
        self._buffer = StartBuffer(self.stopwatch.timings, text_seconds=known, pace=job.delivery.speed)
        self._announced = False
        self._began = time.perf_counter()
        self._loading_seconds = 0.0
        self._waiting_seconds = 0.0
        self._audio_seconds = 0.0
        self._sound_at: float | None = None
        self._plays_until = 0.0

    def start_buffer(self, queued: float) -> float:
        """Return how many seconds of audio have to be queued before playback starts."""
        fixed = self._job.start_buffer
        return self._buffer.needed(queued) if fixed is None else fixed

    def loaded(self) -> None:
        self._loading_seconds = time.perf_counter() - self._began
        _log.debug("ready after %.0f ms", 1000 * self._loading_seconds)
        self._report.working()

    def parts(self, sink: Sink, abilities: Abilities) -> Iterator[Part]:
        """Yield the parts of the text, while measuring how long they are waited for."""

        def before_waiting() -> None:
            self._check()
            sink.idle()
            self._report.waiting()

        parts = self._job.parts(before_waiting, abilities, lambda: self._playing_seconds(sink))
        while True:
            began = time.perf_counter()
            part = next(parts, None)
            if self._sound_at is None:
                self._waiting_seconds += time.perf_counter() - began
            if part is None:
                return
            self._report.working()
            yield part

    def write(self, pieces: Iterator[Piece], sink: Sink) -> None:
        """Write all chunks, and play each sentence by itself if the machine is too slow for the whole text."""
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                sink.write(piece)
                self._note(piece)
            elif piece.end is None:
                self._buffer.begin_part(piece.text)
            else:
                self._buffer.end_part()
                if self._buffer.by_sentence:
                    sink.idle()
            self._check()

    def _playing_seconds(self, sink: Sink) -> float:
        """Return about how many seconds a listener has yet to hear; 0 where nothing is played."""
        return 0.0 if sink.heard_at is None else max(0.0, self._plays_until - time.perf_counter())

    def summary(self, model: str, sink: Sink, outputs: list[str], seed: int | None) -> RunSummary:
        sound_at = self._sound_at if sink.heard_at is None else max(sink.heard_at, self._sound_at or 0.0)
        return RunSummary(
            model=model,
            timings=self.stopwatch.timings,
            audio_seconds=self._audio_seconds,
            sound_after=None if sound_at is None else seconds_since_start() - (time.perf_counter() - sound_at),
            loading_seconds=self._loading_seconds,
            waiting_seconds=self._waiting_seconds,
            underruns=sink.underruns,
            outputs=outputs,
            seed=seed,
        )

    def _note(self, chunk: AudioChunk) -> None:
        timings = self.stopwatch.timings
        self._audio_seconds += chunk.seconds
        self._plays_until = max(self._plays_until, time.perf_counter()) + chunk.seconds
        if self._sound_at is None and timings.first_sound is not None:
            self._sound_at = time.perf_counter()
        self._report.chunk(chunk, timings)
        delay, speed = self._buffer.delay, self._buffer.speed
        if not self._announced and delay and speed and delay >= 1 and self._job.start_buffer is None:
            self._announced = True
            self._report.buffering(speed, delay)


def _note_daily(console: Console, name: str, message: str) -> None:
    """Show a note on a terminal, at most once a day."""
    if console.quiet or not console.rich.is_terminal:
        return
    shown = find_user_places().cache / "notices" / name
    with suppress(OSError):
        if shown.exists() and time.time() - shown.stat().st_mtime < _DAY_SECONDS:
            return
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.touch()
    console.note(message)
