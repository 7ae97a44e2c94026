"""The life of a model: loaded when it is needed, unloaded when it is not, and never while it speaks."""

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
from voxcli.synthesis.request import Engine, GpuMemory, MayUseGpu

_log = logging.getLogger(__name__)

_FIRST_GUESS = 15.0
"""Seconds that loading takes, before it has been measured."""
_LATEST = 120
"""Seconds; see `admission`."""
_UNAVAILABLE = Problem(
    status=503,
    message="The model cannot be loaded. The server's log says why.",
    code="model_unavailable",
    retry_after=_LATEST,
)


class ModelLifecycle:
    """One model, which is opened and closed on threads of its own. It lives on the event loop."""

    def __init__(
        self, name: str, open_engine: Callable[[], Engine], settings: ServerSettings, *, samples: bool = True
    ) -> None:
        """
        Args:
            name: as clients see it.
            open_engine: makes it ready, and may take its time. Raises VoxError.
            samples: whether it has steps and guidance. Where it has none, no dialect sets them by default.
        """
        self.name = name
        self.samples = samples
        self.users = 0
        """Streams that run, or wait for the model."""
        self.failed = False
        """Whether it could not be loaded when that was last tried."""
        self._open_engine = open_engine
        self._idle_seconds = settings.idle_seconds
        self._lazy = settings.lazy
        self._wished_slots = settings.slots
        self._threads = Threads("model")
        self._engine: Engine | None = None
        self._gpu: GpuMemory | None = None
        self._loading: asyncio.Task[Engine] | None = None
        self._load_seconds = _FIRST_GUESS
        self._changing = asyncio.Lock()
        self._wanted_gone = False
        self._used_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[bool] | None = None

    @property
    def engine(self) -> Engine | None:
        """What is loaded. To have it speak, take it by `in_use`."""
        return self._engine

    @property
    def loaded(self) -> bool:
        return self._engine is not None

    @property
    def loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    @property
    def slots(self) -> int:
        """Streams at once: as many as the operator wants, else as the engine runs, else one until that is known."""
        return self._wished_slots or (self._engine.slots if self._engine else 1)

    def gpu_memory(self) -> GpuMemory | None:
        """Return the GPU memory in use, measured now or, while unloaded, right after unloading.

        None if the model does not run on a GPU, or has not been loaded yet.
        """
        if self._engine:
            self._gpu = _measured(self._engine)
        return self._gpu

    async def start(self) -> None:
        """Load it, unless it is to be loaded when it is first needed. Raises what hinders it."""
        if not self._lazy:
            await asyncio.shield(self._load())

    @asynccontextmanager
    async def in_use(self, seconds: float, *, counts: bool = True) -> AsyncIterator[Engine]:
        """Keep the model loaded, and load it first if it is not.

        Args:
            seconds: how long that may take.
            counts: whether its time of rest begins anew afterwards.

        Raises:
            Refusal: it takes longer, or cannot be loaded.
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
        """Unload the model, at once or after the streams that run. Tell whether it is gone already."""
        self._wanted_gone = True
        return await self._unload()

    async def close(self) -> None:
        """Unload it for good. Whatever still runs goes on without it."""
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
            message = f"The model is being loaded. Try again in {left} s."
            raise Refusal(Problem(status=503, message=message, code="model_loading", retry_after=left)) from None
        except VoxError as error:
            raise Refusal(_UNAVAILABLE) from error

    def _load(self) -> "asyncio.Task[Engine]":
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._loaded())
            self._loading.add_done_callback(_note_end)
        return self._loading

    async def _loaded(self) -> Engine:
        async with self._changing:
            if self._engine:
                return self._engine
            started = time.monotonic()
            self.failed = True  # unless it comes to its end
            try:
                self._engine = await self._threads.call(self._open_engine)
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

    def _schedule_unload(self) -> None:
        """See to it that the model goes when its time has come."""
        if self._wanted_gone:
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
                self._wanted_gone = False
            return not self.loaded

    async def _shut(self) -> None:
        """Close the engine. Whoever wants it meanwhile waits, and has it loaded again."""
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


def _note_end(loading: "asyncio.Task[Engine]") -> None:
    """Look at what has come of it, for perhaps nobody waits for it any more: else asyncio complains."""
    if not loading.cancelled():
        loading.exception()
