"""How much of the promised time is left."""

import time


class Clock:
    def __init__(self, minutes: float) -> None:
        self._started = time.monotonic()
        self._seconds = 60 * minutes

    @property
    def passed(self) -> float:
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        return self._seconds - self.passed
