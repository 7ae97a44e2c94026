"""Stand-ins of other servers that take a text while it is being written.

Built from what is known of vLLM-Omni 0.30 and SGLang-Omni 0.1.9: their messages, and where they differ.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PATH = "/v1/audio/speech/stream"
BYTES = 2401
"""Of one sentence, in two messages: the cut is in the middle of a sample."""


class Other:
    """A server of one socket protocol, which notes what it gets."""

    rate = 24000

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.url = ""

    def speak(self, socket: ServerConnection) -> None:
        """Serve one client."""
        raise NotImplementedError

    def texts(self) -> list[str]:
        return [message["text"] for message in self.got if message["type"] == "input.text"]


class VllmOmni(Other):
    """Keeps the socket after `input.done`, answers no settings, and says 24000 Hz whatever its model has."""

    owner = "vllm"

    def speak(self, socket: ServerConnection) -> None:
        buffered, utterance = "", 0
        for data in socket:
            message = json.loads(data)
            self.got.append(message)
            match message["type"]:
                case "input.text":
                    buffered += message["text"]
                case "input.done":
                    for index, text in enumerate([buffered.strip()] if buffered.strip() else []):
                        where = {"utterance_index": utterance, "sentence_index": index}
                        start = {"type": "audio.start", "sentence_text": text, "format": "pcm", "sample_rate": 24000}
                        socket.send(json.dumps({**start, **where}))
                        socket.send(bytes(BYTES))
                        socket.send(bytes(2 * self.rate // 10 - BYTES))
                        done = {"type": "audio.done", "total_bytes": 4800, "error": False}
                        socket.send(json.dumps({**done, **where}))
                    done = {"type": "session.done", "utterance_index": utterance, "total_sentences": 1}
                    socket.send(json.dumps(done))
                    buffered, utterance = "", utterance + 1
                case "session.close":
                    return


class SglangOmni(Other):
    """Answers the settings, speaks each sentence as it is complete, and closes the socket after `input.done`."""

    owner = "sglang"
    rate = 48000

    def speak(self, socket: ServerConnection) -> None:
        buffered, count, segments = "", 0, 0
        for data in socket:
            message = json.loads(data)
            self.got.append(message)
            kind = message["type"]
            if kind == "session.config":
                socket.send(json.dumps({"type": "session.configured", "session_id": "s", "response_format": "pcm"}))
            elif kind == "input.text":
                buffered += message["text"]
            elif kind in ("input.commit", "input.done"):
                for text in filter(str.strip, re.split(r"(?<=[.!?。！？])", buffered)):
                    number = f"speech_ws_0-{count}"
                    start = {"type": "audio.start", "id": number, "sentence_text": text, "sample_rate": self.rate}
                    socket.send(json.dumps(start))
                    socket.send(bytes(2 * self.rate // 10))
                    socket.send(json.dumps({"type": "audio.done", "id": number, "total_bytes": 9600}))
                    count += 1
                buffered = ""
                if kind == "input.done":
                    socket.send(json.dumps({"type": "session.done", "session_id": "s", "total_sentences": count}))
                    return
                segments += 1
                committed = {"segment_index": segments - 1, "segment_sentences": 1, "total_sentences": count}
                socket.send(json.dumps({"type": "input.committed", "session_id": "s", **committed}))


@contextmanager
def standing_in(other: Other) -> Iterator[Other]:
    """Serve until the block ends."""

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == PATH:
            return None
        if request.path == "/v1/models":
            listed = {"data": [{"id": "omni-tts", "owned_by": other.owner}]}  # type: ignore[attr-defined]
            response = connection.respond(HTTPStatus.OK, json.dumps(listed))
            response.headers["content-type"] = "application/json"
            return response
        return connection.respond(HTTPStatus.NOT_FOUND, "")

    def speak(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            other.speak(socket)

    server: Server
    with serve(speak, "127.0.0.1", 0, process_request=answer) as server:
        other.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield other
        finally:
            server.shutdown()
            thread.join()
