"""Sinks for chunks and marks: the loudspeaker, files of sound and of subtitles, and standard output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.sinks.background import OpenedInBackground
from voxcli.sinks.base import Sink, Tee, Writer
from voxcli.sinks.file import File, Stdout

if TYPE_CHECKING:
    from voxcli.devices.speaker import Speaker
    from voxcli.synthesis.provenance import Provenance

_AHEAD_SECONDS = 10.0
"""Audio that may be queued for the loudspeaker."""
_AHEAD_OF_FILES_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ToSpeaker:
    """The loudspeaker, by the name or number of its device; None is the system's choice."""

    device: str | None = None


@dataclass(frozen=True, slots=True)
class ToFile:
    path: Path
    format: AudioFormat | SubtitleFormat
    overwrite: bool = False
    provenance: "Callable[[], Provenance] | None" = None
    """Tells what makes the sound: asked when there is sound, and again at the end, when the whole text is known."""
    only_mark: bool = False
    """Whether the file says only that a machine made it."""
    room: int = 0
    """Bytes that are kept free in it for a text that is still arriving."""


@dataclass(frozen=True, slots=True)
class ToStdout:
    format: AudioFormat | SubtitleFormat
    provenance: "Callable[[], Provenance] | None" = None
    """As of a file. Samples without a container have no room for it, nor has WAV, of which many readers of pipes skip
    44 bytes."""
    only_mark: bool = False


@dataclass(frozen=True, slots=True)
class ToStems:
    """A WAV for each speaker, in a folder that is made if it is not there."""

    folder: Path
    overwrite: bool = False
    provenance: "Callable[[], Provenance] | None" = None
    only_mark: bool = False


Target: TypeAlias = ToSpeaker | ToFile | ToStdout | ToStems
"""A destination of audio."""


def open_sink(
    targets: Sequence[Target], *, start_buffer: Callable[[float], float] | None = None, in_background: bool = False
) -> Sink:
    """Return one sink that feeds all targets, at least one. Entering it opens them.

    Args:
        start_buffer: for the loudspeaker, as `Speaker` takes it.
        in_background: open the loudspeaker on a thread; its errors are raised later.
    """
    # The loudspeaker comes last: it would run dry while the encoder of a file is loaded with the first chunk.
    ordered = sorted(targets, key=lambda target: isinstance(target, ToSpeaker))
    # A file is not to wait until what is in it has been played.
    ahead = _AHEAD_SECONDS if len(targets) == 1 else _AHEAD_OF_FILES_SECONDS
    sinks = [_build_sink(target, partial(_open_speaker, start_buffer, ahead), in_background) for target in ordered]
    return sinks[0] if len(sinks) == 1 else Tee(sinks)


def _build_sink(target: Target, open_speaker: Callable[[str | None], Sink], in_background: bool) -> Sink:
    # Each target loads only the library it needs: PortAudio, libav or none. A file loads it with the first chunk.
    match target:
        case ToSpeaker(device):
            return OpenedInBackground(partial(open_speaker, device)) if in_background else open_speaker(device)
        case ToFile(path, _, overwrite):
            return File(path, partial(_new_writer, target), overwrite=overwrite)
        case ToStems(folder, overwrite):
            from voxcli.sinks.stems import Stems

            return Stems(folder, lambda path: File(path, partial(_new_writer, target), overwrite=overwrite))
        case ToStdout():
            return Stdout(partial(_new_writer, target))


def _open_speaker(start_buffer: Callable[[float], float] | None, ahead_seconds: float, device: str | None) -> "Speaker":
    # First, as it waits for the sound server, while another thread may load what the speaker needs besides.
    from voxcli.devices.portaudio import load_sounddevice, muted_native_stderr

    with muted_native_stderr():
        load_sounddevice()
    from voxcli.devices.speaker import Speaker

    return Speaker(device=device, start_buffer=start_buffer, ahead_seconds=ahead_seconds)


def _voice_of(target: ToFile | ToStdout | ToStems, speaker: str | None) -> str | None:
    """Return the name of the voice of a speaker, as far as the provenance tells it."""
    made = target.provenance() if target.provenance and not target.only_mark else None
    return (made.speakers.get(speaker, made) if speaker else made).voice.name if made else None


def _new_writer(target: ToFile | ToStdout | ToStems, file: FileIO, sample_rate: int) -> Writer:
    format = AudioFormat.WAV if isinstance(target, ToStems) else target.format
    if isinstance(format, SubtitleFormat):
        from voxcli.sinks.subtitles import SubtitleWriter

        return SubtitleWriter(file, format, cache(partial(_voice_of, target)))
    from voxcli.sinks.writer import new_writer

    if target.provenance is None:
        return new_writer(format, file, sample_rate)
    from voxcli.sinks.tagging import Tagging

    room = target.room if isinstance(target, ToFile) else 0
    return new_writer(format, file, sample_rate, Tagging(target.provenance, target.only_mark, room))
