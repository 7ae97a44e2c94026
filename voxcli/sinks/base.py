"""What a sink is, and how one stream reaches several."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, VoxError

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes chunks inside a `with` block.

    Leaving it normally finishes the work: the loudspeaker drains, the file gets its last bytes. Leaving it with
    an exception stops at once and keeps what was written usable.
    """

    @property
    def underruns(self) -> int | None:
        """Gaps that a listener heard because we were late; None where nobody listens."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, chunk: AudioChunk) -> None:
        """Take one chunk. May block while the sink is full.

        Raises:
            DeviceError: it cannot be played or written.
            ConsumerClosed: nobody is there to take it.
        """
        ...

    def idle(self) -> None:
        """Say that there is no more text for now: play what is there; silence up to the next chunk is no underrun."""
        ...


class Tee:
    """Feeds several sinks. One that fails is left behind, the others go on; its error is raised at the end."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._going: list[Sink] = []
        self._failure: VoxError | ConsumerClosed | None = None

    @property
    def underruns(self) -> int | None:
        counts = [sink.underruns for sink in self._sinks if sink.underruns is not None]
        return sum(counts) if counts else None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for sink in self._sinks:
                try:
                    undo.enter_context(sink)
                except VoxError as error:
                    self._note(error)
                else:
                    self._going.append(sink)
            self._raise_if_all_failed()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        going, self._going = self._going, []
        with ExitStack() as finishing:
            for sink in reversed(going):
                finishing.callback(self._finish, sink, kind, error, trace)
        if kind is None and isinstance(self._failure, VoxError):
            raise self._failure

    def write(self, chunk: AudioChunk) -> None:
        for sink in list(self._going):
            try:
                sink.write(chunk)
            except (VoxError, ConsumerClosed) as error:
                self._going.remove(sink)
                self._note(error)
                self._finish(sink, type(error), error, error.__traceback__)
        self._raise_if_all_failed()

    def idle(self) -> None:
        for sink in self._going:
            sink.idle()

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
        """Keep the first real failure; a listener who left is not one."""
        if isinstance(error, VoxError):
            _log.warning("%s The other outputs go on.", error)
        if self._failure is None or isinstance(self._failure, ConsumerClosed):
            self._failure = error

    def _raise_if_all_failed(self) -> None:
        if not self._going and self._failure:
            raise self._failure
