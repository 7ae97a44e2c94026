"""A program on a terminal of its own, where Ctrl-C is a signal, with reactions to what it prints."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

Reactions: TypeAlias = dict[bytes, bytes | Callable[[], None]]
"""Text on the screen -> what is typed, or called, when it first appears."""

CTRL_C = b"\x03"
TIMEOUT_SECONDS = 20.0


def run_on_terminal(
    command: Sequence[str], environment: dict[str, str], reactions: Reactions, *, folder: Path | None = None
) -> tuple[int, str]:
    """Return the exit code and everything that was shown."""
    screen, keyboard = pty.openpty()
    with subprocess.Popen(
        command,
        env=environment | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        cwd=folder,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(keyboard)
        try:
            shown = _follow(screen, dict(reactions))
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()
            os.close(screen)
    return process.returncode, shown


def _follow(screen: int, reactions: Reactions) -> str:
    shown, deadline = b"", time.monotonic() + TIMEOUT_SECONDS
    while select.select([screen], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            data = os.read(screen, 65536)
        except OSError:  # Linux: no process has the terminal open
            data = b""
        if not data:
            assert not reactions, f"never shown: {list(reactions)}, but {shown!r}"
            return shown.decode()
        shown += data
        for cue in [cue for cue in reactions if cue in shown]:
            reaction = reactions.pop(cue)
            if isinstance(reaction, bytes):
                os.write(screen, reaction)
            else:
                reaction()
    raise AssertionError(f"timed out waiting for {list(reactions)} or the end; shown: {shown!r}")
