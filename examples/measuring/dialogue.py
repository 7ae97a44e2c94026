"""A conversation with another process: objects of JSON, a line each, and nobody waits for ever."""

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any


class DialogueEnded(Exception):
    """It went away, or took too long. The message is the last it said on standard error."""


class Dialogue:
    """Speaks to the standard input of a process, and listens to its standard output."""

    def __init__(self, command: Sequence[str]) -> None:
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        with ExitStack() as undo:
            self._words = undo.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._words,
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise DialogueEnded(f"{command[0]} does not run: {error}") from error
            undo.enter_context(self._process)
            listener = threading.Thread(target=self._listen)
            listener.start()
            undo.callback(listener.join)  # before the pipe is closed that it reads
            undo.callback(self._process.kill)
            self._undo = undo.pop_all()

    def ask(self, what: Mapping[str, Any], patience: float) -> dict[str, Any]:
        """Say something and return the answer.

        Args:
            patience: seconds.

        Raises:
            DialogueEnded: there is none.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self.ended() from None
        return self.hear(patience)

    def hear(self, patience: float) -> dict[str, Any]:
        """Return what comes next.

        Raises:
            DialogueEnded: nothing comes, or nothing in so many seconds.
        """
        try:
            line = self._answers.get(timeout=max(0.0, patience))
        except queue.Empty:
            self.close()
            raise DialogueEnded(f"it was not done within {patience:.0f} s") from None
        if not line:
            raise self.ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ended(self, about: str = "") -> DialogueEnded:
        """End it, and return the last that it said, or the last about something."""
        self._process.kill()
        self._process.wait()
        self._words.seek(0)
        lines = [line.strip() for line in self._words.read().decode(errors="replace").splitlines()]
        said = [line for line in lines if line and about in line]
        self.close()
        return DialogueEnded(said[-1] if said else "it ended without a word")

    def close(self) -> None:
        self._undo.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")
