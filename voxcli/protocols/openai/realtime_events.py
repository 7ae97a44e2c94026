"""Events that a server of OpenAI's Realtime API sends, by the names of today or of the beta."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxcli.protocols.dialect import Problem
from voxcli.protocols.openai.errors import error_type
from voxcli.protocols.openai.events import audio_tokens, text_tokens
from voxcli.protocols.openai.realtime import Manner

_BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}


def new_id(kind: str) -> str:
    """Return an id such as "resp_…"."""
    return f"{kind}_{secrets.token_hex(10)}"


def event(kind: str, /, *, beta: bool = False, **fields: Any) -> dict[str, Any]:
    """Return an event with an id of its own."""
    name = _BETA_NAMES.get(kind, kind) if beta else kind
    return {"type": name, "event_id": new_id("event"), **fields}


def error_event(problem: Problem, client_event_id: str | None = None) -> dict[str, Any]:
    """Return the event about a problem with what a client sent."""
    return event("error", error={**_error(problem), "param": problem.field, "event_id": client_event_id})


def _error(problem: Problem) -> dict[str, Any]:
    return {"type": error_type(problem), "code": problem.code, "message": problem.message}


def session_object(session_id: str, model: str, manner: Manner, *, beta: bool) -> dict[str, Any]:
    """Return the settings of a session."""
    common = {"id": session_id, "object": "realtime.session", "model": model, "instructions": manner.instructions}
    if beta:
        return {
            **common,
            "modalities": ["audio", "text"],
            "voice": manner.voice_name,
            "output_audio_format": manner.format.beta_name,
            "speed": manner.speed,
            "turn_detection": None,
            "tools": [],
            "max_response_output_tokens": "inf",
        }
    return {
        **common,
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"turn_detection": None},
            "output": {**_output(manner), "speed": manner.speed},
        },
        "tools": [],
        "max_output_tokens": "inf",
    }


def item_object(item_id: str, role: str, text: str) -> dict[str, Any]:
    """Return a message of a client."""
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return _item(item_id, "completed", role, content)


def _item(item_id: str, status: str, role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


def _output(manner: Manner) -> dict[str, Any]:
    format = manner.format
    return {"format": {"type": format.value, "rate": format.sample_rate}, "voice": manner.voice_name}


@dataclass(frozen=True, slots=True)
class ResponseEvents:
    """The events of one response, which has one item with one part."""

    id: str
    item_id: str
    manner: Manner
    conversation_id: str | None
    """None if it belongs to no conversation."""
    metadata: Mapping[str, str] | None
    beta: bool

    def created(self) -> dict[str, Any]:
        return event("response.created", response=self._response("in_progress"))

    def begun(self) -> list[dict[str, Any]]:
        """Return the events before the first sound."""
        item = _item(self.item_id, "in_progress", "assistant", [])
        return [
            event("response.output_item.added", response_id=self.id, output_index=0, item=item),
            *self._in_conversation("created" if self.beta else "added", item),
            self._part("response.content_part.added", part={"type": "audio", "transcript": ""}),
        ]

    def transcript(self, text: str) -> dict[str, Any]:
        return self._part("response.output_audio_transcript.delta", delta=text)

    def audio(self, data: bytes) -> dict[str, Any]:
        return self._part("response.output_audio.delta", delta=b64encode(data).decode())

    def ended(self, transcript: str, *, completed: bool) -> list[dict[str, Any]]:
        """Return the events after the last sound."""
        item = self._spoken(transcript, completed=completed)
        return [
            self._part("response.output_audio.done"),
            self._part("response.output_audio_transcript.done", transcript=transcript),
            self._part("response.content_part.done", part={"type": "audio", "transcript": transcript}),
            event("response.output_item.done", response_id=self.id, output_index=0, item=item),
            *(() if self.beta else self._in_conversation("done", item)),
        ]

    def done(
        self, status: str, text: str, transcript: str | None, seconds: float, problem: Problem | None = None
    ) -> dict[str, Any]:
        """Return the last event.

        Args:
            text: what was to be spoken.
            transcript: what was; None if nothing has begun.
        """
        output = [] if transcript is None else [self._spoken(transcript, completed=status == "completed")]
        details: dict[str, Any] | None = None
        if status == "cancelled":
            details = {"type": status, "reason": "client_cancelled"}
        elif problem:
            details = {"type": status, "error": _error(problem)}
        given, words, sound = text_tokens(text), text_tokens(transcript or ""), audio_tokens(seconds)
        usage = {
            "total_tokens": given + words + sound,
            "input_tokens": given,
            "output_tokens": words + sound,
            "input_token_details": {"text_tokens": given, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": words, "audio_tokens": sound},
        }
        return event("response.done", response=self._response(status, output, details, usage))

    def _part(self, kind: str, **fields: Any) -> dict[str, Any]:
        place = {"response_id": self.id, "item_id": self.item_id, "output_index": 0, "content_index": 0}
        return event(kind, beta=self.beta, **place, **fields)

    def _in_conversation(self, what: str, item: dict[str, Any]) -> list[dict[str, Any]]:
        return [event(f"conversation.item.{what}", item=item)] if self.conversation_id else []

    def _spoken(self, transcript: str, *, completed: bool) -> dict[str, Any]:
        part = {"type": "audio" if self.beta else "output_audio", "transcript": transcript}
        return _item(self.item_id, "completed" if completed else "incomplete", "assistant", [part])

    def _response(
        self,
        status: str,
        output: list[dict[str, Any]] | None = None,
        details: dict[str, Any] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        manner = self.manner
        how: dict[str, Any] = {"output_modalities": ["audio"], "audio": {"output": _output(manner)}}
        if self.beta:
            how = {
                "modalities": ["audio", "text"],
                "voice": manner.voice_name,
                "output_audio_format": manner.format.beta_name,
            }
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": output or [],
            "conversation_id": self.conversation_id,
            "metadata": self.metadata,
            "usage": usage,
            **how,
        }
