"""Choice of a voice: of the library, the server's default, or the engine's own."""

from collections.abc import Callable
from dataclasses import replace

from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.synthesis.request import (
    Abilities,
    Engine,
    HasVoices,
    SynthesisRequest,
    Voice,
    abilities_of,
    can_speak_with,
    check_description,
)
from voxcli.voices import VoiceLibrary
from voxcli.voices.named import DEFAULT


class VoiceChoice:
    """The voices that a server can speak with."""

    def __init__(
        self, default: str | None, library: VoiceLibrary, models: ModelLifecycle, knows_voice: Callable[[str], bool]
    ) -> None:
        """
        Args:
            default: name of the voice that was chosen for this server, if any.
            knows_voice: whether the engine has a voice of that name.
        """
        self._of_server = default
        self._library = library
        self._models = models
        self._knows_voice = knows_voice

    def find(self, name: str) -> Voice | None:
        """Find a voice: of the library, the server's default, or of the engine.

        Reads files: from the event loop, call it on `Service.threads`.
        """
        if own := self._library.find(name):
            return own
        if self._of_server and name.lower() == DEFAULT:
            return self.default
        return Voice(name=name) if self._has_voice(name) else None

    @property
    def default(self) -> Voice | None:
        """The voice of requests that name none; None if the engine chooses. Reads files."""
        if name := self._of_server:
            return self._library.find(name) or Voice(name=name)
        return Voice(name=DEFAULT) if self._has_voice(DEFAULT) else None

    def chosen(self, request: SynthesisRequest, engine: Engine) -> SynthesisRequest:
        """Set the default voice if a request names none. Reads files.

        A seed, or a description that the engine follows, asks for a voice that is drawn. Then only a voice that was
        chosen for this server takes its place.
        """
        voice = request.voice
        if voice.name or voice.reference or voice.prompt:
            return request
        drawn = request.sampling.seed is not None or (voice.style and abilities_of(engine).styles)
        if (default := self.default) is None or (drawn and not self._of_server):
            return request
        return replace(request, voice=replace(default, style=voice.style or default.style))

    def for_everybody(self, request: SynthesisRequest, engine: Engine, *, described: bool) -> SynthesisRequest:
        """Return a request of somebody else than this user: with the server's voice, if it names none. Reads files.

        described: whether the client itself describes the voice, which an engine may be unable to follow.

        Raises:
            RequestError: its voice is kept as a description that the engine cannot follow.
        """
        request = self.chosen(request, engine)
        if not described:
            check_description(request.voice, abilities_of(engine))
        return request

    def _has_voice(self, name: str) -> bool:
        engine = self._models.engine
        return self._knows_voice(name) or (isinstance(engine, HasVoices) and name.lower() in engine.voice_names)

    def names(self) -> list[str]:
        """Return the voices of the library that the engine can speak with, and then its own. Reads files."""
        engine = self._models.engine
        abilities = abilities_of(engine) if engine else Abilities()
        described = ((name, self._library.describe(name)) for name in self._library.names())
        kept = [name for name, found in described if found and can_speak_with(found[0], abilities)]
        own: list[str] = sorted(engine.voice_names) if isinstance(engine, HasVoices) else []
        return [*kept, *(name for name in own if name not in kept)]
