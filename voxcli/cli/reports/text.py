"""Report on a run, and the one that people read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown, Terminated
from voxcli.cli.run_summary import RunSummary, summary_phrases
from voxcli.cli.status_line import StatusLine, noted_loading
from voxcli.sinks.base import Sink
from voxcli.synthesis.loading import LoadingProgress, OnLoading, ignore_loading
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.timing import Timings
from voxcli.synthesis.transcript import Spoken

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

    def playing(self, sink: Sink) -> None:
        """From now on, the speech goes to this sink."""
        ...

    def sentence(self, mark: SentenceMark) -> None:
        """A sentence begins or ends after the chunks so far."""
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

    def playing(self, sink: Sink) -> None:
        """Do nothing: the text is not shown."""

    def sentence(self, mark: SentenceMark) -> None:
        """Do nothing: the text is not shown."""

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
        kept = kept_files(self._outputs, self._audio_seconds)
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


def kept_files(outputs: list[str], audio_seconds: float) -> list[str]:
    """Return the files that have a part of the speech."""
    return [output for output in outputs if Path(output).is_file()] if audio_seconds else []
