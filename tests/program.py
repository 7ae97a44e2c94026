"""Runs of the program as a user starts it."""

import os
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

WITHOUT_VOICES = str(Path(__file__).with_name("without_voices"))
"""For PYTHONPATH: hides the model of Kokoro, which takes a second to load, so that eSpeak NG is the default."""
os.environ["PYTHONPATH"] = WITHOUT_VOICES

_SET_BY_USERS = ("VOXCLI_", "PULSE_", "HF_", "COLUMNS")

Done: TypeAlias = subprocess.CompletedProcess[bytes]
Run: TypeAlias = Callable[..., Done]
"""Runs `voxcli` with arguments in an empty folder. `stdin` is bytes, `env` adds to the environment."""

RunIn: TypeAlias = Callable[[Path, Mapping[str, str], Sequence[str], bytes], Done]
"""Runs `voxcli` in a folder with an environment, arguments and what is on its standard input."""

Streams: TypeAlias = tuple[int | None, int | None, int | None]
"""Standard input, output and error of a program: None for our own, PIPE, or the number of a file."""

Here: TypeAlias = Callable[..., tuple[int, str]]
"""Runs `voxcli` within this process; returns the exit code and its output."""


def user_environment(home: Path, keep_alive: str = "0") -> dict[str, str]:
    """Return the environment of a user with no settings, no voices, no models and no loudspeaker.

    keep_alive: how long engines stay loaded after a run.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_USERS)}
    own = {
        "VOXCLI_HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "VOXCLI_KEEP_ALIVE": keep_alive,
        "VOXCLI_KERNELS": os.environ["VOXCLI_KERNELS"],
    }
    return kept | own | STRICTLY


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
def started(
    command: Sequence[str],
    environment: Mapping[str, str],
    streams: Streams = (None, None, subprocess.PIPE),
    *,
    folder: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program with standard error piped, and kill it at the end.

    streams: as those of `subprocess.Popen`.
    """
    from tests.forks import ORIGIN, can_fork  # which runs programs by what is in this module

    stdin, stdout, stderr = streams
    with (
        ORIGIN.start(folder or Path.cwd(), environment, command[3:], streams)
        if can_fork(command, environment)
        else subprocess.Popen(command, env=environment, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr)
    ) as process:
        try:
            yield process
        finally:
            process.kill()
