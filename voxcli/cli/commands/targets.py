"""Targets of the sound, chosen by --output, --format, --play and --audio-device."""

import sys
from pathlib import Path

import typer

from voxcli.audio.format import AudioFormat, find_format, known_suffixes
from voxcli.cli.options.speech import OutputOptions
from voxcli.errors import did_you_mean
from voxcli.sinks import Target, ToFile, ToSpeaker, ToStdout

STDOUT = "-"


def choose_targets(options: OutputOptions) -> list[Target]:
    """Return the targets of the sound: the loudspeaker unless an output is named.

    Raises:
        typer.BadParameter: there is no target, or the format of one is unknown.
    """
    outputs, wanted = options.output or [], _parse_format(options.format)
    targets: list[Target] = [_target(output, wanted, options.force) for output in outputs]
    if twice := {output for output in outputs if outputs.count(output) > 1}:
        raise typer.BadParameter(f"Output given more than once: {', '.join(twice)}.", param_hint="--output")
    if options.play or (options.play is None and not outputs):
        targets.append(ToSpeaker(options.audio_device))
    if not targets:
        raise typer.BadParameter("With --no-play, name an output: -o FILE.", param_hint="--no-play")
    return targets


def _target(output: str, format: AudioFormat | None, force: bool) -> Target:
    if output != STDOUT:
        path = Path(output)
        return ToFile(path, format or _format_of(path), overwrite=force)
    if sys.stdout.isatty():
        raise typer.BadParameter(
            "Refusing to write audio to a terminal. Pipe it, as in: voxcli say ... -o - | ffplay -",
            param_hint="--output",
        )
    return ToStdout(format or AudioFormat.WAV)


def _parse_format(name: str | None) -> AudioFormat | None:
    if name is None:
        return None
    try:
        return AudioFormat(name.lower().removeprefix("."))
    except ValueError:
        raise typer.BadParameter(
            f"Unknown format {name!r}.{did_you_mean(name, AudioFormat)} Choose from: {', '.join(AudioFormat)}.",
            param_hint="--format",
        ) from None


def _format_of(path: Path) -> AudioFormat:
    if format := find_format(path):
        return format
    suffix = path.suffix or path.name
    raise typer.BadParameter(
        f"Cannot tell the audio format from the name {path}.{did_you_mean(suffix, known_suffixes())} "
        f"Use one of the suffixes {', '.join(known_suffixes())}, or pass --format.",
        param_hint="--output",
    )
