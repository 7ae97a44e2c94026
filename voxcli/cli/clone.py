"""`voxcli clone`: a recording becomes a voice, which may speak at once."""

import sys
from contextlib import nullcontext
from dataclasses import fields
from json import dumps
from typing import Annotated, Any, TextIO

import typer

from voxcli.cli import options, say
from voxcli.cli.console import Words, write_lines
from voxcli.cli.engine_options import EngineOptions, SamplingOptions
from voxcli.cli.groups import grouped
from voxcli.cli.recording_options import RecordingOptions
from voxcli.cli.speech_options import DeliveryOptions, MannersOptions, OutputOptions, VoiceOptions, on_command_line

EXAMPLES = """Examples:

voxcli clone --prompt ref.wav

voxcli clone --prompt ref.wav --prompt-text "What is said in it." --name anna "Hello from my new voice" --play"""


@grouped
def clone(
    context: typer.Context,
    source: RecordingOptions,
    delivery: DeliveryOptions,
    engine: EngineOptions,
    sampling: SamplingOptions,
    out: OutputOptions,
    manners: MannersOptions,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT...", help="What to say with it. Without it, nothing is said.")
    ] = None,
    file: options.TextFile = None,
    markdown: options.Markdown = None,
    no_split: options.NoSplit = False,
    denoise: options.Denoise = False,
    name: options.NewName = None,
) -> None:
    """Keep the voice of a recording under a name, and say a text with it if there is one.

    Without --name, the voice is called like the file. --force replaces a voice or a file that is there already.
    """
    from voxcli.cli.cloning import keep
    from voxcli.cli.report import open_report
    from voxcli.voices.names import name_from

    if source.recording is None:
        raise typer.BadParameter("Name a recording, as in: voxcli clone --prompt ref.wav", param_hint="--prompt")
    name = name or name_from(source.recording.stem)
    if name is None:
        raise typer.BadParameter(f"No voice can be called like {source.recording}. Choose one.", param_hint="--name")
    speaking = bool(text or file)
    if not speaking:
        _check_nothing_is_for_speaking(context, delivery, engine, sampling, out)
    words = Words(quiet=manners.quiet or manners.json)
    events = _events_stream(out, speaking) if manners.json else None
    with open_report(words, events) if events else nullcontext():
        kept = keep(name, source, words, overwrite=out.force)
    if events:
        _tell(events, kept)
    if speaking:
        who = VoiceOptions(voice=kept, denoise=denoise)
        say.say(context, who, delivery, engine, sampling, out, manners, text, file, markdown, no_split)


def _check_nothing_is_for_speaking(context: typer.Context, *groups: Any) -> None:
    """Refuse what would have no effect."""
    of_groups = (field.name for group in groups for field in fields(group))
    for name in (*of_groups, "markdown", "no_split", "denoise"):
        if name != "force" and on_command_line(context, name):
            flag = "--" + name.replace("_", "-")
            raise typer.BadParameter("This is about speaking, and there is nothing to say. Add it.", param_hint=flag)


def _events_stream(out: OutputOptions, speaking: bool) -> TextIO:
    return say.events_stream(out.targets()) if speaking else sys.stdout


def _tell(events: TextIO, voice: str) -> None:
    line = dumps({"event": "kept", "voice": voice})
    if events is sys.stdout:
        write_lines([line])
    else:
        events.write(line + "\n")
