"""Start of resident engines: find the one for an order, or start it and wait until it is ready."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

import voxcli
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import (
    FAILED,
    READY,
    SEE_LOG,
    EngineEntry,
    Registry,
    Unavailable,
    kill,
)
from voxcli.errors import DeviceError, error_from_dict
from voxcli.synthesis.loading import LoadingProgress, OnLoading, ignore_loading

PROGRAM = "voxcli.cli.commands.resident"
"""Module that runs an engine. It reads the order from standard input."""
_LOOK_SECONDS = 0.02
"""Between two looks at an engine that is loading."""
_SILENT_SECONDS = 60.0
"""Without a sign of life after which an engine that is loading counts as hung."""
_DETACHED_ON_WINDOWS = 0x08000000 | 0x00000200  # CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP
_LOCK_SECONDS = 30.0
"""For another process to start an engine, which takes milliseconds."""
_LARGEST_LOG = 1 << 20  # bytes


def start_engine(
    order: EngineOrder,
    registry: Registry,
    on_loading: OnLoading = ignore_loading,
    check: Callable[[], None] = lambda: None,
) -> EngineEntry:
    """Return the engine of an order once it is ready; start it unless it runs already.

    Args:
        on_loading: called with its progress.
        check: called often while waiting; raises to give up. The engine then goes on loading.

    Raises:
        Unavailable: no engine can be kept here.
        VoxError: the model cannot be loaded, as in this process.
    """
    registry.prepare()
    key = order.key
    with _locked(registry, key):
        entry = registry.find(key)
        process = None
        if entry is None or entry.state == FAILED:
            entry, process = _spawn(order, key, registry)
    try:
        return _wait(entry, registry, process, on_loading, check)
    finally:
        if process and process.poll() is None:
            process.returncode = 0  # it outlives this process, which subprocess would warn of


def _spawn(order: EngineOrder, key: str, registry: Registry) -> tuple[EngineEntry, subprocess.Popen[bytes]]:
    """Start the process, detached from the terminal and from all files of this one."""
    if not sys.executable:
        raise Unavailable("Python does not know its own program.")
    try:
        with _open_log(registry.log_path(key)) as log:
            process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(registry.folder.absolute()), key, order.model],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Where the package is, so that "-m" finds the same one. The process leaves this folder.
                cwd=Path(voxcli.__file__).parent.parent,
                start_new_session=True,
                creationflags=_DETACHED_ON_WINDOWS if sys.platform == "win32" else 0,
            )
    except OSError as error:
        raise Unavailable(f"No process can be started: {error.strerror or error}.") from error
    entry = order.new_entry(key, process.pid)
    try:
        registry.write(key, entry.values)
        assert process.stdin
        with process.stdin as pipe:
            pipe.write(order.to_json().encode())
    except OSError as error:
        process.kill()
        process.wait()
        raise Unavailable(f"Nothing can be written to {registry.folder}: {error.strerror or error}.") from error
    return entry, process


@contextmanager
def _open_log(path: Path) -> Iterator[BinaryIO | int]:
    """Open the log of an engine, and move a long one aside. Without a log, it is started all the same."""
    try:
        if path.exists() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError:
        yield subprocess.DEVNULL
        return
    with file:
        yield file


@contextmanager
def _locked(registry: Registry, key: str) -> Iterator[None]:
    """Let one process at a time decide whether an engine has to be started."""
    try:
        lock = FileLock(registry.lock_path(key), mode=0o600)
        lock.acquire(timeout=_LOCK_SECONDS)
    except (OSError, NotImplementedError) as error:
        raise Unavailable(f"Nothing can be locked in {registry.folder}: {error}.") from error
    try:
        yield
    finally:
        lock.release()


def _wait(
    entry: EngineEntry,
    registry: Registry,
    process: "subprocess.Popen[bytes] | None",
    on_loading: OnLoading,
    check: Callable[[], None],
) -> EngineEntry:
    shown: object = None
    silent_since = time.monotonic()
    beat: object = None
    while True:
        if process:
            process.poll()
        found = registry.find(entry.key)
        if found is None or found.pid != entry.pid:
            raise DeviceError(
                f"The engine of {entry.model} ended while it was loading.",
                on_command_line=SEE_LOG,
            )
        if found.state == READY:
            return found
        if found.state == FAILED:
            error = error_from_dict(found.values["error"])
            raise Unavailable(str(error)) if found.values.get("unavailable") else error
        if (written := found.values.get("loading")) != shown and written:
            shown = written
            on_loading(LoadingProgress.from_dict(written))
        if found.values.get("beat") != beat:
            beat, silent_since = found.values.get("beat"), time.monotonic()
        elif time.monotonic() - silent_since > _SILENT_SECONDS:
            kill(found)
            raise DeviceError(f"The engine of {entry.model} hung while it was loading, and was ended.")
        check()
        time.sleep(_LOOK_SECONDS)


def replace_engine(
    entry: EngineEntry, order: EngineOrder, registry: Registry, on_loading: OnLoading, check: Callable[[], None]
) -> EngineEntry:
    """Return another engine in place of one that has ended, or that does not take requests."""
    with _locked(registry, entry.key):
        found = registry.find(entry.key)
        if found and found.pid == entry.pid:
            registry.remove(found)
    return start_engine(order, registry, on_loading, check)
