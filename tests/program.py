"""Runs of the program as a user starts it."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

STRICT = "error,ignore::DeprecationWarning:sounddevice"
"""For PYTHONWARNINGS. sounddevice 0.5.6 assigns the shape of arrays, which NumPy 2.5 deprecates."""

STRICTLY = {"PYTHONWARNINGS": STRICT, "PYTHONUTF8": "1"}
"""For the environment."""

PATIENCE_SECONDS = 60.0

Done: TypeAlias = subprocess.CompletedProcess[bytes]
Run: TypeAlias = Callable[..., Done]
"""Runs `voxcli` with arguments in an empty folder. `stdin` is bytes, `env` adds to the environment."""

RunIn: TypeAlias = Callable[[Path, Mapping[str, str], Sequence[str], bytes], Done]
"""Runs `voxcli` in a folder with an environment, arguments and what is on its standard input."""

Here: TypeAlias = Callable[..., tuple[int, str]]
"""Runs `voxcli` within this process; returns the exit code and its output."""


def run_afresh(
    folder: Path,
    environment: Mapping[str, str],
    arguments: Sequence[str],
    stdin: bytes = b"",
    *,
    timeout: float | None = PATIENCE_SECONDS,
) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "voxcli", *arguments],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env=environment,
        timeout=timeout,
        check=False,
    )


def said(done: Done) -> str:
    """Return the text on standard error, without frames and line breaks."""
    return " ".join(done.stderr.decode().replace("│", " ").split())


@contextmanager
def started(command: Sequence[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program with standard error piped, and kill it at the end."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
