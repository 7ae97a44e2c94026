"""Whether the engine makes steps, noted where it speaks and read where somebody asks."""

import time
from collections.abc import Callable
from contextlib import closing

from voxcli.errors import DeviceError, ModelError, RemoteError
from voxcli.speech import Speech

_FRESH = 60.0
"""Seconds for which a step proves that the engine works."""


class Pulse:
    """When the engine last made a step, or failed to, and whether somebody waits for one. Used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds from any origin."""
        self._clock = clock
        self._step: float | None = None
        self._failure: float | None = None
        self._waiting: dict[object, float] = {}
        """Since when each stream has waited for its next chunk."""

    def watched(self, chunks: Speech) -> Speech:
        """Pass a stream on, and note its steps."""
        stream = object()
        with closing(chunks):
            try:
                while True:
                    self._waiting[stream] = self._clock()
                    chunk = next(chunks, None)
                    del self._waiting[stream]
                    if chunk is None:
                        return
                    self._step = self._clock()
                    yield chunk
            except (DeviceError, ModelError, RemoteError):
                self._failure = self._clock()
                raise
            finally:
                self._waiting.pop(stream, None)

    def silent_seconds(self) -> float:
        """Return for how long somebody has waited and nothing has come, for anybody."""
        waiting = list(self._waiting.values())
        if not waiting:
            return 0.0
        return self._clock() - max(min(waiting), self._step or 0.0)

    def is_fresh(self) -> bool:
        """Tell whether a step proves that the engine works now."""
        if self._step is None or (self._failure is not None and self._failure >= self._step):
            return False
        return self._clock() - self._step < _FRESH
