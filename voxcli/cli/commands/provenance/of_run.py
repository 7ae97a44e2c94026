"""Provenance of what `voxcli say` and `clone` write into files, as it becomes known."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.text_source import Source, known_text
from voxcli.sinks import Target, ToFile, ToSpeaker
from voxcli.synthesis.provenance import NotedText, Provenance

if TYPE_CHECKING:
    from voxcli.synthesis.identity import VoiceIdentity
    from voxcli.synthesis.pipeline import Delivery, Speakers
    from voxcli.synthesis.request import Engine, Voice
    from voxcli.text.parts import Silence

_ROOM = 2**14
"""Bytes for a text that is to be kept, and is still arriving when the file begins."""


class ArrivingSource:
    """A source whose text is noted while it is being read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._noted = NotedText()

    @property
    def text(self) -> str | None:
        """The text; None while it is still arriving."""
        return self._noted.text

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> "Iterator[str | Silence]":
        return self._noted.noted(self._source.pieces(before_waiting, markdown=markdown))


class RunProvenance:
    """What makes the sound of one run. Called when there is sound, and at the end."""

    def __init__(self, text: Source, *, voice_name: str | None, keep_text: bool) -> None:
        """voice_name: as the user gave it."""
        self.text: Source = ArrivingSource(text) if known_text(text) is None else text
        """To be read in its place."""
        self._voice_name = voice_name
        self._keep_text = keep_text
        self._described: Callable[[], Provenance] | None = None

    @property
    def room(self) -> int:
        """Bytes to keep free in a file for a text that is still arriving."""
        return _ROOM if self._keep_text and isinstance(self.text, ArrivingSource) else 0

    def begin(
        self,
        engine: "Engine",
        model: str,
        delivery: "Delivery",
        speakers: "Speakers",
        reading: Mapping[str, Any],
    ) -> None:
        """Take what is known before the first sound.

        Args:
            model: its name, or its folder.
            delivery: with the seed that was drawn.
            reading: how the text is read, where that differs from the usual.
        """
        self._described = lambda: self._describe(engine, model, delivery, speakers, reading)

    def __call__(self) -> "Provenance":
        assert self._described, "there is no sound before the engine is open"
        made = self._described()
        text = self.text.text if isinstance(self.text, ArrivingSource) else known_text(self.text)
        return made if text is None else made.with_text(text, keep=self._keep_text)

    def _describe(
        self,
        engine: "Engine",
        model: str,
        delivery: "Delivery",
        speakers: "Speakers",
        reading: Mapping[str, Any],
    ) -> "Provenance":
        from voxcli.voices.description import note_of_model

        def of(delivery: "Delivery", name: str | None, reading: Mapping[str, Any]) -> Provenance:
            voice = _identity_of_voice(delivery.voice, name)
            return Provenance.of_engine(engine, note_of_model(model), delivery, None, voice=voice, reading=reading)

        arriving = {"arriving": True} if isinstance(self.text, ArrivingSource) else {}
        whole = of(delivery, self._voice_name, {**reading, **arriving})
        return replace(whole, speakers={name: of(one, None, {}) for name, one in speakers.items()})


def _identity_of_voice(voice: "Voice", name: str | None) -> "VoiceIdentity":
    """Return the identity of a voice, with its name and its consent if it is one of the user's own."""
    from voxcli.cli.settings.files import voice_library
    from voxcli.synthesis.identity import VoiceIdentity

    if not name or not (voice.reference or voice.prompt or voice.style):
        return VoiceIdentity.of(voice)
    library = voice_library()
    found = library.find_spelling(name)
    notes = library.describe(found) if found else None
    return VoiceIdentity.of(voice, found, notes[1].consent if notes else None)


def describe_targets(targets: list[Target], made: RunProvenance, options: MetadataOptions) -> list[Target]:
    """Return targets whose files say what made them."""

    def described(target: Target) -> Target:
        match target:
            case ToSpeaker():
                return target
            case ToFile():
                return replace(target, provenance=made, only_mark=not options.metadata, room=made.room)
        return replace(target, provenance=made, only_mark=not options.metadata)

    return [described(target) for target in targets]
