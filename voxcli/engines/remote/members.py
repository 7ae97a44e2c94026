"""Members of a group of servers: each is watched on a thread of its own, and left out while it does not answer."""

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from urllib.parse import urlsplit

from voxcli.backoff import RetryableError
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import NotFound, RemoteError, RemoteRefused, RequestError, VoxError
from voxcli.synthesis.request import Engine, SynthesisRequest, abilities_of, can_speak_with

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 2.0
"""Between two looks at one of our own servers. Others are looked at only after a failure."""
_ANSWER_SECONDS = 5.0
"""For the answer to such a look."""
_LATEST_SECONDS = 30.0
"""Between two looks at a server that has been dead for a while."""
_BUSY_SECONDS = 1.0
"""For which a server that was busy or failed is asked last, if it does not say for how long it is."""

LEFT_OUT = "%s It is left out until it answers."
"""Warning, with the problem."""

OpenServer = Callable[[RemoteSettings], Engine]
OnChange = Callable[[], None]


class ServerFailure(IntEnum):
    """Why a server did not speak, the reason that is worth telling most last."""

    DEAD = 0
    FAILED = 1
    REFUSED = 2
    """Because of the request itself."""
    BUSY = 3


_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_LOCKED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def failure_of(error: VoxError) -> ServerFailure:
    """Tell what an error before the first sound says about the server."""
    if isinstance(error, RemoteRefused):
        if error.status in _BUSY:
            return ServerFailure.BUSY
        if error.status in _LOCKED:
            return ServerFailure.DEAD
        return ServerFailure.FAILED if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ServerFailure.REFUSED
    if isinstance(error, RequestError | NotFound):
        return ServerFailure.REFUSED
    return ServerFailure.DEAD if isinstance(error, RemoteError) else ServerFailure.FAILED


def whole_failure(errors: Sequence[VoxError], asleep: Sequence["Member"]) -> Exception:
    """Return why none of the servers speaks: an error, or one in a RetryableError where a later attempt may succeed.

    Args:
        errors: of those that were asked.
        asleep: those that were left out.
    """
    worst = max(map(failure_of, errors), default=ServerFailure.DEAD)
    if worst is ServerFailure.DEAD:
        reasons = " ".join([*map(str, errors), *(member.problem or "" for member in asleep)])
        return RetryableError(RemoteError(f"None of the servers answers. {reasons}"))
    told = next(error for error in errors if failure_of(error) is worst)
    if worst is ServerFailure.REFUSED:
        return told
    waits = [error.retry_after for error in errors if isinstance(error, RemoteRefused) and error.retry_after]
    return RetryableError(told, min(waits, default=None))


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Kind of a server that has not answered yet."""


class Member:
    """One of the servers. Its counts are changed under the lock of the group."""

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self.engine: Engine | None = None
        """Once the server has answered."""
        self.problem: str | None = f"{settings.url} has not answered yet."
        """Why it is left out; None while it gets requests."""
        self.checked = False
        """Whether it has answered, or failed to, at least once."""
        self.streams = 0
        self.failures = 0
        self.used_at = 0
        """Number of its last text, of all texts."""
        self.busy_until = -math.inf
        self._look_now = threading.Event()
        self._closed = False

    @property
    def name(self) -> str:
        return urlsplit(self.settings.url).netloc

    @property
    def model(self) -> str | None:
        state = self.engine.state if isinstance(self.engine, RemoteEngine) else None
        return state.model if state else None

    @property
    def slots(self) -> int:
        return self.engine.slots if self.engine else 0

    @property
    def kind(self) -> Hashable:
        """Equal for servers that speak alike, so that one may go on where another has stopped."""
        engine = self.engine
        if engine is None:
            return _Unknown()
        if not isinstance(engine, RemoteEngine):
            return type(engine)
        server = engine.server
        models = tuple(server.catalog.models) if server.catalog else ()
        return server.dialect, server.is_voxcli, server.version, server.route, models, self.model

    def can_speak(self, request: SynthesisRequest) -> bool:
        """Tell whether it can speak with the voice of a request, as far as it has told its abilities."""
        return self.engine is not None and can_speak_with(request.voice, abilities_of(self.engine))

    def note_failure(self, error: VoxError) -> None:
        """Leave the server out if it did not answer, and look at it at once; ask it last if it is busy or failed."""
        self.failures += 1
        match failure_of(error):
            case ServerFailure.BUSY | ServerFailure.FAILED:
                wait = error.retry_after if isinstance(error, RemoteRefused) else None
                self.busy_until = time.monotonic() + (wait or _BUSY_SECONDS)
            case ServerFailure.DEAD:
                self._leave_out(str(error))
                self._look_now.set()

    def watch(self, open_server: OpenServer, on_change: OnChange) -> None:
        """Look at the server again and again until it is closed. On a thread of its own."""
        failed = 0
        while not self._closed:
            try:
                self._look(open_server)
            except VoxError as error:
                self._leave_out(str(error))
            except Exception as error:  # noqa: BLE001 - if the thread ended, the server would stay left out
                _log.error("a fault of voxcli itself", exc_info=error)
                self._leave_out(f"{self.settings.url} could not be looked at.")
            self.checked = True
            on_change()
            failed = failed + 1 if self.problem else 0
            self._look_now.wait(self._pause(failed))
            self._look_now.clear()

    def close(self) -> None:
        self._closed = True
        self._look_now.set()
        if self.engine:
            self.engine.close()

    def _look(self, open_server: OpenServer) -> None:
        """Raise VoxError if the server does not answer."""
        if self.engine is None:
            self.engine = open_server(self.settings)
        if isinstance(self.engine, RemoteEngine):
            self.engine.refresh(_ANSWER_SECONDS)
            status = self.engine.state.status if self.engine.state else "healthy"
            if status in _NOT_SERVING:
                self._leave_out(f"{self.settings.url} {_NOT_SERVING[status]}.")
                return
        if self.problem and self.checked:
            _log.warning("%s answers again.", self.settings.url)
        self.problem = None

    def _leave_out(self, problem: str) -> None:
        if not self.problem:
            _log.warning(LEFT_OUT, problem)
        self.problem = problem

    def _pause(self, failed: int) -> float | None:
        """Return the seconds until the next look; None until a request has failed."""
        if failed:
            return float(min(_CHECK_SECONDS * 2 ** (failed - 1) / 2, _LATEST_SECONDS))
        return _CHECK_SECONDS if isinstance(self.engine, RemoteEngine) and self.engine.state else None


_NOT_SERVING = {
    "draining": "is shutting down",
    "unhealthy": "cannot load its model",
}
