"""Program of a resident engine: `python -m voxcli.cli.commands.resident FOLDER KEY MODEL`, with its order on standard
input.

It writes its progress into its entry in FOLDER, serves a private socket, and ends after it has been idle for a while.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.engines import KOKORO_MODEL, open_engine
from voxcli.engines.resident.identity import EngineOrder, to_wire
from voxcli.engines.resident.registry import (
    FAILED,
    LOADING,
    READY,
    SEE_LOG,
    EngineEntry,
    Registry,
    Unavailable,
)
from voxcli.engines.resident.running import RunningEngine, running_engines, stop_longest_idle
from voxcli.errors import DeviceError, OutOfMemory, VoxError
from voxcli.installation import install_command
from voxcli.models.library import ModelLibrary
from voxcli.paths import find_places
from voxcli.synthesis.loading import LoadingProgress
from voxcli.synthesis.request import Engine
from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

if TYPE_CHECKING:
    from voxcli.server.host import Host
    from voxcli.server.private.sockets import PrivateSocket
    from voxcli.server.service import Service

_log = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
"""Between two signs of life while the model is loading."""
_PROGRESS_SECONDS = 0.05
_LOG_BYTES, _OLD_LOGS = 1 << 20, 1
_CARD = ("slots", "draws_voices", "voice_names", "sample_rate", "abilities", "model_identity")
"""What callers know of the engine before they ask it for speech."""


def main() -> int:
    """Run an engine until it is stopped. Return the exit code."""
    order = EngineOrder.from_json(sys.stdin.read())
    registry, key = Registry(Path(sys.argv[1])), sys.argv[2]
    os.chdir(registry.folder.anchor)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log_to(registry.log_path(key))
    _log.info("this is the engine of %s, in %s", order.model, order.folder)  # `voxcli ps --log MODEL` looks for it
    registry.sweep()
    diary = _Diary(order, key, registry)
    try:
        return _run(order, registry, diary)
    except VoxError as error:
        _log.error("%s", error.for_command_line)
        diary.fail(error)
    except Exception as error:  # noqa: BLE001 - the outermost handler of a process
        _log.error("a fault of voxcli itself", exc_info=error)
        diary.fail(DeviceError(f"The engine of {order.model} failed: {error!r}.", on_command_line=SEE_LOG))
    finally:
        diary.close()
    return 1


def _run(order: EngineOrder, registry: Registry, diary: "_Diary") -> int:
    """Load the model and serve it until the server ends."""
    limit_openmp_spinning(os.environ)
    loading = _opened_meanwhile(lambda: _open_with_room(order, registry, diary))
    try:  # what the model does not need is imported while it is being loaded
        import asyncio

        from voxcli.server.resident import new_resident_host
    except ModuleNotFoundError as error:
        raise Unavailable(f"It needs {error.name}, which is not installed. Run: {install_command('local')}") from error

    with open_own_socket(registry, diary.entry.key) as private:
        host = new_resident_host(
            order.model,
            loading.result,
            private,
            voices=find_places(os.environ).voices,
            keep_alive=to_wire(order.keep_alive),
            about={"folder": str(order.folder), "identity": order.identity, "quantize": order.local.quantize},
        )
        asyncio.run(_serve(host, lambda: diary.ready(ready_entry(order, host.service, private))))
    return 0


async def _serve(host: "Host", on_ready: Callable[[], None]) -> None:
    """Serve until the engine is stopped. SIGTERM cuts off what is being spoken."""
    import asyncio

    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGTERM, lambda number, frame: loop.call_soon_threadsafe(host.stop, True))
    await host.run(lambda: None, on_ready)


def open_own_socket(registry: Registry, key: str) -> "PrivateSocket":
    """Open the private socket of the engine in this process.

    Raises:
        Unavailable: there can be none.
    """
    from voxcli.server.private.sockets import open_keyed_socket, open_private_socket

    try:
        return open_keyed_socket() if sys.platform == "win32" else open_private_socket(registry.new_socket_path(key))
    except DeviceError as error:
        raise Unavailable(str(error)) from error


def ready_entry(
    order: EngineOrder, service: "Service", private: "PrivateSocket", serves: str | None = None
) -> EngineEntry:
    """Return the entry of the engine in this process, once it is loaded.

    serves: address of the server that it belongs to, if it is not a resident one.
    """
    from voxcli.server.routes.private import describe_state

    state = describe_state(service)
    values = {
        **order.new_entry(order.key, os.getpid()).values,
        **({"socket": str(private.path)} if private.path else {"port": private.port, "key": private.key}),
        "state": READY,
        "serves": serves,
        "card": {name: state[name] for name in _CARD},
        "resolved": {"device": state["device"], "dtype": state["dtype"]},
    }
    return EngineEntry(order.key, values)


class _Diary:
    """The entry of this engine, kept up to date."""

    def __init__(self, order: EngineOrder, key: str, registry: Registry) -> None:
        self._registry = registry
        self._key = key
        self._lock = threading.Lock()
        self._written_at = 0.0
        self._values = dict(order.new_entry(key, os.getpid()).values)
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()

    @property
    def entry(self) -> EngineEntry:
        return EngineEntry(self._key, dict(self._values))

    def load(self, progress: LoadingProgress) -> None:
        """Note the progress of loading."""
        with self._lock:
            last = self._values.get("loading")
            self._values["loading"] = written = progress.to_dict()
            now = time.monotonic()
            if last is None or last["stage"] != written["stage"] or now - self._written_at > _PROGRESS_SECONDS:
                self._written_at = now
                self._write()

    def ready(self, entry: EngineEntry) -> None:
        """Note that requests are served.

        Raises:
            Unavailable: it cannot be written.
        """
        with self._lock:
            self._values |= entry.values
            try:
                self._registry.write(self._key, self._values)
            except OSError as error:
                raise Unavailable(f"Nothing can be written to {self._registry.folder}: {error.strerror}.") from error

    def fail(self, error: VoxError) -> None:
        """Note why the engine could not be started."""
        with self._lock:
            if self._values["state"] == LOADING:
                self._values |= {"state": FAILED, "error": error.to_dict()}
                self._values["unavailable"] = isinstance(error, Unavailable)
                self._write()

    def close(self) -> None:
        """Delete the entry, unless it says why the engine could not be started."""
        with self._lock:
            if self._values["state"] != FAILED:
                self._registry.remove(self.entry)

    def _beat(self) -> None:
        while True:
            with self._lock:
                if self._values["state"] != LOADING:
                    return
                self._values["beat"] = time.monotonic()
                self._write()
            time.sleep(_BEAT_SECONDS)

    def _write(self) -> None:
        with suppress(OSError):  # a caller that waits sees that nothing changes
            self._registry.write(self._key, self._values)


def _open_with_room(order: EngineOrder, registry: Registry, diary: _Diary) -> Engine:
    """Load the model. Idle engines leave if the memory does not hold both, the longest idle first.

    Raises:
        OutOfMemory: it does not fit beside the engines that are speaking.
        VoxError: it cannot be loaded.
    """
    _stop_outdated(order, registry, diary.entry)
    while True:
        try:
            places = find_places(os.environ)
            models = ModelLibrary(places.hub, places.models)
            model = KOKORO_MODEL if order.model == KOKORO_MODEL else str(order.folder)
            return open_engine(model, models=models, settings=order.local, on_loading=diary.load)
        except OutOfMemory as error:
            if not stop_longest_idle(registry, but=diary.entry.key):
                raise _with_holders(error, registry, diary.entry.key) from error
            _log.info("another engine was stopped to make room")


def _stop_outdated(order: EngineOrder, registry: Registry, own: EngineEntry) -> None:
    """Stop idle engines of the same model whose files have been replaced, or that run an older voxcli."""
    for engine in running_engines(registry):
        identity, mine = engine.entry.values["identity"], own.values["identity"]
        same = identity["folder"] == mine["folder"] and engine.entry.key != own.key
        older = _version(identity["version"]) < _version(mine["version"]) or identity["installed"] < mine["installed"]
        if same and (older or identity["weights"] != mine["weights"]) and not engine.is_busy and not engine.serves:
            _log.info("the engine %d is outdated and is stopped", engine.entry.pid)
            engine.stop()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def _with_holders(error: OutOfMemory, registry: Registry, own: str) -> OutOfMemory:
    """Add which engines hold memory to the message."""
    held = [_holding(engine) for engine in running_engines(registry) if engine.entry.key != own]
    if not held:
        return error
    return OutOfMemory(
        f"{error} In memory: {', '.join(held)}.", on_command_line="See: voxcli ps. To end one: voxcli stop"
    )


def _holding(engine: RunningEngine) -> str:
    size = f", {engine.state['memory_bytes'] / 2**30:.1f} GiB" if engine.state else ""
    doing = "speaking" if engine.is_busy else "idle"
    if engine.is_loading or engine.serves:
        doing = f"served at {engine.serves}" if engine.serves else "loading"
    return f"{engine.model} ({doing}{size})"


def _opened_meanwhile(open_it: Callable[[], Engine]) -> "Future[Engine]":
    """Start to load the model while the main thread imports the server."""
    future: Future[Engine] = Future()

    def run() -> None:
        try:
            future.set_result(open_it())
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="loading", daemon=True).start()
    return future


class _Log(RotatingFileHandler):
    """The log file, which standard output and error go to as well: crashes of libraries are written there."""

    def doRollover(self) -> None:
        super().doRollover()
        if self.stream:
            for number in (1, 2):
                os.dup2(self.stream.fileno(), number)


def _log_to(path: Path) -> None:
    logging.raiseExceptions = False  # a full disk does not stop the engine
    try:
        handler: logging.Handler = _Log(path, maxBytes=_LOG_BYTES, backupCount=_OLD_LOGS, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
