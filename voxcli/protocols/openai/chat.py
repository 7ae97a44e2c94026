"""Chat completions of OpenAI's API, streamed by a language model: the call, and the text in its answer.

Source: platform.openai.com/docs/api-reference/chat-streaming. Other servers' additions are understood too: reasoning
beside the text, text in parts, errors inside the stream, and whole answers where no stream was to be had.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.fields import Text
from voxcli.protocols.openai.errors import find_message
from voxcli.protocols.openai.events import END, EventFailure, ServerSentEvents

MODELS = HttpCall(method="GET", path="/models")
_PATH = "/chat/completions"
_MOST_EVENT_BYTES = 1 << 20
_MOST_DOCUMENT_BYTES = 4 << 20


class ChatMessage(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "user", "assistant"]
    content: Text


class _Piece(BaseModel):
    """A part of a message. Its `reasoning_content` and `reasoning` are not read: they are not for the listener."""

    content: str | list[Any] | None = None
    refusal: str | None = None
    """Takes the place of the content, where a model declines to answer."""

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            parts = (part.get("text") for part in self.content if isinstance(part, dict) and part.get("type") == "text")
            return "".join(part for part in parts if isinstance(part, str))
        return self.content or self.refusal or ""


class _Choice(BaseModel):
    delta: _Piece | None = None
    message: _Piece | None = None
    """In place of `delta`, in an answer that is not streamed."""
    index: int | None = None
    finish_reason: str | None = None


class _Completion(BaseModel):
    """One event of a stream, or a whole answer. The last event may have no choice, but the number of tokens."""

    choices: list[_Choice] | None
    error: Any = None


def completion_call(model: str | None, messages: Sequence[ChatMessage]) -> HttpCall:
    """Build the call that streams a model's answer.

    Args:
        model: None leaves the choice to the server; not every server has one.
    """
    fields: dict[str, Any] = {"messages": [message.model_dump() for message in messages], "stream": True}
    return HttpCall(method="POST", path=_PATH, json=fields if model is None else {"model": model, **fields})


def read_models(document: Any) -> list[str]:
    """Return the names in an answer to `MODELS`; none if it is something else."""
    entries = document.get("data") if isinstance(document, dict) else None
    names = (entry.get("id") for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()
    return [name for name in names if isinstance(name, str) and name]


class CompletionReader:
    """Reads the body of an answer in pieces, cut anywhere, and returns the text of the model."""

    def __init__(self, *, streamed: bool) -> None:
        """streamed: whether the body is a stream of events, and not one JSON document."""
        self.finish_reason: str | None = None
        """Why the model has stopped, such as "stop" or "length"; None while it writes."""
        self.ended = False
        """Whether the end of the answer has arrived. A body that ends before is truncated."""
        self.has_events = False
        self._streamed = streamed
        self._events = ServerSentEvents(_MOST_EVENT_BYTES)
        self._document = bytearray()

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the text in complete events; an empty one for an event without text, such as one with reasoning.

        Raises:
            EventFailure: an event reports an error, or cannot be read.
        """
        if self._streamed:
            for _, value in self._events.feed(data):
                yield self._read_event(value)
            return
        self._document += data
        if len(self._document) > _MOST_DOCUMENT_BYTES:
            raise EventFailure("The answer does not end.")

    def finish(self) -> str:
        """Return the rest of the text, because the body has ended.

        Raises:
            EventFailure: the body reports an error, or cannot be read.
        """
        if self._streamed:
            # The last event may lack the empty line after it.
            return "".join(self._read_event(value) for _, value in self._events.feed(b"\n\n"))
        return self._read(bytes(self._document)) if self._document.strip() else ""

    def _read_event(self, data: bytes) -> str:
        self.has_events = True
        if data.strip() == END:
            self.ended = True
            return ""
        return self._read(data)

    def _read(self, data: bytes) -> str:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise EventFailure("It sent something that is not JSON.") from None
        if isinstance(value, dict) and value.get("error"):
            raise EventFailure(find_message(value) or "It reported an error without a message.")
        try:
            completion = _Completion.model_validate(value)
        except ValidationError:
            raise EventFailure(find_message(value) or "It sent something that is not a chat completion.") from None
        text = ""
        for choice in completion.choices or ():
            if choice.index:
                continue  # another answer to the same question
            piece = choice.delta or choice.message
            text += piece.text if piece else ""
            if choice.finish_reason:
                self.finish_reason, self.ended = choice.finish_reason, True
        return text.encode(errors="replace").decode()  # JSON can hold half of a character
