"""Runs of `voxcli` that are forked from a process which has imported it, to save the time of the imports.

A fork has its own working folder, environment, arguments, standard streams and exit code, as any process. Only the
environment variables that Python reads at its start are those of the parent, and modules are not taken down at its end.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryFile

import voxcli
from tests.program import PATIENCE_SECONDS, STRICTLY, Done, RunIn, run_afresh
from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

ROOT = Path(__file__).parent.parent

APART = (
    "voxcli.__main__",
    "voxcli.audio.zipenhancer",
    "voxcli.engines.local",
    "voxcli.models.huggingface",
    "voxcli.server",
    "voxcli.voxcpm",
)
"""Not imported beforehand: large and rarely needed modules, optional ones, and huggingface_hub, which reads the
environment while it is imported."""


@contextmanager
def forking(*also: str) -> Iterator[RunIn]:
    """Yield a function that runs `voxcli`, one run at a time. `also` names more modules to import beforehand."""
    if sys.platform != "linux":  # elsewhere there are no such sockets, or forking is not safe
        yield run_afresh
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with closing(ours), theirs:
        ours.settimeout(PATIENCE_SECONDS)
        number, pipe = theirs.fileno(), subprocess.PIPE
        command = [sys.executable, "-m", "tests.forks", str(number), *also]
        with subprocess.Popen(
            command, cwd=ROOT, env=os.environ | STRICTLY, stdin=pipe, stdout=pipe, pass_fds=[number]
        ) as origin:
            theirs.close()
            yield lambda *order: run_in_fork(ours, *order)
            ours.close()
            origin.wait(PATIENCE_SECONDS)


def run_in_fork(
    origin: socket.socket, folder: Path, environment: Mapping[str, str], arguments: Sequence[str], stdin: bytes = b""
) -> Done:
    (its_stdin, keyboard), (screen, its_stdout), (complaints, its_stderr) = os.pipe(), os.pipe(), os.pipe()
    its = [its_stdin, its_stdout, its_stderr]
    with TemporaryFile("w+") as order, ThreadPoolExecutor() as pool:
        json.dump([str(folder), dict(environment), *arguments], order)
        order.seek(0)
        socket.send_fds(origin, [b"fork"], [order.fileno(), *its])
        for end in its:
            os.close(end)
        pool.submit(_write, keyboard, stdin)
        output = [pool.submit(_read, end) for end in (screen, complaints)]
        code = _await_end(origin)
        return subprocess.CompletedProcess(arguments, code, *(data.result() for data in output))


def _write(end: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(end, "wb") as file:
        file.write(data)


def _read(end: int) -> bytes:
    with open(end, "rb") as file:
        return file.read()


def _await_end(origin: socket.socket) -> int:
    pid = int(origin.recv(32))
    try:
        return int(origin.recv(32))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        origin.recv(32)
        raise


def fork_on_demand(wire: socket.socket) -> None:
    """Fork once per request on the socket. Returns in each fork, with its streams and environment set up."""
    while True:
        _, given, *_ = socket.recv_fds(wire, 32, 4)
        if not given:
            sys.exit()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads are those of OpenBLAS, which allows forks
            pid = os.fork()
        if not pid:
            wire.close()
            become(*given)
            return
        for end in given:
            os.close(end)
        wire.send(str(pid).encode())
        wire.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def become(order: int, *streams: int) -> None:
    for standard, given in enumerate(streams):
        os.dup2(given, standard)
        os.close(given)
    with open(order) as file:
        folder, environment, *sys.argv[1:] = json.load(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Import the package, then fork on demand. The argument is the number of the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends when the socket is closed
    limit_openmp_spinning(os.environ)
    found = [module.name for module in walk_packages(voxcli.__path__, "voxcli.")]
    for name in [*(name for name in found if not name.startswith(APART)), *sys.argv[2:]]:
        import_module(name)
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
