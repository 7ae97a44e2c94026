"""Preparation of rows for the engine that speaks them: default voice, seed, and what decides the samples."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from voxcli.batch.lines import Mistake
from voxcli.batch.rows import BatchRow, RowOutput
from voxcli.cli.commands.batch.row_reader import ReadRow
from voxcli.cli.commands.chosen import name_unused, open_chosen_engine
from voxcli.cli.settings.files import voice_library
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RequestError
from voxcli.sinks import ToFile
from voxcli.synthesis.identity import ModelIdentity, VoiceIdentity
from voxcli.synthesis.loading import OnLoading
from voxcli.synthesis.marked_up import find_speakers, read_marked_up
from voxcli.synthesis.narration import draws_voice
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Engine, HasVoices, Parameter, Voice, abilities_of, check_description
from voxcli.synthesis.speech_cache import FIXED_SEED

_DEFAULT_VOICE = "default"


class RowPreparer:
    """Makes rows ready for one engine."""

    def __init__(self, engine: Engine, name: str, model: ModelIdentity) -> None:
        """name: of the model, for messages."""
        self._engine, self._name, self._model = engine, name, model
        self._unused: set[Parameter] = set()

    def ready(self, row: ReadRow) -> BatchRow:
        """Return a row with everything that decides its samples."""
        delivery, abilities = row.delivery, abilities_of(self._engine)
        if draws_voice(self._engine, delivery.voice) and not delivery.voice.style and _has_default(self._engine):
            delivery = replace(delivery, voice=Voice(name=_DEFAULT_VOICE))
        if new := {*delivery.unused(self._engine)} - self._unused:
            self._unused |= new
            name_unused(delivery, self._engine, self._name)
        if delivery.sampling.seed is None and abilities.sampling:
            delivery = replace(delivery, sampling=replace(delivery.sampling, seed=FIXED_SEED))
        voices = read_marked_up(row.text).voices if row.split else ()
        speakers = find_speakers(voices, delivery, self._engine, _find_voice)
        provenance = Provenance.of(
            delivery,
            self._model,
            row.text,
            voice=VoiceIdentity.of(delivery.voice, name=row.voice_name if row.own else None),
            sampled=abilities.sampling,
            reading={**({"markdown": True} if row.markdown else {}), **({} if row.split else {"split": False})},
        )

        provenance = replace(provenance, speakers={name: self._described(one) for name, one in speakers.items()})

        def to_target(path: Path) -> ToFile:
            return ToFile(path, row.format, provenance=lambda: provenance)

        outputs = [RowOutput(row.file, str(row.format), to_target)]
        return BatchRow(
            number=row.number,
            line=row.line,
            text=row.text,
            delivery=delivery,
            key=provenance.key(),
            outputs=tuple(outputs),
            markdown=row.markdown,
            split=row.split,
            speakers=speakers,
            id=row.id,
        )

    def _described(self, speaker: Delivery) -> Provenance:
        voice = VoiceIdentity.of(speaker.voice)
        return Provenance.of(speaker, self._model, None, voice=voice, sampled=abilities_of(self._engine).sampling)


def _find_voice(name: str) -> Voice:
    return voice_library().find(name) or Voice(name=name)


def check_voices(engine: Engine, model: str, voices: Mapping[str, int]) -> Mistake | None:
    """Return what is wrong with the voices of a list, as far as only the engine that is open knows.

    Args:
        model: its name, for messages.
        voices: the line in which each comes first, by name.
    """
    listed = _voices_of(engine)
    for name, line in voices.items():
        own = voice_library().find(name)
        if own is None and listed is not None and name.strip().lower() not in listed:
            return Mistake(f"{model} has no voice {name!r}.", line, "voice")
        try:
            check_description(own or Voice(), abilities_of(engine))
        except RequestError as error:
            return Mistake(str(error), line, "voice")
    return None


def open_batch_engine(
    settings: EngineSettings, jobs: int | None, on_loading: OnLoading, check: Callable[[], None]
) -> Engine:
    """Open the engine that is loaded already, or one in this process with all the slots there is memory for."""
    if not settings.remote and settings.keep_alive > 0:
        from voxcli.cli.commands.warm import find_warm_engine

        if warm := find_warm_engine(settings, on_loading, check):
            return warm
        settings = replace(settings, keep_alive=0.0)
    return open_chosen_engine(settings, slots=jobs, on_loading=on_loading, check=check)


def _has_default(engine: Engine) -> bool:
    return isinstance(engine, HasVoices) and _DEFAULT_VOICE in engine.voice_names


def _voices_of(engine: Engine) -> frozenset[str] | None:
    """Return the names of a server's voices in lower case; None if it does not list them."""
    voices = getattr(engine, "voices", None)
    listed = voices() if voices else None
    return frozenset(voice.name.lower() for voice in listed) if listed else None
