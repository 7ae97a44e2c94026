"""The program itself, as a user starts it."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

STRICT = "error,ignore::DeprecationWarning:sounddevice"
"""For PYTHONWARNINGS. sounddevice 0.5.6 sets the shape of arrays, of which NumPy 2.5 disapproves."""

Done: TypeAlias = subprocess.CompletedProcess[bytes]
Run: TypeAlias = Callable[..., Done]
"""Runs `voxcli` with arguments in an empty folder. `stdin` is bytes, `env` adds to the environment."""

Here: TypeAlias = Callable[..., tuple[int, str]]
"""Runs `voxcli` within this process; returns the exit code and what was said."""


def said(done: Done) -> str:
    """Return what stands on standard error, without the frames and line breaks of a terminal."""
    return " ".join(done.stderr.decode().replace("│", " ").split())


@contextmanager
def started(command: Sequence[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program whose words are read, and leave nothing of it behind."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
