"""Job of `voxcli say` and `clone`, and its run: the time it takes, and how much waits before playback starts."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.commands.chosen import stays_loaded
from voxcli.cli.commands.provenance.of_run import RunProvenance, describe_targets
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.reports.text import Buffering, RunReport
from voxcli.cli.run_summary import Laps, RunSummary
from voxcli.cli.text_source import Source, known_text
from voxcli.engines.settings import EngineSettings
from voxcli.sinks import Target
from voxcli.sinks.base import Sink
from voxcli.synthesis.auto_steps import AutoSteps
from voxcli.synthesis.pace import StartBuffer, speaking_seconds
from voxcli.synthesis.pipeline import Delivery, Speakers
from voxcli.synthesis.request import Abilities, Piece
from voxcli.synthesis.timing import Stopwatch
from voxcli.synthesis.transcript import Spoken, Transcript
from voxcli.text.marks import Part
from voxcli.text.parts import Silence, TextPiece, read_text
from voxcli.text.phonemes import readable
from voxcli.text.ssml import refusing_ssml, sniffed

if TYPE_CHECKING:
    from voxcli.text.lexicon import Lexicon

_log = logging.getLogger(__name__)

_CHUNKS_TO_KNOW = 4
"""Chunks that tell the speed of an engine well enough to be said."""
_LONG_DELAY = 1.0
"""Seconds until playback starts that are worth a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakJob:
    """Everything that `voxcli say` was asked to do."""

    text: Source
    markdown: bool
    split: bool
    """Into sentences."""
    engine: EngineSettings
    delivery: Delivery
    """Of the text, but for the parts of named speakers."""
    targets: list[Target]
    speakers: Speakers = field(default_factory=dict)
    styled_by_option: bool = False
    """Whether the style is an option of this run, and not a voice that is kept as a description."""
    start_buffer: float | None = None
    """Seconds of audio that have to wait before playback starts; None measures what is needed."""
    auto_steps: bool = False
    """Whether the solver steps of each sentence are as many as keep up with playback."""
    queue: bool = False
    """Whether others that are speaking are waited for."""
    max_wait: float | None = None
    """Seconds to wait for them; None for as long as it takes."""
    loudness: float | None = None
    """LUFS to bring the speech to while it is made; None leaves it as it is."""
    cached: bool = False
    """Whether sentences are kept for the next time, and taken from those that were."""
    lexicon: "Lexicon | None" = None
    finds_ssml: bool = True
    """Whether a text that is still arriving may turn out to be SSML."""
    warned: set[str] = field(default_factory=set, compare=False)
    """Of phonemes that the engine does not read."""
    script: Callable[[Iterable[TextPiece], bool], Iterator[TextPiece]] | None = None
    """Splits the text into the turns of its speakers; the second argument tells whether voices follow directions."""
    provenance: RunProvenance | None = None
    """What the files say of themselves."""

    @property
    def reading(self) -> dict[str, Any]:
        """How the text is read, as far as the sound depends on it and it differs from the usual."""
        reading = {
            "markdown": self.markdown or None,
            "split": None if self.split else False,
            "steps": "auto" if self.auto_steps else None,
            "script": True if self.script else None,
            "lexicon": self.lexicon.digest if self.lexicon and self.lexicon.entries else None,
        }
        return {name: value for name, value in reading.items() if value is not None}

    def described(self, options: MetadataOptions, voice_name: str | None) -> "SpeakJob":
        """Return the job with files that say what made them.

        voice_name: as the user gave it.
        """
        made = RunProvenance(self.text, voice_name=voice_name, keep_text=options.keep_text)
        return replace(self, text=made.text, targets=describe_targets(self.targets, made, options), provenance=made)

    def parts(
        self, before_waiting: Callable[[], None], abilities: Abilities, playing: Callable[[], float]
    ) -> Iterator[Part]:
        """Yield the parts of the text as soon as they are available.

        playing: returns the seconds of speech that a listener has yet to hear.
        """
        pieces: Iterator[TextPiece] = self.text.pieces(before_waiting, markdown=self.markdown)
        if self.script:
            pieces = self.script(pieces, abilities.styles)
        elif self.finds_ssml and self.split:
            pieces = sniffed(pieces)
        parts = read_text(
            pieces,
            markdown=self.markdown,
            split=self.split,
            tags=abilities.tags,
            least_syllables=abilities.least_syllables,
            playing=playing,
        )
        if self.lexicon:
            parts = self.lexicon.applied(parts, self.delivery.language)
        return readable(parts, abilities.phonemes, self.warned)


@dataclass(frozen=True, slots=True)
class ArrivingText:
    """The text of a job on its way to a server that takes it as it comes; see `WrittenText`."""

    pieces: Iterator[str | Silence]
    markdown: bool
    check: Callable[[], None]
    waiting: Callable[[], None]
    playing: Callable[[], float]


class SpeakRun:
    """The state of one run: its timing, and how much is buffered before playback starts."""

    def __init__(
        self,
        job: SpeakJob,
        report: RunReport,
        check: Callable[[], None],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            check: raises if the work has to stop.
            clock: measures the engine.
        """
        self.stopwatch = Stopwatch(clock)
        self.laps = Laps()
        """Of the time from Enter to the first sound: whatever takes time before it ends a lap there."""
        self.laps.end("start")
        self.sampled = True
        """Whether the engine samples, in steps."""
        self._job = job
        self._report = report
        self._check = check
        rate, text = job.delivery.speed, known_text(job.text)
        # With other steps the rest will be faster, so only a sentence is waited for.
        known = None if text is None or job.auto_steps else speaking_seconds(text) / rate
        self._auto_steps = AutoSteps(self.stopwatch.timings)
        self._works_ahead = job.engine.remote is not None or stays_loaded(job.engine)
        """Whether the engine is another process."""
        self._buffer = StartBuffer(self.stopwatch.timings, text_seconds=known, rate=rate, works_ahead=self._works_ahead)
        self._announced = False
        self._audio_seconds = 0.0
        self._sounds = False
        self._playing_at: float | None = None
        self._plays_until = 0.0
        self._transcript = Transcript()
        self._sink: Sink | None = None

    def start_buffer(self, queued: float) -> float:
        """Return how many seconds of audio have to be queued before playback starts."""
        fixed = self._job.start_buffer
        needed = self._buffer.needed(queued) if fixed is None else fixed
        if queued >= needed and self._playing_at is None:
            self._playing_at = time.perf_counter()
        return needed

    def steps(self) -> int:
        """Choose the solver steps of the next part."""
        if not self._job.auto_steps:
            return self._job.delivery.sampling.steps
        before, steps = self._auto_steps.used[-1:], self._auto_steps()
        if before and before != [steps]:
            self._buffer.measure()
            self._buffer.expect(self._auto_steps.factor(steps) / self._auto_steps.factor(before[0]))
        return steps

    def loaded(self, *, was_warm: bool = False) -> None:
        """Note that the engine is ready.

        was_warm: it was before.
        """
        self.laps.end("connect" if was_warm or self._job.engine.remote else "load")
        _log.debug("ready after %.0f ms", 1000 * sum(self.laps.seconds.values()))
        self._report.working()

    def parts(self, sink: Sink, abilities: Abilities) -> Iterator[Part]:
        """Yield the parts of the text, while measuring how long they are waited for."""
        parts = self._job.parts(self._before_waiting(sink), abilities, lambda: self._playing_seconds(sink))
        while True:
            if not self._sounds and "text" in self.laps.seconds:
                self.laps.end("first chunk")  # of an earlier part that made no sound
            part = next(parts, None)
            if not self._sounds:
                self.laps.end("text")
            if part is None:
                return
            self._report.working()
            yield part

    def text(self, sink: Sink) -> ArrivingText:
        """Return the text for a server that splits it itself."""
        job = self._job
        pieces = job.text.pieces(lambda: None, markdown=job.markdown)
        return ArrivingText(
            refusing_ssml(pieces) if job.finds_ssml else pieces,
            job.markdown,
            self._check,
            self._before_waiting(sink),
            lambda: self._playing_seconds(sink),
        )

    def _before_waiting(self, sink: Sink) -> Callable[[], None]:
        def before_waiting() -> None:
            self._check()
            self._play_all(sink)
            self._report.waiting()

        return before_waiting

    def write(self, pieces: Iterator[Piece], sink: Sink) -> None:
        """Write all chunks and marks, and let each sentence wait for enough of it if the machine may be too slow."""
        self._sink = sink
        self._report.playing(sink)
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                self._write_chunk(piece, sink)
            else:
                self._transcript.note(piece)
                sink.mark(piece)
                self._report.sentence(piece)
                if self._buffer.pass_mark(piece):
                    self._play_all(sink)
            self._check()
        self._play_all(sink)

    def spoken(self) -> Spoken:
        """Return how much of the text has left the loudspeaker, or is in the files if there is none."""
        played = self._sink.played_seconds if self._sink else None
        return self._transcript.until(self._audio_seconds if played is None else played)

    def _play_all(self, sink: Sink) -> None:
        """Play what waits, because it is all there is of a sentence, or of the text so far."""
        sink.idle()
        self._buffer.released()
        if self._playing_at is None and self._sounds:
            self._playing_at = time.perf_counter()

    def _playing_seconds(self, sink: Sink) -> float:
        """Return about how many seconds a listener has yet to hear; 0 where nothing is played."""
        return 0.0 if sink.heard_at is None else max(0.0, self._plays_until - time.perf_counter())

    def summary(self, model: str, sink: Sink, outputs: list[str], seed: int | None) -> RunSummary:
        if sink.heard_at is not None and self._playing_at is not None:
            self.laps.end("buffer", self._playing_at)
        if sink.heard_at is not None:
            self.laps.end("loudspeaker", sink.heard_at)
        return RunSummary(
            model=model,
            timings=self.stopwatch.timings,
            audio_seconds=self._audio_seconds,
            before_sound=self.laps.seconds if self._sounds else None,
            underruns=sink.underruns,
            outputs=outputs,
            seed=seed,
            steps=(self._auto_steps.used or [self._job.delivery.sampling.steps]) if self.sampled else None,
            auto_steps=self._job.auto_steps,
        )

    def _write_chunk(self, chunk: AudioChunk, sink: Sink) -> None:
        timings = self.stopwatch.timings
        first = not self._sounds and timings.first_sound is not None
        if first:
            self._sounds = True
            self.laps.end("first chunk")
        self._buffer.measure()
        if self._works_ahead and self._playing_at is None:
            self.stopwatch.begin()  # it goes on while the loudspeaker is opened
        sink.write(chunk)
        if first and sink.underruns is None:
            self.laps.end("output")
        self._audio_seconds += chunk.seconds
        self._plays_until = max(self._plays_until, time.perf_counter()) + chunk.seconds
        self._report.chunk(chunk, timings)
        self._announce_buffer()

    def _announce_buffer(self) -> None:
        """Say once why nothing is heard yet, if that takes long."""
        delay, speed = self._buffer.delay, self._buffer.speed
        known = self.stopwatch.timings.chunks >= _CHUNKS_TO_KNOW
        if self._announced or not known or not delay or not speed or self._job.start_buffer is not None:
            return
        if delay >= _LONG_DELAY:
            self._announced = True
            self._report.buffering(
                Buffering(
                    speed=speed,
                    seconds=delay,
                    started=self._playing_at is not None,
                    by_sentence=self._buffer.by_sentence,
                    on_server=self._job.engine.remote is not None,
                )
            )
