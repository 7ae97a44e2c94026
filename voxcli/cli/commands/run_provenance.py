"""Provenance of what `voxcli say` and `clone` write into files, as it becomes known."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.text_source import Source, known_text
from voxcli.sinks import Target, ToFile, ToSpeaker

if TYPE_CHECKING:
    from voxcli.cli.commands.speak_job import SpeakJob
    from voxcli.synthesis.identity import VoiceIdentity
    from voxcli.synthesis.pipeline import Delivery, Speakers
    from voxcli.synthesis.provenance import Provenance
    from voxcli.synthesis.request import Engine, Voice
    from voxcli.text.parts import Silence

_ROOM = 2**14
"""Bytes for a text that is to be kept, and is still arriving when the file begins."""


class NotedText:
    """A text that is noted while it is being read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pieces: list[str] = []
        self._complete = False

    @property
    def text(self) -> str | None:
        """The text; None while it is still arriving."""
        return "".join(self._pieces) if self._complete else None

    def pieces(self, before_waiting: Callable[[], None], *, markdown: bool = False) -> "Iterator[str | Silence]":
        self._pieces, self._complete = [], False
        for piece in self._source.pieces(before_waiting, markdown=markdown):
            if isinstance(piece, str):
                self._pieces.append(piece)
            yield piece
        self._complete = True


class RunProvenance:
    """What makes the sound of one run. Called when there is sound, and at the end."""

    def __init__(self, text: Source, *, voice_name: str | None, keep_text: bool) -> None:
        """voice_name: as the user gave it."""
        self._text = text
        self._voice_name = voice_name
        self._keep_text = keep_text
        self._described: Callable[[], Provenance] | None = None

    def begin(self, job: "SpeakJob", engine: "Engine", model: str, delivery: "Delivery", speakers: "Speakers") -> None:
        """Take what is known before the first sound.

        Args:
            model: its name, or its folder.
            delivery: with the seed that was drawn.
        """
        self._described = lambda: self._describe(job, engine, model, delivery, speakers)

    def __call__(self) -> "Provenance":
        assert self._described, "there is no sound before the engine is open"
        made = self._described()
        text = self._text.text if isinstance(self._text, NotedText) else known_text(self._text)
        return made if text is None else made.with_text(text, keep=self._keep_text)

    def _describe(
        self, job: "SpeakJob", engine: "Engine", model: str, delivery: "Delivery", speakers: "Speakers"
    ) -> "Provenance":
        from voxcli.synthesis.identity import identity_of
        from voxcli.synthesis.provenance import Provenance
        from voxcli.synthesis.request import abilities_of
        from voxcli.voices.description import note_of_model

        identity = identity_of(engine, note_of_model(model))
        sampled, idle = abilities_of(engine).sampling, {parameter.value for parameter in delivery.unused(engine)}

        def of(delivery: "Delivery", name: str | None, reading: dict[str, Any]) -> Provenance:
            voice = self._voice(delivery.voice, name, styled="style" not in idle)
            made = Provenance.of(delivery, identity, None, voice=voice, sampled=sampled, reading=reading)
            return replace(made, settings={key: value for key, value in made.settings.items() if key not in idle})

        whole = of(delivery, self._voice_name, _reading(job, arriving=isinstance(self._text, NotedText)))
        return replace(whole, speakers={name: of(one, None, {}) for name, one in speakers.items()})

    def _voice(self, voice: "Voice", name: str | None, *, styled: bool) -> "VoiceIdentity":
        """Return the identity of a voice, with its name and its consent if it is one of the user's own."""
        from voxcli.cli.settings.files import voice_library
        from voxcli.synthesis.identity import VoiceIdentity

        voice = voice if styled else replace(voice, style=None)
        if not name or not (voice.reference or voice.prompt or voice.style):
            return VoiceIdentity.of(voice)
        library = voice_library()
        found = library.find_spelling(name)
        notes = library.describe(found) if found else None
        return VoiceIdentity.of(voice, found, notes[1].consent if notes else None)


def with_provenance(job: "SpeakJob", options: MetadataOptions, voice_name: str | None = None) -> "SpeakJob":
    """Return a job whose files say what made them.

    voice_name: as the user gave it.
    """
    arriving = known_text(job.text) is None
    text = NotedText(job.text) if arriving else job.text
    provenance = RunProvenance(text, voice_name=voice_name, keep_text=options.keep_text)
    room = _ROOM if arriving and options.keep_text else 0

    def described(target: Target) -> Target:
        match target:
            case ToSpeaker():
                return target
            case ToFile():
                return replace(target, provenance=provenance, only_mark=not options.metadata, room=room)
        return replace(target, provenance=provenance, only_mark=not options.metadata)

    return replace(job, text=text, targets=[described(target) for target in job.targets], provenance=provenance)


def _reading(job: "SpeakJob", *, arriving: bool) -> dict[str, Any]:
    """Return how the text is read, where that differs from the usual."""
    return {
        **({"markdown": True} if job.markdown else {}),
        **({} if job.split else {"split": False}),
        **({"steps": "auto"} if job.auto_steps else {}),
        **({"arriving": True} if arriving else {}),
        **({"script": True} if job.script else {}),
    }
