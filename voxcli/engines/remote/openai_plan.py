"""Request variants for a server with OpenAI's speech API: models, voices, formats and ways to stream."""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voxcli.audio.format import AudioFormat
from voxcli.engines.remote.fallbacks import without_inexpressible
from voxcli.errors import NotFound
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.openai.errors import find_message
from voxcli.protocols.openai.messages import to_call
from voxcli.protocols.openai.servers import (
    Catalog,
    Choice,
    choose_model,
    stream_switches,
    voices_to_try,
)
from voxcli.synthesis.request import SynthesisRequest

_SERVER_ERROR = 500
_REFUSALS = (400, 404, 405, 415, 422, 500, 501)
_PREFIXES = ("/v1", "")
_SUBJECTS = (
    ("voice", re.compile(r"\b(?:voices?|speakers?|voice_id)\b|音色")),
    ("response_format", re.compile(r"\bresponse_format\b|\b(?:audio |output )?formats?\b")),
    ("stream", re.compile(r"\bstream(?:_format|ing|ed)?\b")),
    ("model", re.compile(r"\bmodels?\b")),
)
_NO_ROUTE = re.compile(rb"(?i)not found|cannot post|not allowed|no route|unknown (?:url|path|endpoint|route)|^\s*$")
"""In the response of a server that has no such path, as frameworks and proxies word it."""
_MOST_LISTED = 12

MODEL, VOICE = "model", "voice"


class OpenAiPlan:
    """Request variants for one synthesis, tried in order. `call` is the current one.

    Only what the user has not chosen varies.
    """

    def __init__(
        self,
        catalog: Catalog,
        prefix: str,
        request: SynthesisRequest,
        options: ClientOptions,
        list_voices: Callable[[], list[str]],
        accepted: Choice | None = None,
        *,
        no_fallback: bool = False,
    ) -> None:
        """
        Args:
            prefix: of the paths.
            list_voices: asks the server.
            accepted: the choice that the server has accepted before.
            no_fallback: never request less than was asked for.

        Raises:
            RequestError: this server does not support the request; the message names the option.
            NotFound: the server lists models, and none of them is known to speak.
        """
        self.prefix = prefix
        self._catalog, self._request, self._options, self._list_voices = catalog, request, options, list_voices
        self._voices = deque(voices_to_try(catalog))
        self._formats = deque([AudioFormat.MP3, AudioFormat.WAV])
        self._prefixes = deque(other for other in _PREFIXES if other != prefix and prefix in _PREFIXES)
        self._tried_models: set[str | None] = set()
        self._has_listed = False
        self.choice = accepted or self._first_choice()
        self._request, self.left_out = without_inexpressible(
            request, lambda other: to_call(other, options, self.choice), no_fallback=no_fallback
        )
        """The request, without the parameters that are left out of it."""
        self.call = to_call(self._request, options, self.choice)

    def _first_choice(self) -> Choice:
        request, options, catalog = self._request, self._options, self._catalog
        model = options.model or choose_model(catalog, styled=request.voice.style is not None)
        if model is None:
            raise NotFound(
                f"The server lists no model that is known to speak. Its models: {listing(catalog.models)}.",
                on_command_line="Choose one with --model NAME.",
            )
        self._tried_models.add(model)
        format, switches = stream_switches(catalog, options.format, speed=request.speed)
        return Choice(
            model=model,
            voice=self._voices.popleft(),
            format=format,
            switches=switches if options.stream else {},
            takes_clips=catalog.takes_clips,
        )

    def next_after_refusal(self, status: int, body: bytes) -> bool:
        """Switch to the next variant if the server may have refused only this one. Return whether there is one."""
        if status not in _REFUSALS:
            return False
        subject = find_subject(body)
        if status >= _SERVER_ERROR and subject not in (MODEL, VOICE):
            return False
        match subject:
            case "voice":
                return self._request.voice.name is None and self._next_voice()
            case "model":
                return self._options.model is None and self._next_model()
            case "stream" if self.choice.switches:
                return self._switch(replace(self.choice, switches={}, format=self._options.format or AudioFormat.WAV))
            case "response_format" if self._options.format is None:
                return self._next_format()
        if status in (404, 405) and self._prefixes and _NO_ROUTE.search(body[:2000]):
            self.prefix = self._prefixes.popleft()
            return True
        return False

    def next_without_rate(self) -> bool:
        """Switch from samples without a header to WAV, if they were not the user's choice."""
        if self._options.format is not None or self.choice.format is not AudioFormat.PCM:
            return False
        return self._switch(replace(self.choice, switches={}, format=AudioFormat.WAV))

    def next_after_cut(self) -> bool:
        """There is no other variant for a connection that closed before any audio."""
        return False

    def _next_voice(self) -> bool:
        if not self._voices and not self._has_listed:
            self._has_listed = True
            self._voices.extend(self._list_voices()[:1])
        while self._voices:
            voice = self._voices.popleft()
            if voice != self.choice.voice:
                return self._switch(replace(self.choice, voice=voice))
        return False

    def _next_model(self) -> bool:
        for model in (*self._catalog.models[: self._catalog.speaking], None):
            if model not in self._tried_models:
                self._tried_models.add(model)
                return self._switch(replace(self.choice, model=model))
        return False

    def _next_format(self) -> bool:
        while self._formats:
            format = self._formats.popleft()
            if format is not self.choice.format:
                return self._switch(replace(self.choice, format=format, switches={}))
        return False

    def _switch(self, choice: Choice) -> bool:
        self.choice = choice
        self.call = to_call(self._request, self._options, choice)
        return True


def listing(names: "tuple[str, ...] | list[str]") -> str:
    """Return names for a message; only the first of many."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (", ".join(names[:_MOST_LISTED]) + more) or "none"


def find_subject(body: bytes) -> str | None:
    """Return what an error response is about, one of `_SUBJECTS`; None if it is unclear."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if field := _find_field(document):
        return next((name for name, words in _SUBJECTS if words.search(field)), None)
    text = (find_message(document) or body[:2000].decode(errors="replace")).lower()
    return next((name for name, words in _SUBJECTS if words.search(text)), None)


def _find_field(document: Any) -> str | None:
    """Return the field that an error names: OpenAI's `param`, or the last part of FastAPI's `loc`."""
    if not isinstance(document, Mapping):
        return None
    error = document.get("error")
    if isinstance(error, Mapping) and isinstance(param := error.get("param"), str) and param:
        return param
    detail = document.get("detail")
    places = [item.get("loc") for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []
    return next((str(place[-1]) for place in places if isinstance(place, list) and place), None)
