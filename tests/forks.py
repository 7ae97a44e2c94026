"""Runs of `voxcli` that are forked from a process which has imported it, to save the time of the imports.

A fork has its own working folder, environment, arguments, standard streams and exit code, as any process. Only the
environment variables that Python reads at its start are those of the parent, and modules are not taken down at its end.
"""

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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryFile
from typing import IO, Self

import voxcli
from tests.program import PATIENCE_SECONDS, STRICTLY, Done, RunIn, Streams, run_afresh
from voxcli.cli import run_summary
from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

ROOT = Path(__file__).parent.parent

APART = (
    "voxcli.__main__",
    "voxcli.audio.zipenhancer",
    "voxcli.models.huggingface",
    "voxcli.server",
    "voxcli.voxcpm",
)
"""Not imported beforehand, unless something else imports it: large and rarely needed modules, optional ones, and
huggingface_hub, which reads the environment while it is imported."""

READ_AT_THE_START = ("PYTHONPATH", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONHASHSEED")
"""A run with its own values of these cannot be forked."""


class Forked:
    """A run in progress, with what `subprocess.Popen` has for it."""

    def __init__(self, status: int, pipes: Sequence[IO[bytes] | None]) -> None:
        """
        Args:
            status: from which the process id can be read, and the exit code at the end.
            pipes: our ends of its standard streams, where they are pipes.
        """
        self._status = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.wait()
        self._status.close()

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("voxcli", timeout or 0)
            self.returncode = int(self._status.readline())
        return self.returncode

    def communicate(self, stdin: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Return all output, and wait for the end."""
        found = {pipe: bytearray() for pipe in (self.stdout, self.stderr) if pipe}
        threads = [threading.Thread(target=_read, args=one, daemon=True) for one in found.items()]
        if self.stdin:
            threads.append(threading.Thread(target=_write, args=(self.stdin, stdin), daemon=True))
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join(timeout)
        return bytes(found.get(self.stdout, b"")), bytes(found.get(self.stderr, b""))

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _write(pipe: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError), pipe:
        pipe.write(data)


def _read(pipe: IO[bytes], into: bytearray) -> None:
    with pipe:
        into += pipe.read()


class Origin:
    """The process that forks, started when it is first needed."""

    def __init__(self) -> None:
        self._wire: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        folder: Path,
        environment: Mapping[str, str],
        arguments: Sequence[str],
        streams: Streams = (None, None, None),
        *,
        terminal: bool = False,
    ) -> Forked:
        """
        Args:
            streams: as those of `subprocess.Popen`: None for our own, PIPE, or the number of a file.
            terminal: whether standard input is a terminal of its own, whose Ctrl-C it gets.
        """
        wire = self._connected()
        pipes: list[IO[bytes] | None] = []
        numbers, opened = [], []
        for standard, given in enumerate(streams):
            if given == subprocess.PIPE:
                ends = os.pipe()
                its, ours = ends if standard == 0 else ends[::-1]
                pipes.append(os.fdopen(ours, "wb" if standard == 0 else "rb"))
                opened.append(its)
            else:
                its = standard if given is None else given
                pipes.append(None)
            numbers.append(its)
        status, its_status = os.pipe()
        with TemporaryFile("w+") as order:
            json.dump([terminal, str(folder), dict(environment), *arguments], order)
            order.seek(0)
            socket.send_fds(wire, [b"fork"], [order.fileno(), its_status, *numbers])
        for end in (its_status, *opened):
            os.close(end)
        return Forked(status, pipes)

    def run_in(
        self, folder: Path, environment: Mapping[str, str], arguments: Sequence[str], stdin: bytes = b""
    ) -> Done:
        pipe = subprocess.PIPE
        with self.start(folder, environment, arguments, (pipe, pipe, pipe)) as run:
            try:
                output, errors = run.communicate(stdin, PATIENCE_SECONDS)
            finally:
                run.kill()
        return subprocess.CompletedProcess(arguments, run.wait(), output, errors)

    def close(self) -> None:
        if self._wire and self._process:
            self._wire.close()
            self._process.wait(PATIENCE_SECONDS)
            self._wire = None

    def _connected(self) -> socket.socket:
        if self._wire is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                number = theirs.fileno()
                command = [sys.executable, "-m", "tests.forks", str(number)]
                null = subprocess.DEVNULL
                self._process = subprocess.Popen(
                    command, cwd=ROOT, env=os.environ | STRICTLY, stdin=null, stdout=null, pass_fds=[number]
                )
            self._wire = ours
        return self._wire


ORIGIN = Origin()
"""One for all tests of a worker, with torch loaded, as that takes longer than most tests."""


run_forked: RunIn = ORIGIN.run_in if sys.platform == "linux" else run_afresh
"""Elsewhere there are no such sockets, or forking is not safe."""


def can_fork(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a fork is as good as a new process with this command."""
    same = all(environment.get(name) == os.environ.get(name) for name in READ_AT_THE_START)
    return sys.platform == "linux" and list(command[:3]) == [sys.executable, "-m", "voxcli"] and same


def fork_on_demand(wire: socket.socket) -> None:
    """Fork once per request on the socket. Returns in each fork, with its streams and environment set up."""
    ended, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([wire, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report_ends(running)
        if wire not in ready:
            continue
        _, given, *_ = socket.recv_fds(wire, 32, 5)
        if not given:
            wire.close()
            sys.exit()
        order, status, *streams = given
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads are those of OpenBLAS, which allows forks
            pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            wire.close()
            for end in (ended, waking, status, *running.values()):
                os.close(end)
            become(order, *streams)
            return
        for end in (order, *streams):
            os.close(end)
        os.write(status, b"%d\n" % pid)
        running[pid] = status


def _report_ends(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with os.fdopen(running.pop(pid), "wb") as report, suppress(BrokenPipeError):
            report.write(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(order: int, *streams: int) -> None:
    for standard, given in enumerate(streams):
        os.dup2(given, standard)
        os.close(given)
    with open(order) as file:
        terminal, folder, environment, *sys.argv[1:] = json.load(file)
    if terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    run_summary._PROCESSED_BEFORE, run_summary._IMPORTED = 0.0, time.perf_counter()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Import the package, then fork on demand. The argument is the number of the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends when the socket is closed
    limit_openmp_spinning(os.environ)
    for module in walk_packages(voxcli.__path__, "voxcli."):
        if not module.name.startswith(APART):
            import_module(module.name)
    gc.freeze()  # otherwise the garbage collection of a fork copies all pages
    fork_on_demand(socket.socket(fileno=int(sys.argv[1])))
    try:
        import_module("voxcli.cli.app").main()
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
