"""Process that has imported `voxcli`, and forks on demand. See tests/forks.py for how it is asked."""

import atexit
import fcntl
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import warnings
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import SimpleNamespace
from typing import BinaryIO

import voxcli
from tests.forks import Forked, order_fork, starts_alike
from voxcli.cli import run_summary
from voxcli.engines.resident import start
from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

APART = (
    "voxcli.__main__",
    "voxcli.audio.zipenhancer",
    "voxcli.models.huggingface",
    "voxcli.server",
    "voxcli.voxcpm",
)
"""Not imported beforehand, unless something else imports it: large and rarely needed modules, optional ones, and
huggingface_hub, which reads the environment while it is imported."""

ADDRESS = f"\0voxcli-tests-{os.getpid()}"
"""Socket of this process for its forks, which has no file."""


def fork_on_demand(wire: socket.socket) -> str:
    """Fork once per request on the socket, or on one that a fork opens to have another.

    Returns the name of the program to run in each fork, with its streams and environment set up.
    """
    ended, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(ADDRESS)
        listener.listen()
        while True:
            ready, _, _ = select.select([wire, listener, ended], [], [])
            if ended in ready:
                os.read(ended, 4096)
                _report_ends(running)
            if wire in ready:
                given = socket.recv_fds(wire, 32, 5)[1]
                if not given:
                    wire.close()
                    sys.exit()
            elif listener in ready:
                with listener.accept()[0] as caller:
                    given = socket.recv_fds(caller, 32, 5)[1]
            else:
                continue
            order, status, *streams = given
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the threads are those of OpenBLAS
                pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                wire.close()
                for end in (ended, waking, status, *running.values()):
                    os.close(end)
                return become(order, *streams)
            for end in (order, *streams):
                os.close(end)
            with suppress(BrokenPipeError):  # who asked may have been killed
                os.write(status, b"%d\n" % pid)
            running[pid] = status


def _report_ends(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with suppress(BrokenPipeError), os.fdopen(running.pop(pid), "wb") as report:
            report.write(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(number: int, *streams: int) -> str:
    """Become what an order asks for. Return the name of its program."""
    for standard, given in enumerate(streams):
        os.dup2(given, standard)
        os.close(given)
    with open(number) as file:
        order = json.load(file)
    sys.argv[1:] = order["arguments"]
    if order["session"]:
        os.setsid()
    if order["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    run_summary._PROCESSED_BEFORE, run_summary._IMPORTED = 0.0, time.perf_counter()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    start.subprocess = SimpleNamespace(Popen=start_engine, PIPE=subprocess.PIPE)  # type: ignore[assignment]
    return str(order["program"])


def start_engine(
    command: Sequence[str],
    *,
    stdin: int,
    stdout: BinaryIO,
    stderr: BinaryIO,
    cwd: Path,
    start_new_session: bool,
    creationflags: int,
) -> "Forked | subprocess.Popen[bytes]":
    """Have a resident engine forked, unless it must start as other programs do."""
    if not starts_alike(os.environ):
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, start_new_session=start_new_session
        )
    order = {
        "program": command[2],
        "arguments": command[3:],
        "folder": str(cwd),
        "environment": dict(os.environ),
        "session": start_new_session,
        "terminal": False,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as wire:
        wire.connect(ADDRESS)
        return order_fork(wire, order, (stdin, stdout.fileno(), stderr.fileno()))


def main() -> None:
    """Import the package, then fork on demand. The argument is the number of the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends when the socket is closed
    limit_openmp_spinning(os.environ)
    for module in walk_packages(voxcli.__path__, "voxcli."):
        if not module.name.startswith(APART):
            import_module(module.name)
    # Otherwise each fork copies 40 MB of pages: when garbage is collected, and when torch is taken down at its end.
    gc.freeze()
    for finalizer in weakref.finalize._registry:  # type: ignore[attr-defined]
        finalizer.atexit = False
    program = fork_on_demand(socket.socket(fileno=int(sys.argv[1])))
    try:
        sys.exit(import_module(program).main())
    except SystemExit as end:
        leave(int(end.code or 0))


def leave(code: int) -> None:
    """End as the interpreter does, but do not take down hundreds of modules, which takes longer than most runs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what was not closed is told
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as Python's own
    os._exit(code)


if __name__ == "__main__":
    main()
