"""Sinks for chunks: the loudspeaker, files and standard output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeAlias

from voxcli.audio.format import AudioFormat
from voxcli.sinks.base import Sink, Tee, Writer
from voxcli.sinks.file import File, Stdout


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
"""A destination of audio."""


def open_sink(targets: Sequence[Target], *, start_buffer: Callable[[float], float] | None = None) -> Sink:
    """Return one sink that feeds all targets, at least one. Entering it opens them.

    start_buffer: for the loudspeaker, as `Speaker` takes it.
    """
    sinks = [_build_sink(target, start_buffer) for target in targets]
    return sinks[0] if len(sinks) == 1 else Tee(sinks)


def _build_sink(target: Target, start_buffer: Callable[[float], float] | None) -> Sink:
    # Each target loads only the library it needs: PortAudio, libav or none. A file loads it with the first chunk.
    match target:
        case ToSpeaker(device):
            from voxcli.devices.speaker import Speaker

            return Speaker(device=device, start_buffer=start_buffer)
        case ToFile(path, format, overwrite):
            return File(path, partial(_new_writer, format), overwrite=overwrite)
        case ToStdout(format):
            return Stdout(partial(_new_writer, format))


def _new_writer(format: AudioFormat, file: FileIO, sample_rate: int) -> Writer:
    from voxcli.sinks.writer import new_writer

    return new_writer(format, file, sample_rate)
