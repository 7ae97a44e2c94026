"""Where chunks end: the loudspeaker, files, standard output, and the door to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from voxcli.audio.format import AudioFormat
from voxcli.sinks.base import Sink, Tee


@dataclass(frozen=True, slots=True)
class ToSpeaker:
    """The loudspeaker, by the name or number of its device; None is the system's choice."""

    device: str | None = None


@dataclass(frozen=True, slots=True)
class ToFile:
    path: Path
    format: AudioFormat
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class ToStdout:
    format: AudioFormat


Target: TypeAlias = ToSpeaker | ToFile | ToStdout
"""Where sound shall go."""


def open_sink(targets: Sequence[Target]) -> Sink:
    """Build the one sink that feeds all targets, of which there is at least one. Enter it to open them."""
    sinks = [_build_sink(target) for target in targets]
    return sinks[0] if len(sinks) == 1 else Tee(sinks)


def _build_sink(target: Target) -> Sink:
    # Each kind loads its own library only: PortAudio, libav or none.
    match target:
        case ToSpeaker(device):
            from voxcli.devices.speaker import Speaker

            return Speaker(device=device)
        case ToFile(path, format, overwrite):
            from voxcli.sinks.file import File
            from voxcli.sinks.writer import new_writer

            return File(path, partial(new_writer, format), overwrite=overwrite)
        case ToStdout(format):
            from voxcli.sinks.stdout import Stdout
            from voxcli.sinks.writer import new_writer

            return Stdout(partial(new_writer, format))
