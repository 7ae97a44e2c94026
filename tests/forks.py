"""Runs of `voxcli` that are forked from a process which has imported it, to save the time of the imports.

A fork has its own working folder, environment, arguments, standard streams and exit code, as any process. Only the
environment variables that Python reads at its start are those of the parent, and modules are not taken down at its end.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from tests.program import PATIENCE_SECONDS, STRICTLY, Done, RunIn, Streams, run_afresh

ROOT = Path(__file__).parent.parent

READ_AT_THE_START = ("PYTHONPATH", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONHASHSEED")
_AT_THE_START = {name: os.environ.get(name) for name in READ_AT_THE_START}
"""A run with its own values of these cannot be forked."""

COMMAND_LINE = "voxcli.cli.app"


class Forked:
    """A run in progress, with what `subprocess.Popen` has for it."""

    def __init__(self, status: int, pipes: Sequence[IO[bytes] | None]) -> None:
        """
        Args:
            status: from which the process id can be read, and the exit code at the end.
            pipes: our ends of its standard streams, where they are pipes.
        """
        self._number = status
        # A program that leaves one of these running, as a resident engine, need not close it.
        self._status = os.fdopen(status, "rb", buffering=0, closefd=False)
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
        os.close(self._number)

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
        program: str = COMMAND_LINE,
    ) -> Forked:
        """
        Args:
            streams: as those of `subprocess.Popen`: None for our own, PIPE, or the number of a file.
            terminal: whether standard input is a terminal of its own, whose Ctrl-C it gets.
            program: module with its `main`.
        """
        return order_fork(
            self._connected(),
            {
                "program": program,
                "arguments": list(arguments),
                "folder": str(folder),
                "environment": dict(environment),
                "session": terminal,
                "terminal": terminal,
            },
            streams,
        )

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
                command = [sys.executable, "-m", "tests.forking", str(number)]
                null = subprocess.DEVNULL
                self._process = subprocess.Popen(
                    command, cwd=ROOT, env=os.environ | STRICTLY, stdin=null, stdout=null, pass_fds=[number]
                )
            self._wire = ours
        return self._wire


def order_fork(wire: socket.socket, order: Mapping[str, object], streams: Streams) -> Forked:
    """
    Args:
        order: what `become` reads.
        streams: as those of `subprocess.Popen`: None for our own, PIPE, or the number of a file.
    """
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
    with TemporaryFile("w+") as file:
        json.dump(order, file)
        file.seek(0)
        socket.send_fds(wire, [b"fork"], [file.fileno(), its_status, *numbers])
    for end in (its_status, *opened):
        os.close(end)
    return Forked(status, pipes)


ORIGIN = Origin()
"""One for all tests of a worker, with torch loaded, as that takes longer than most tests."""


run_forked: RunIn = ORIGIN.run_in if sys.platform == "linux" else run_afresh
"""Elsewhere there are no such sockets, or forking is not safe."""


def can_fork(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a fork is as good as a new process with this command."""
    voxcli = list(command[:3]) == [sys.executable, "-m", "voxcli"]
    return sys.platform == "linux" and voxcli and starts_alike(environment)


def starts_alike(environment: Mapping[str, str]) -> bool:
    return all(environment.get(name) == value for name, value in _AT_THE_START.items())
