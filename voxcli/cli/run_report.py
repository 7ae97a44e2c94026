"""Reports on a run: text for people, or JSON events for programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

import typer
from rich.status import Status
from rich.text import Text

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console
from voxcli.cli.exits import Terminated, exit_code
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.synthesis.timing import Timings


class RunReport(Protocol):
    """Receives the progress of a run."""

    def loading(self, model: str) -> None: ...

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None: ...

    def done(self, timings: Timings, underruns: int | None, outputs: list[str], seed: int | None) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def close(self) -> None: ...


class TextReport:
    """One line at the end, and on a terminal a status line before that."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        if console.rich.is_terminal and not console.quiet:
            self._status = console.rich.status("")
            self._status.start()

    def loading(self, model: str) -> None:
        self._show(f"loading {model}")

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None:
        self._show(f"{timings.audio:.1f} s of audio")

    def done(self, timings: Timings, underruns: int | None, outputs: list[str], seed: int | None) -> None:
        self.close()
        self._console.note(latency_line(timings, underruns))

    def failed(self, error: BaseException) -> None:
        """Do nothing: the outermost handler shows the error."""

    def close(self) -> None:
        if self._status:
            self._status.stop()

    def _show(self, text: str) -> None:
        if self._status:
            self._status.update(Text(text, "dim"))


class EventsReport:
    """NDJSON: one event per line, flushed immediately. Keys end in their unit."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._first_audio_sent = False

    def loading(self, model: str) -> None:
        self._emit("loading", model=model)

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None:
        if timings.first_sound is not None and not self._first_audio_sent:
            self._first_audio_sent = True
            self._emit("first_audio", first_sound_seconds=_rounded(timings.first_sound))
        self._emit(
            "chunk",
            samples=len(chunk.samples),
            sample_rate=chunk.sample_rate,
            audio_seconds=_rounded(timings.audio),
        )

    def done(self, timings: Timings, underruns: int | None, outputs: list[str], seed: int | None) -> None:
        self._emit(
            "done",
            first_chunk_seconds=_rounded(timings.first_chunk),
            first_sound_seconds=_rounded(timings.first_sound),
            audio_seconds=_rounded(timings.audio),
            working_seconds=_rounded(timings.working),
            real_time_factor=_rounded(timings.real_time_factor),
            chunks=timings.chunks,
            underruns=underruns,
            outputs=outputs,
            seed=seed,
        )

    def failed(self, error: BaseException) -> None:
        message = error.for_command_line if isinstance(error, VoxError) else str(error)
        self._emit("error", message=message or "stopped", kind=type(error).__name__, code=exit_code(error))

    def close(self) -> None:
        """Do nothing: every event has been written already."""

    def _emit(self, event: str, **fields: Any) -> None:
        try:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        except BrokenPipeError as error:  # of standard error
            raise ConsumerClosed("the reader of the events") from error
        except OSError as error:
            raise DeviceError(f"Cannot write the events: {error.strerror or error}.") from error


@contextmanager
def open_report(console: Console, stream: TextIO | None) -> Iterator[RunReport]:
    """Report as text, or as events on `stream` if there is one. Errors then become events too."""
    report: RunReport = EventsReport(stream) if stream else TextReport(console)
    try:
        yield report
    except (VoxError, KeyboardInterrupt, Terminated) as error:
        report.failed(error)
        if stream:
            raise typer.Exit(exit_code(error)) from error
        raise
    finally:
        report.close()


def latency_line(timings: Timings, underruns: int | None) -> str:
    """Return the latency, length and speed of a run as one line."""
    first = timings.first_sound
    parts = ["no sound" if first is None else f"first sound {first * 1000:.0f} ms"]
    parts.append(f"{timings.audio:.1f} s of audio")
    if timings.real_time_factor is not None:
        parts.append(f"{timings.real_time_factor:.2g}× real time")
    if underruns is not None:
        parts.append(f"{underruns} underrun{'' if underruns == 1 else 's'}")
    return " · ".join(parts)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
