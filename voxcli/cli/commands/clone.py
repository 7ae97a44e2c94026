"""`voxcli clone`: save the voice of a recording, and optionally speak with it."""

import sys
from contextlib import nullcontext
from dataclasses import fields
from json import dumps
from pathlib import Path
from typing import Annotated, TextIO

import typer

from voxcli.cli.commands import say
from voxcli.cli.console import Console, write_lines
from voxcli.cli.options import parameters as options
from voxcli.cli.options.batch import CacheOptions
from voxcli.cli.options.book import BookOptions
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import (
    DeliveryOptions,
    HighlightOptions,
    OutputOptions,
    OutputVerbosity,
    RecordingOptions,
    VoiceOptions,
)
from voxcli.cli.options.words import WordsOptions
from voxcli.cli.parser.help import documented

_VOICE_OPTIONS = {"name", "force", "model", *(field.name for field in fields(RecordingOptions))}
_COMMON_OPTIONS = {field.name for field in fields(OutputVerbosity)}


@documented(
    "voxcli clone --prompt ref.wav",
    'voxcli clone --prompt ref.wav --prompt-text "The transcript." --name anna "Hello from my new voice" --play',
    'voxcli clone --record 10 --consent "It is me." --name me',
    basics=(
        *("recording", "transcript", "transcript_file", "no_transcript", "record_seconds", "name", "consent", "force"),
        *("output", "play", "model", "json"),
    ),
)
@grouped
def clone(
    context: typer.Context,
    source: RecordingOptions,
    delivery: DeliveryOptions,
    engine: ResidentEngineOptions,
    sampling: SamplingOptions,
    out: OutputOptions,
    highlight: HighlightOptions,
    verbosity: OutputVerbosity,
    words: WordsOptions,
    book: BookOptions,
    metadata: MetadataOptions,
    caching: CacheOptions,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Text to speak with the new voice. Default: only save it."),
    ] = None,
    literal: options.TextOption = None,
    file: options.TextFiles = None,
    markdown: options.Markdown = None,
    no_split: options.NoSplit = False,
    denoise: options.Denoise = False,
    name: options.NewName = None,
) -> None:
    """Save the voice of a recording, and speak with it.

    Without a text, the voice is only saved. Without --name, it is named after the file. --force replaces an existing
    voice or file. Silence at both ends of the recording is removed.
    """
    from voxcli.cli.commands.recording import keep
    from voxcli.cli.reports import open_report

    if source.recording is None and source.record_seconds is None:
        raise typer.BadParameter(
            "Give a recording, as in: voxcli clone --prompt ref.wav. Or make one with --record 10.",
            param_hint="--prompt",
        )
    name = name or _name_after(source.recording)
    speaking = bool(text or file or literal)
    if not speaking:
        _refuse_speech_options(context)
    delivery.check_gap(context, no_split=no_split)
    sampling.check()
    verbosity.check(context)
    console = Console(quiet=verbosity.quiet or verbosity.json)
    events = _events_stream(out, speaking) if verbosity.json else None
    with open_report(console, events) if events else nullcontext():
        model = _model_here(engine)
        kept = keep(name, source, console, overwrite=out.force, model=model, needs_transcript=_needs_transcript(model))
    if events:
        _emit_saved(events, kept)
    if not speaking and model is None:
        _note_who_clones(engine, console)
    if speaking:
        who = VoiceOptions(voice=kept, denoise=denoise)
        texts = (text, literal, file)
        manner = (delivery, engine, sampling, out, highlight, verbosity, words, book, metadata, caching)
        say.say(context, who, *manner, *texts, markdown, no_split)


def _name_after(recording: Path | None) -> str:
    from voxcli.voices.description import name_from

    if recording is None:
        raise typer.BadParameter("Name the voice with --name.", param_hint="--name")
    if (name := name_from(recording.stem)) is None:
        raise typer.BadParameter(
            f"No valid name can be made from {recording}. Choose one with --name.", param_hint="--name"
        )
    return name


def _refuse_speech_options(context: typer.Context) -> None:
    for option in context.command.params:
        name = option.name or ""
        if name not in _VOICE_OPTIONS | _COMMON_OPTIONS and options.on_command_line(context, name):
            raise typer.BadParameter("Only for speaking, and no text is given.", param_hint=option.opts[0])


def _model_here(engine: ResidentEngineOptions) -> str | None:
    """Return the local model that would speak, if it can clone voices."""
    from voxcli.cli.commands.chosen import engine_name, engine_settings
    from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL

    chosen = engine_settings(engine)
    return None if chosen.remote or (model := engine_name(chosen)) in (BUILTIN_MODEL, KOKORO_MODEL) else model


def _note_who_clones(engine: ResidentEngineOptions, console: Console) -> None:
    """Say which models speak with a voice that is saved, if none of them is the default here."""
    from voxcli.cli.commands.chosen import engine_settings
    from voxcli.cli.settings.files import model_library

    if not engine_settings(engine).remote and not model_library().best():
        console.note("The VoxCPM models speak with it. To install one: voxcli models pull voxcpm-1.5")


def _needs_transcript(model: str | None) -> bool:
    """Tell whether a model needs the transcript of a clip to imitate it."""
    from voxcli.cli.settings.files import model_library
    from voxcli.voxcpm.network.config import Architecture, read_config

    return model is not None and read_config(model_library().load(model)).architecture is Architecture.V1


def _events_stream(out: OutputOptions, speaking: bool) -> TextIO:
    from voxcli.cli.commands.chosen import choose_targets

    return say.events_stream(choose_targets(out)) if speaking else sys.stdout


def _emit_saved(events: TextIO, voice: str) -> None:
    line = dumps({"event": "kept", "voice": voice})
    if events is sys.stdout:
        write_lines([line])
    else:
        events.write(line + "\n")
