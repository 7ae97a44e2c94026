"""Sink protocol, and a sink that feeds several others."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, VoxError
from voxcli.synthesis.pace import StartBuffer
from voxcli.synthesis.request import Piece, SentenceMark

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes chunks inside a `with` block.

    A normal exit completes the output: the loudspeaker drains, the file gets its last bytes. An exit with an exception
    stops at once and leaves a valid file.
    """

    @property
    def underruns(self) -> int | None:
        """Gaps in playback because chunks came too late; None where nothing is played."""
        ...

    @property
    def heard_at(self) -> float | None:
        """When the first sample left the loudspeaker, as `time.perf_counter` tells it; None if none has yet."""
        ...

    @property
    def played_seconds(self) -> float | None:
        """How much of what was written has left the loudspeaker by now; None where nothing is played."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, chunk: AudioChunk) -> None:
        """Write one chunk. May block while the sink is full.

        Raises:
            DeviceError: the chunk cannot be played or written.
            ConsumerClosed: the reader has closed the pipe or connection.
        """
        ...

    def mark(self, mark: SentenceMark) -> None:
        """Take note that a sentence begins or ends after what was written so far.

        Raises as `write` does.
        """
        ...

    def idle(self) -> None:
        """Play what is buffered, because no text is available now. Silence until the next chunk is not an underrun."""
        ...


class Writer(Protocol):
    """Writes one stream of one sample rate. `finish` may be called at any time, also after an interrupted write."""

    def write(self, chunk: AudioChunk) -> None: ...

    def finish(self, *, complete: bool = True) -> None:
        """complete: whether the sound came to its end."""
        ...


@runtime_checkable
class MarkWriter(Writer, Protocol):
    """A writer of something with sentences, such as subtitles."""

    def mark(self, mark: SentenceMark) -> None: ...


def write_paced(
    pieces: Iterable[Piece], sinks: Sequence[Sink], buffer: StartBuffer, check: Callable[[], None] = lambda: None
) -> int | None:
    """Write all chunks and marks, and let each sentence wait for enough of it if the engine may be too slow.

    Args:
        buffer: of the sink that plays.
        check: raises if the work has to stop. Called after each piece.

    Returns:
        The sample rate, if there was any sound.
    """
    rate = None
    for piece in pieces:
        if not isinstance(piece, SentenceMark):
            rate = piece.sample_rate
            buffer.measure()
            for sink in sinks:
                sink.write(piece)
        else:
            for sink in sinks:
                sink.mark(piece)
            if buffer.pass_mark(piece):
                for sink in sinks:
                    sink.idle()
                buffer.released()
        check()
    return rate


class Tee:
    """Feeds several sinks. If one fails, the others go on, and its error is raised at the end."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._active: list[Sink] = []
        self._failure: VoxError | ConsumerClosed | None = None

    @property
    def underruns(self) -> int | None:
        counts = [sink.underruns for sink in self._sinks if sink.underruns is not None]
        return sum(counts) if counts else None

    @property
    def heard_at(self) -> float | None:
        return min((sink.heard_at for sink in self._sinks if sink.heard_at is not None), default=None)

    @property
    def played_seconds(self) -> float | None:
        return max((sink.played_seconds for sink in self._sinks if sink.played_seconds is not None), default=None)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for sink in self._sinks:
                try:
                    undo.enter_context(sink)
                except VoxError as error:
                    self._note(error)
                else:
                    self._active.append(sink)
            self._raise_if_all_failed()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        active, self._active = self._active, []
        with ExitStack() as finishing:
            for sink in reversed(active):
                finishing.callback(self._finish, sink, kind, error, trace)
        if kind is None and isinstance(self._failure, VoxError):
            raise self._failure

    def write(self, chunk: AudioChunk) -> None:
        self._pass_on(lambda sink: sink.write(chunk))

    def mark(self, mark: SentenceMark) -> None:
        self._pass_on(lambda sink: sink.mark(mark))

    def idle(self) -> None:
        for sink in self._active:
            sink.idle()

    def _pass_on(self, call: Callable[[Sink], None]) -> None:
        for sink in list(self._active):
            try:
                call(sink)
            except (VoxError, ConsumerClosed) as error:
                self._active.remove(sink)
                self._note(error)
                self._finish(sink, type(error), error, error.__traceback__)
        self._raise_if_all_failed()

    def _finish(
        self,
        sink: Sink,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            sink.__exit__(kind, error, trace)
        except (VoxError, ConsumerClosed) as late:
            self._note(late)

    def _note(self, error: VoxError | ConsumerClosed) -> None:
        """Keep the first failure; a closed consumer counts only if there is no other."""
        if isinstance(error, VoxError):
            _log.warning("%s The other outputs continue.", error)
        if self._failure is None or isinstance(self._failure, ConsumerClosed):
            self._failure = error

    def _raise_if_all_failed(self) -> None:
        if not self._active and self._failure:
            raise self._failure
