"""The program itself, as a user starts it."""

import subprocess
from collections.abc import Callable
from typing import TypeAlias

Done: TypeAlias = subprocess.CompletedProcess[bytes]
Run: TypeAlias = Callable[..., Done]
"""Runs `voxcli` with arguments in an empty folder. `stdin` is bytes, `env` adds to the environment."""


def said(done: Done) -> str:
    """Return what stands on standard error, without the frames and line breaks of a terminal."""
    return " ".join(done.stderr.decode().replace("│", " ").split())
