"""Text on its way to a server, sent by a thread of its own while it is being written."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from voxcli.errors import VoxError
from voxcli.synthesis.request import LEAST_SYLLABLES
from voxcli.text.marks import Pause
from voxcli.text.parts import Silence, read_parts

_LONG_SILENCE = 20.0
"""Seconds without text, after which the server may give the slot to others. More text begins another utterance."""
_KEEP_ALIVE_SECONDS = 10.0
"""Between two messages while there is no text: servers close idle sockets, vLLM-Omni after 30 seconds."""


class TextSender:
    """Sends one text, and counts what the server has to answer."""

    def __init__(
        self, socket: ClientConnection, config: Mapping[str, Any], *, as_written: bool, commits: bool, markdown: bool
    ) -> None:
        """
        Args:
            config: the settings that were sent.
            as_written: whether the server splits the text itself, and knows Markdown and pauses.
            commits: whether the end of a sentence is `input.commit`, and `input.done` that of the session.
        """
        self.error: Exception | None = None
        """What went wrong with the text."""
        self.ended = False
        """Whether everything was sent."""
        self.owed = 0
        """Ends of texts, which the server answers."""
        self.silences: deque[tuple[int, float]] = deque()
        """Pauses in the text: after which answer, and how many seconds."""
        self.begins: list[int] = []
        """Characters before each utterance."""
        self.sent_at = 0.0
        """When text was sent last."""
        self.samples = self.rate = 0
        """What the server has sent, and its rate in Hz."""
        self._socket, self._config = socket, config
        self._as_written, self._commits, self._markdown = as_written, commits, markdown
        self._stopped = threading.Event()
        self._open = False  # whether the server expects more text of an utterance
        self._unanswered = False  # whether there was text since the last end
        self._characters = 0

    def start(self, text: Iterator[str | Silence], playing: Callable[[], float]) -> None:
        """Send a text.

        playing: returns the seconds of speech that a listener has yet to hear.
        """
        threading.Thread(target=self._send_all, args=(text, playing), name="text to server", daemon=True).start()

    def stop(self, *, cancel: bool) -> None:
        """Send nothing more; the thread ends with the next text or pause.

        cancel: whether what was sent is not to be spoken.
        """
        self._stopped.set()
        if cancel:
            self._send({"type": "input.cancel"})
        self._send({"type": "session.close"})

    def _send_all(self, text: Iterator[str | Silence], playing: Callable[[], float]) -> None:
        """Send the text. On a thread of its own, which ends soon after the socket is closed."""
        try:
            if self._as_written:
                self._send_as_it_is(text, playing)
            else:
                self._send_sentences(text, playing)
            self._end_text("input.done")
        except ConnectionClosed:
            pass  # the thread that receives knows why
        except VoxError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - raised again by the thread that receives
            self.error = error
        self.ended = True

    def _send_as_it_is(self, text: Iterator[str | Silence], playing: Callable[[], float]) -> None:
        kept_alive = 0.0
        for piece in text:
            if self._stopped.is_set():
                return
            if isinstance(piece, str):
                if piece:
                    self._send_text(piece)
                continue
            if piece.seconds >= _LONG_SILENCE:
                self._end_text("input.done")
            left = playing()
            if self.rate and (left or time.monotonic() - kept_alive > _KEEP_ALIVE_SECONDS):
                kept_alive = time.monotonic()
                played = max(0, self.samples - round(left * self.rate))
                self._send({"type": "playback.position", "samples": played})

    def _send_sentences(self, text: Iterator[str | Silence], playing: Callable[[], float]) -> None:
        """Send whole sentences, because these servers cut at every full stop, and know neither Markdown nor pauses."""

        def kept_alive() -> Iterator[str | Silence]:
            at = time.monotonic()
            for piece in text:
                if self._stopped.is_set():
                    raise ConnectionClosed(None, None)
                if isinstance(piece, Silence) and not self._open and time.monotonic() - at > _KEEP_ALIVE_SECONDS:
                    at = time.monotonic()
                    if not self._commits:
                        self._send(self._config)
                yield piece

        flush = "input.commit" if self._commits else "input.done"
        parts = read_parts(kept_alive(), markdown=self._markdown, least_syllables=LEAST_SYLLABLES, playing=playing)
        for part in parts:
            if isinstance(part, Pause):
                self._end_text(flush)
                self.silences.append((self.owed, part.seconds))
            else:
                self._send_text(f"{part} ")
                self._end_text(flush)

    def _send_text(self, text: str) -> None:
        if not self._open:
            self._open = True
            self.begins.append(self._characters)
        self._characters += len(text)
        self._unanswered = True
        self.sent_at = time.perf_counter()
        self._send({"type": "input.text", "text": text})

    def _end_text(self, how: str) -> None:
        """Have everything spoken that was sent. At the end of all, some servers close the socket then."""
        if self._open and (self._unanswered or how == "input.done"):
            self._open, self._unanswered = how == "input.commit", False
            self.owed += 1
            self._send({"type": how})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._socket.send(json.dumps(message))
