"""Preparation of rows for the engine that speaks them: default voice, seed, and what decides the samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.batch.lines import Mistake
from voxcli.batch.names import with_suffix
from voxcli.batch.rows import BatchRow, RowOutput
from voxcli.cli.commands.batch.row_reader import ReadRow
from voxcli.cli.commands.chosen import engine_name, name_unused, open_chosen_engine
from voxcli.cli.commands.provenance.of_run import RunProvenance
from voxcli.cli.commands.speak_job import SpeakJob
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.settings.files import voice_library
from voxcli.cli.text_source import Whole
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RequestError
from voxcli.sinks import ToFile
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.loading import OnLoading
from voxcli.synthesis.marked_up import find_speakers, read_marked_up
from voxcli.synthesis.narration import draws_voice
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Engine, HasVoices, Parameter, Voice, abilities_of, check_description
from voxcli.synthesis.speech_cache import FIXED_SEED

if TYPE_CHECKING:
    from voxcli.text.lexicon import Lexicon

_DEFAULT_VOICE = "default"


class RowPreparer:
    """Makes rows ready for one engine."""

    def __init__(
        self,
        engine: Engine,
        settings: EngineSettings,
        model: ModelIdentity,
        *,
        metadata: MetadataOptions,
        also: Sequence[SubtitleFormat] = (),
        lexicon: "Lexicon | None" = None,
    ) -> None:
        """
        Args:
            settings: of the engine.
            also: further files of each row.
        """
        self._engine, self._settings, self._model = engine, settings, model
        self._name = engine_name(settings)
        self._metadata, self._also, self._lexicon = metadata, also, lexicon
        self._unused: set[Parameter] = set()
        self._warned: set[str] = set()

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
        job = SpeakJob(
            text=Whole(row.text),
            speakers=speakers,
            script=(lambda pieces, styles: iter(read_marked_up(row.text).pieces)) if voices else None,
            markdown=row.markdown,
            split=row.split,
            engine=self._settings,
            delivery=delivery,
            targets=[],
            finds_ssml=True,
            lexicon=self._lexicon,
            warned=self._warned,
        )
        made = RunProvenance(job.text, voice_name=row.voice_name, keep_text=self._metadata.keep_text)
        made.begin(self._engine, self._name, delivery, speakers, job.reading)
        # What a server tells after its first answer does not make another row of it.
        provenance = replace(made(), model=self._model)
        return BatchRow(
            number=row.number,
            line=row.line,
            parts=lambda abilities: job.parts(lambda: None, abilities, lambda: 0.0),
            delivery=delivery,
            key=provenance.key(),
            outputs=self._outputs(row, provenance),
            speakers=speakers,
            estimated_seconds=row.estimated_seconds,
            id=row.id,
        )

    def _outputs(self, row: ReadRow, provenance: Provenance) -> tuple[RowOutput, ...]:
        bare, keeps = not self._metadata.metadata, self._metadata.keep_text

        def output(format: AudioFormat | SubtitleFormat, file: str) -> RowOutput:
            def to_target(path: Path) -> ToFile:
                return ToFile(path, format, overwrite=True, provenance=lambda: provenance, only_mark=bare)

            kind = [str(format), *(["bare"] if bare else []), *(["text"] if keeps else [])]
            return RowOutput(file, " ".join(kind), to_target)

        further = (output(format, with_suffix(row.file, f".{format}")) for format in self._also)
        return (output(row.format, row.file), *further)


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
