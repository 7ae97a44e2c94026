"""Model lifecycle: loaded on demand, unloaded when idle, never while streams run."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from voxcli.errors import VoxError
from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.worker import Threads
from voxcli.synthesis.identity import identity_of
from voxcli.synthesis.request import Engine, GpuMemory, MayUseGpu

_log = logging.getLogger(__name__)

_FIRST_GUESS = 15.0
"""Seconds that loading is assumed to take until it has been measured."""
_LATEST = 120
"""Seconds; see `admission`."""
_UNAVAILABLE = Problem(
    status=503,
    message="The model cannot be loaded. See the server log.",
    code="model_unavailable",
    retry_after=_LATEST,
)


class ModelLifecycle:
    """One model, opened and closed on threads of its own. Used on the event loop only."""

    def __init__(
        self, name: str, open_engine: Callable[[], Engine], settings: ServerSettings, *, samples: bool = True
    ) -> None:
        """
        Args:
            name: as clients see it.
            open_engine: loads the model; may block. Raises VoxError.
            samples: whether the model has steps and guidance. If not, no dialect sets them by default.
        """
        self.name = name
        self.samples = samples
        self.users = 0
        """Streams that are running or waiting for the model."""
        self.failed = False
        """Whether the last attempt to load it failed."""
        self._open_engine = open_engine
        self._idle_seconds = settings.idle_seconds
        self._lazy = settings.lazy
        self._requested_slots = settings.slots
        self._threads = Threads("model")
        self._engine: Engine | None = None
        self._gpu: GpuMemory | None = None
        self._loading: asyncio.Task[Engine] | None = None
        self._load_seconds = _FIRST_GUESS
        self._changing = asyncio.Lock()
        self._unload_requested = False
        self._used_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[bool] | None = None

    @property
    def engine(self) -> Engine | None:
        """The loaded engine. To generate speech, take it with `in_use`."""
        return self._engine

    @property
    def loaded(self) -> bool:
        return self._engine is not None

    @property
    def loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    @property
    def slots(self) -> int:
        """Concurrent streams: as configured, or as many as the engine runs, or one until that is known."""
        return self._requested_slots or (self._engine.slots if self._engine else 1)

    def gpu_memory(self) -> GpuMemory | None:
        """Return the GPU memory in use, measured now or, while unloaded, right after unloading.

        None if the model does not run on a GPU, or has not been loaded yet.
        """
        if self._engine:
            self._gpu = _measured(self._engine)
        return self._gpu

    async def start(self) -> None:
        """Load the model, unless that is lazy. Raises VoxError if it cannot be loaded."""
        if not self._lazy:
            await asyncio.shield(self._load())

    @asynccontextmanager
    async def in_use(self, seconds: float, *, counts: bool = True) -> AsyncIterator[Engine]:
        """Keep the model loaded for a while, loading it first if needed.

        Args:
            seconds: timeout for loading.
            counts: whether this use restarts the idle timeout.

        Raises:
            Refusal: loading timed out or failed.
        """
        self.users += 1
        try:
            yield await self._ready(seconds)
        finally:
            self.users -= 1
            if counts:
                self._used_at = time.monotonic()
            if not self.users:
                self._schedule_unload()

    async def offload(self) -> bool:
        """Unload the model, now or after the running streams. Return whether it is already unloaded."""
        self._unload_requested = True
        return await self._unload()

    async def close(self) -> None:
        """Unload the model for good, without waiting for running streams."""
        if self._timer:
            self._timer.cancel()
        if self._loading and not self._loading.done():
            self._loading.cancel()
        async with self._changing:
            await self._shut()
        self._threads.close()

    async def _ready(self, seconds: float) -> Engine:
        if self._engine:
            return self._engine
        try:
            return await asyncio.wait_for(asyncio.shield(self._load()), seconds)
        except TimeoutError:
            left = min(max(round(self._load_seconds), 1), _LATEST)
            message = f"The model is loading. Try again in {left} s."
            raise Refusal(Problem(status=503, message=message, code="model_loading", retry_after=left)) from None
        except VoxError as error:
            raise Refusal(_UNAVAILABLE) from error

    def _load(self) -> "asyncio.Task[Engine]":
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._loaded())
            self._loading.add_done_callback(_retrieve_exception)
        return self._loading

    async def _loaded(self) -> Engine:
        async with self._changing:
            if self._engine:
                return self._engine
            started = time.monotonic()
            self.failed = True  # until it has been loaded
            try:
                self._engine = await self._threads.call(self._opened)
            except VoxError as error:
                _log.error("the model %s cannot be loaded: %s", self.name, error)
                raise
            self.failed = False
            self._load_seconds = time.monotonic() - started
            self._used_at = time.monotonic()
            _log.info("the model %s is loaded, after %.1f s", self.name, self._load_seconds)
            if not self.users:
                self._schedule_unload()
            return self._engine

    def _opened(self) -> Engine:
        """Open the engine, and read what it is known by, so that no answer waits for the disk."""
        engine = self._open_engine()
        identity_of(engine, self.name)
        return engine

    def _schedule_unload(self) -> None:
        """Unload now if that was requested, or after the idle timeout."""
        if self._unload_requested:
            self._unloading = asyncio.create_task(self._unload())
        elif self._idle_seconds is not None:
            if self._timer:
                self._timer.cancel()
            due = self._used_at + self._idle_seconds - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(due, 0.0), self._on_idle_timeout)

    def _on_idle_timeout(self) -> None:
        if not self.users:
            self._unloading = asyncio.create_task(self._unload())

    async def _unload(self) -> bool:
        async with self._changing:
            if not self.users:
                await self._shut()
                self._unload_requested = False
            return not self.loaded

    async def _shut(self) -> None:
        """Close the engine. A request that arrives meanwhile waits and loads it again."""
        if self._engine:
            engine, self._engine = self._engine, None
            self._loading = None
            before = _measured(engine)
            await self._threads.call(engine.close)
            self._gpu = after = _measured(engine)
            del engine
            _log.info("the model %s is unloaded", self.name)
            if before and after:
                _log.info("%d bytes of GPU memory released", before.reserved_bytes - after.reserved_bytes)


def _measured(engine: Engine) -> GpuMemory | None:
    return engine.gpu_memory() if isinstance(engine, MayUseGpu) else None


def _retrieve_exception(loading: "asyncio.Task[Engine]") -> None:
    """Retrieve the exception, in case no request awaits the task: otherwise asyncio logs a warning."""
    if not loading.cancelled():
        loading.exception()
