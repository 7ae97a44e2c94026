"""Where chunks end: the loudspeaker, files, standard output, and the door to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from voxcli.audio.format import AudioFormat
from voxcli.sinks.base import Sink, Tee

if TYPE_CHECKING:
    from voxcli.sinks.writer import Writer


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
            from voxcli.sinks.speaker import Speaker

            return Speaker(device=device)
        case ToFile(path, format, overwrite):
            from voxcli.sinks.file import File, is_device

            return File(path, _new_writer(format, seekable=not is_device(path)), overwrite=overwrite)
        case ToStdout(format):
            from voxcli.sinks.stdout import Stdout

            return Stdout(_new_writer(format, seekable=False))


def _new_writer(format: AudioFormat, *, seekable: bool) -> "Callable[[FileIO, int], Writer]":
    """Choose how a form is written; in a file that one can go back in, headers are kept true."""
    from voxcli.audio.encode import new_encoder
    from voxcli.sinks.writer import EncodedWriter, FlacFile, GrowingWav

    if seekable and format is AudioFormat.WAV:
        return GrowingWav
    writer = FlacFile if seekable and format is AudioFormat.FLAC else EncodedWriter
    return lambda file, sample_rate: writer(file, new_encoder(format, sample_rate))
