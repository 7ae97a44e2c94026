"""Sink that is opened on a thread, so that the engine gets ready meanwhile."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from voxcli.sinks.base import Sink

if TYPE_CHECKING:
    from voxcli.audio.chunk import AudioChunk
    from voxcli.synthesis.request import SentenceMark


class OpenedInBackground:
    """A sink that plays. Entering it returns at once, and what goes wrong is raised by the first call after that."""

    def __init__(self, build: Callable[[], Sink]) -> None:
        """build: imports what it needs and returns the sink, on the thread."""
        self._build = build
        self._sink: Sink | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._open, name="open the loudspeaker", daemon=True)

    @property
    def underruns(self) -> int | None:
        return self._sink.underruns if self._sink else 0

    @property
    def heard_at(self) -> float | None:
        return self._sink.heard_at if self._sink else None

    @property
    def played_seconds(self) -> float | None:
        return self._sink.played_seconds if self._sink else 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join()
        if self._sink:
            self._sink.__exit__(kind, error, trace)
        elif kind is None:
            self.check()

    def check(self) -> None:
        """Raise what has gone wrong by now; does not wait.

        Raises:
            DeviceError: it cannot be opened.
        """
        if self._error:
            raise self._error

    def write(self, chunk: "AudioChunk") -> None:
        self._opened().write(chunk)

    def mark(self, mark: "SentenceMark") -> None:
        """Do nothing, and do not wait: what plays has no use for marks."""

    def idle(self) -> None:
        self._opened().idle()

    def _opened(self) -> Sink:
        if self._sink is None:
            self._thread.join()
            self.check()
        assert self._sink
        return self._sink

    def _open(self) -> None:
        try:
            sink = self._build()
            sink.__enter__()
            self._sink = sink
        except BaseException as error:  # noqa: BLE001 - raised by the thread that writes
            self._error = error
