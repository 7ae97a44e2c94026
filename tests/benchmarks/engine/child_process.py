"""A child process that exchanges JSON lines with us, with a timeout on every read."""

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any


class ChildFailed(Exception):
    """It exited or timed out. The message is the last line of its standard error."""


class ChildProcess:
    """Writes JSON lines to the standard input of a process and reads them from its standard output."""

    def __init__(self, command: Sequence[str]) -> None:
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        with ExitStack() as undo:
            self._stderr = undo.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise ChildFailed(f"{command[0]} cannot be started: {error}") from error
            undo.enter_context(self._process)
            reader = threading.Thread(target=self._read)
            reader.start()
            undo.callback(reader.join)  # before its pipe is closed
            undo.callback(self._process.kill)
            self._undo = undo.pop_all()

    def ask(self, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send a message and return the answer.

        Args:
            timeout: seconds.

        Raises:
            ChildFailed: no answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self.failed() from None
        return self.receive(timeout)

    def receive(self, timeout: float) -> dict[str, Any]:
        """Return the next message.

        Raises:
            ChildFailed: the process ended, or sent nothing for `timeout` seconds.
        """
        try:
            line = self._answers.get(timeout=max(0.0, timeout))
        except queue.Empty:
            self.close()
            raise ChildFailed(f"no answer within {timeout:.0f} s") from None
        if not line:
            raise self.failed()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def failed(self, about: str = "") -> ChildFailed:
        """Kill it, and return its last line on standard error, or the last line that contains `about`."""
        self._process.kill()
        self._process.wait()
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines()]
        found = [line for line in lines if line and about in line]
        self.close()
        return ChildFailed(found[-1] if found else "it exited without a message")

    def close(self) -> None:
        self._undo.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")
