"""A program on a terminal of its own, where Ctrl-C is a signal, and somebody who reads along and reacts."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

Reactions: TypeAlias = dict[bytes, bytes | Callable[[], None]]
"""What is typed, or done, when the program first shows something."""

CTRL_C = b"\x03"
PATIENCE_SECONDS = 20.0


def run_on_terminal(command: Sequence[str], environment: dict[str, str], reactions: Reactions) -> tuple[int, str]:
    """Return the exit code and all that was shown."""
    screen, keyboard = pty.openpty()
    with subprocess.Popen(
        command,
        env=environment | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(keyboard)
        try:
            shown = _follow(screen, dict(reactions))
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            os.close(screen)
    return process.returncode, shown


def _follow(screen: int, reactions: Reactions) -> str:
    shown, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    while select.select([screen], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            data = os.read(screen, 65536)
        except OSError:  # Linux: nobody is on the terminal any more
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
    raise AssertionError(f"waited in vain for {list(reactions)} or the end; shown: {shown!r}")
