"""Reports on a run: text for people, or JSON events for programs."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import typer

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown, Terminated, exit_code
from voxcli.cli.run_summary import RunSummary, summary_phrases
from voxcli.cli.status_line import StatusLine, noted_loading
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.synthesis.loading import LoadingProgress, LoadingStage, OnLoading, ignore_loading
from voxcli.synthesis.timing import Timings
from voxcli.synthesis.transcript import Spoken

_EVENT_SECONDS = 0.1
"""Least time between two events of the same stage of loading, except its last."""
_NEARLY = 0.95
"""A speed above this is said with two digits, so that it is not 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffering:
    """A wait for the start buffer, because the engine makes less audio than is played."""

    speed: float
    """Seconds of audio per second of work."""
    seconds: float
    """Until playback starts or goes on, as estimated."""
    started: bool
    """Whether something has been heard already."""
    by_sentence: bool
    """Whether it waits again before other sentences."""
    on_server: bool
    """Whether the engine is a server."""

    def __str__(self) -> str:
        who = "the server" if self.on_server else "this machine"
        what = "going on" if self.started else "starting"
        how = "with pauses between sentences" if self.by_sentence else "without gaps"
        digits = 1 if self.speed < _NEARLY else 2
        speed = f"{self.speed:.{digits}f}×" if self.speed >= 0.1 else "less than 0.1×"
        return f"{who} speaks at {speed} speed: {what} in {self.seconds:.0f} s, {how}"


class RunReport(Protocol):
    """Receives the progress of a run."""

    def queued(self, ahead: int) -> None:
        """Others speak first.

        ahead: how many.
        """
        ...

    def loading(self, model: str, outputs: list[str]) -> None: ...

    def progress(self, progress: LoadingProgress) -> None:
        """A stage of loading has come this far. May be called on any thread."""
        ...

    def waiting(self) -> None:
        """All available text has been read, and more is expected."""
        ...

    def working(self) -> None:
        """There is text to speak."""
        ...

    def buffering(self, wait: Buffering) -> None:
        """Playback waits for the start buffer. Called once, for the first long wait."""
        ...

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None: ...

    def done(self, summary: RunSummary) -> None: ...

    def stopped(self, spoken: Spoken) -> None:
        """The run ends before its text does. `failed` follows.

        spoken: what has left the loudspeaker, or is in the files.
        """
        ...

    def failed(self, error: BaseException) -> None: ...

    def close(self) -> None: ...


class TextReport:
    """One line at the end, and on a terminal a status line before that."""

    def __init__(self, console: Console, shutdown: GracefulShutdown | None = None) -> None:
        self._console = console
        self._audio_seconds = 0.0
        self._outputs: list[str] = []
        self._line = StatusLine(console, shutdown) if console.is_terminal and not console.quiet else None
        self._on_loading: OnLoading = ignore_loading

    def queued(self, ahead: int) -> None:
        self._show("waiting for another voice to finish" if ahead == 1 else f"waiting for {ahead} others to speak")

    def loading(self, model: str, outputs: list[str]) -> None:
        self._outputs = outputs
        self._on_loading = self._line.progress if self._line else noted_loading(self._console, model)
        if self._line:
            self._line.load(model)

    def progress(self, progress: LoadingProgress) -> None:
        self._on_loading(progress)

    def waiting(self) -> None:
        self._show("waiting for text")

    def working(self) -> None:
        self._show(self._progress)

    def buffering(self, wait: Buffering) -> None:
        self._console.note(str(wait))

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None:
        self._audio_seconds += chunk.seconds
        self._show(self._progress)

    def done(self, summary: RunSummary) -> None:
        self.close()
        self._console.note_phrases(summary_phrases(summary))

    def stopped(self, spoken: Spoken) -> None:
        """Do nothing: it was heard."""

    def failed(self, error: BaseException) -> None:
        """Say what was kept; the outermost handler shows the error."""
        self.close()
        kept = _kept(self._outputs, self._audio_seconds)
        if kept:
            self._console.note(f"stopped: {', '.join(kept)} has {self._audio_seconds:.1f} s of audio")
        elif isinstance(error, (KeyboardInterrupt, Terminated)):
            self._console.note("stopped")

    def close(self) -> None:
        if self._line:
            self._line.close()

    @property
    def _progress(self) -> str:
        return f"{self._audio_seconds:.1f} s of audio" if self._audio_seconds else "speaking"

    def _show(self, text: str) -> None:
        if self._line:
            self._line.show(text)


class EventsReport:
    """NDJSON: one event per line, flushed immediately. Keys end in their unit."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._first_audio_sent = False
        self._audio_seconds = 0.0
        self._outputs: list[str] = []
        self._model = ""
        self._spoken: Spoken | None = None
        self._shown = LoadingProgress(LoadingStage.STARTING)
        self._shown_at = 0.0
        self._lock = threading.Lock()

    def queued(self, ahead: int) -> None:
        self._emit("queued", ahead=ahead)

    def loading(self, model: str, outputs: list[str]) -> None:
        self._outputs, self._model = outputs, model
        self._emit("loading", model=model, **self._shown.to_dict())

    def progress(self, progress: LoadingProgress) -> None:
        with self._lock:
            now, last = time.monotonic(), self._shown
            ends = progress.stage is not last.stage or progress.done == progress.total
            if progress != last and (ends or now - self._shown_at >= _EVENT_SECONDS):
                self._shown, self._shown_at = progress, now
                self._emit("loading", model=self._model, **progress.to_dict())

    def waiting(self) -> None:
        """Do nothing: a program knows what it has written."""

    def working(self) -> None:
        """Do nothing: the chunks tell."""

    def buffering(self, wait: Buffering) -> None:
        self._emit(
            "buffering", speed=_rounded(wait.speed), seconds=_rounded(wait.seconds), by_sentence=wait.by_sentence
        )

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None:
        if timings.first_sound is not None and not self._first_audio_sent:
            self._first_audio_sent = True
            self._emit("first_audio", first_sound_seconds=_rounded(timings.first_sound))
        self._audio_seconds += chunk.seconds
        self._emit(
            "chunk",
            samples=len(chunk.samples),
            sample_rate=chunk.sample_rate,
            audio_seconds=_rounded(self._audio_seconds),
        )

    def done(self, summary: RunSummary) -> None:
        timings, before_sound = summary.timings, summary.before_sound or {}
        self._emit(
            "done",
            model=summary.model,
            sound_after_seconds=_rounded(summary.sound_after),
            before_sound={f"{name.replace(' ', '_')}_seconds": _rounded(lap) for name, lap in before_sound.items()},
            first_chunk_seconds=_rounded(timings.first_chunk),
            first_sound_seconds=_rounded(timings.first_sound),
            audio_seconds=_rounded(summary.audio_seconds),
            working_seconds=_rounded(timings.working),
            real_time_factor=_rounded(timings.real_time_factor),
            chunks=timings.chunks,
            underruns=summary.underruns,
            outputs=summary.outputs,
            seed=summary.seed,
            steps=summary.steps,
        )

    def stopped(self, spoken: Spoken) -> None:
        self._spoken = spoken

    def failed(self, error: BaseException) -> None:
        message = error.for_command_line if isinstance(error, VoxError) else str(error)
        kept = _kept(self._outputs, self._audio_seconds)
        self._emit(
            "error",
            message=message or "stopped",
            kind=type(error).__name__,
            code=exit_code(error),
            audio_seconds=_rounded(self._audio_seconds),
            outputs=kept,
            **self._spoken_fields(),
        )

    def close(self) -> None:
        """Do nothing: every event has been written already."""

    def _spoken_fields(self) -> dict[str, Any]:
        if self._spoken is None:
            return {}
        return {"spoken": {**asdict(self._spoken), "seconds": _rounded(self._spoken.seconds)}}

    def _emit(self, event: str, **fields: Any) -> None:
        write_event(self._stream, event, **fields)


def write_event(stream: TextIO, event: str, **fields: Any) -> None:
    """Write one event, and flush. Raises ConsumerClosed or DeviceError."""
    try:
        stream.write(json.dumps({"event": event, **fields}) + "\n")
        stream.flush()
    except BrokenPipeError as error:  # of standard error
        raise ConsumerClosed("the reader of the events") from error
    except OSError as error:
        raise DeviceError(f"Cannot write the events: {error.strerror or error}.") from error


@contextmanager
def open_report(
    console: Console, stream: TextIO | None, shutdown: GracefulShutdown | None = None
) -> Iterator[RunReport]:
    """Report as text, or as events on `stream` if there is one. Errors then become events too.

    shutdown: tells whether the user has asked to stop.
    """
    report: RunReport = EventsReport(stream) if stream else TextReport(console, shutdown)
    try:
        yield report
    except (VoxError, KeyboardInterrupt, Terminated) as error:
        report.failed(error)
        if stream:
            raise typer.Exit(exit_code(error)) from error
        raise
    finally:
        report.close()


def _kept(outputs: list[str], audio_seconds: float) -> list[str]:
    """Return the files that have a part of the speech."""
    return [output for output in outputs if Path(output).is_file()] if audio_seconds else []


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
