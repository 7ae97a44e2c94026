"""A program on a terminal of its own, where Ctrl-C is a signal, with reactions to what it prints."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from tests.forks import ORIGIN, can_fork

Reactions: TypeAlias = dict[bytes, bytes | Callable[[], None]]
"""Text on the screen -> what is typed, or called, when it first appears."""

CTRL_C = b"\x03"
TIMEOUT_SECONDS = 20.0


def run_on_terminal(
    command: Sequence[str],
    environment: dict[str, str],
    reactions: Reactions,
    *,
    folder: Path | None = None,
    columns: int = 120,
    fresh: bool = False,
) -> tuple[int, str]:
    """Return the exit code and everything that was shown.

    fresh: in a new process, which has to import everything first.
    """
    screen, keyboard = pty.openpty()
    environment = environment | {"TERM": "xterm", "COLUMNS": str(columns)}
    with (
        ORIGIN.start(folder or Path.cwd(), environment, command[3:], (keyboard,) * 3, terminal=True)
        if not fresh and can_fork(command, environment)
        else subprocess.Popen(
            command,
            env=environment,
            stdin=keyboard,
            stdout=keyboard,
            stderr=keyboard,
            start_new_session=True,
            cwd=folder,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
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


_CONTROL = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\x1b\].*?(?:\x07|\x1b\\)|[\r\n]|[^\x1b\r\n]+", re.DOTALL)


def frames(shown: str) -> Iterator[list[str]]:
    """Yield the lines of the screen after each text and each control sequence that was sent to it.

    It knows what the program sends: text, the ends of lines, the cursor upwards, and a line erased.
    """
    lines, row, column = [""], 0, 0
    for match in _CONTROL.finditer(shown):
        part, (private, count, command) = match[0], match.groups(default="")
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif not part.startswith("\x1b"):
            before = lines[row].ljust(column)
            lines[row] = before[:column] + part + before[column + len(part) :]
            column += len(part)
        elif command == "A":
            row -= int(count or 1)
        elif command == "K":
            assert count == "2", part
            lines[row] = ""
        else:
            assert command == "m" or private or not command, f"unknown: {part!r}"
        yield [line.rstrip() for line in lines]


def last_screen(shown: str) -> list[str]:
    """Return the lines that are on the screen at the end, without those that are empty."""
    *_, last = frames(shown)
    return [line for line in last if line]
