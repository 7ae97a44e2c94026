"""Report on a run as JSON events, for programs."""

import json
import threading
import time
from dataclasses import asdict
from typing import Any, TextIO

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.exits import exit_code
from voxcli.cli.reports.text import Buffering, kept_files
from voxcli.cli.run_summary import RunSummary
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.sinks.base import Sink
from voxcli.synthesis.loading import LoadingProgress, LoadingStage
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.timing import Timings
from voxcli.synthesis.transcript import Spoken, bookmark_times

_EVENT_SECONDS = 0.1
"""Least time between two events of the same stage of loading, except its last."""


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

    def playing(self, sink: Sink) -> None:
        """Do nothing: a program knows where the sound goes."""

    def sentence(self, mark: SentenceMark) -> None:
        marks = [{"name": name, "seconds": _rounded(seconds)} for name, seconds in bookmark_times(mark)]
        self._emit(
            "sentence",
            text=mark.text,
            position=mark.span,
            speaker=mark.speaker,
            start_seconds=_rounded(mark.start),
            end_seconds=_rounded(mark.end),
            **({"marks": marks} if marks else {}),
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
        kept = kept_files(self._outputs, self._audio_seconds)
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


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
