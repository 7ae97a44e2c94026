"""`voxcli` without the time that loading takes: every run is forked off a process that has loaded it.

A fork is as real as any process: folder, environment, arguments, standard streams, exit code and end are its own. Only
what Python itself takes from the environment is that of the process where it comes from.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
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
"""Loaded by those who need it: what is large and rarely needed, what is optional, and huggingface_hub, which reads the
environment while it is loaded."""


@contextmanager
def forking(*also: str) -> Iterator[RunIn]:
    """Give what runs `voxcli`, one run at a time. `also` are modules that are loaded beforehand too."""
    if sys.platform != "linux":  # others have no such sockets, or cannot be forked safely
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
    """Return in every fork, which by then is what it was ordered to be."""
    while True:
        _, given, *_ = socket.recv_fds(wire, 32, 4)
        if not given:
            sys.exit()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # OpenBLAS has threads, and can be forked
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
    """Load everything, then be whatever is ordered through the socket of the number given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends when nobody can order anything any more
    limit_openmp_spinning(os.environ)
    found = [module.name for module in walk_packages(voxcli.__path__, "voxcli.")]
    for name in [*(name for name in found if not name.startswith(APART)), *sys.argv[2:]]:
        import_module(name)
    gc.freeze()  # otherwise a fork copies everything when it ends
    fork_on_demand(socket.socket(fileno=int(sys.argv[1])))
    import_module("voxcli.cli.app").main()


if __name__ == "__main__":
    main()
