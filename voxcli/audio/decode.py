"""An audio file held in memory into samples, whoever sent it."""

from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from io import BytesIO

import av
import numpy as np
from av.container import InputContainer

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.frame import samples_of
from voxcli.audio.soundfile_decoder import read_plain
from voxcli.errors import RequestError

MAX_BYTES = 64 * 2**20
"""Five minutes of 48 kHz stereo at 16 bits just fit."""
MAX_SECONDS = 300.0
"""A clip is for imitating a voice; half a minute is plenty."""

_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000
"""Hz. Outside are no recordings of speech, but headers that lie."""

_PACKETS_PER_SECOND = 1000
"""Codecs make 10 to 400. A file of one-sample packets would keep us busy for minutes."""

_CONTAINERS = "aac,aiff,caf,flac,matroska,mov,mp3,ogg,w64,wav"
"""What may be opened. Other kinds, such as ffconcat and playlists, have FFmpeg open files that they name."""

_CODECS = (
    "aac,ac3,alac,amrnb,amrwb,eac3,flac,gsm,gsm_ms,libopus,mp2float,mp3,mp3float,opus,vorbis,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,pcm_alaw,pcm_mulaw,pcm_s8,pcm_u8,"
    "pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,"
    "pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le"
)
"""What may be decoded: a film is welcome for its sound, but none of its pictures comes near a decoder."""


def decode(
    data: bytes, *, name: str = "clip", max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> AudioChunk:
    """Return the sound of an audio file as mono, at the file's own rate, within [-1, 1].

    Channels are averaged; of several tracks the first counts. A file that breaks off gives what is there, as
    in any player. What headers claim is not believed: time is counted while decoding.

    Args:
        name: what messages call the file.

    Raises:
        RequestError: `data` is too large, too long, or not a file with sound that can be read.
    """
    if not data:
        raise RequestError(f"{name} is empty. Give an audio file, such as WAV, FLAC or MP3.")
    if len(data) > max_bytes:
        raise RequestError(
            f"{name} has {len(data) / 2**20:.1f} MiB, more than the {max_bytes / 2**20:.1f} MiB allowed. "
            "Cut out the part that counts, or save it as MP3."
        )
    sound = read_plain(data, max_seconds) or _decode(data, name, max_seconds)
    _check_rate(sound.sample_rate, name)
    if sound.seconds > max_seconds:
        raise RequestError(f"{name} is longer than the {max_seconds:g} s allowed. Cut out the part that counts.")
    return sound


def _decode(data: bytes, name: str, max_seconds: float) -> AudioChunk:
    """Read whatever FFmpeg can, or a little more than `max_seconds` of it."""
    pieces: list[Samples] = []
    count = rate = 0
    with _opened(data, name) as (container, stream), closing(_frames(container, stream, name, max_seconds)) as frames:
        for frame in frames:
            rate = rate or frame.sample_rate
            _check_rate(rate, name)
            if frame.sample_rate != rate:
                raise RequestError(
                    f"{name} changes its sample rate from {rate} to {frame.sample_rate} Hz on the way. "
                    "Save it once more, as WAV."
                )
            pieces.append(samples_of(frame))
            count += frame.samples
            if count > max_seconds * rate:
                break
    if not count:
        raise RequestError(f"{name} holds no sound: {_suspicion(data)}. Save it once more, as WAV.")
    return AudioChunk(np.concatenate(pieces), rate)


@contextmanager
def _opened(data: bytes, name: str) -> Generator[tuple[InputContainer, av.AudioStream]]:
    try:
        container = av.open(
            BytesIO(data),
            "r",
            metadata_errors="ignore",
            options={"format_whitelist": _CONTAINERS, "codec_whitelist": _CODECS},
        )
    except av.error.FFmpegError as error:
        raise RequestError(
            f"{name} cannot be read: {_suspicion(data)}. Give an audio file, such as WAV, FLAC or MP3."
        ) from error
    with container:
        if not container.streams.audio:
            raise RequestError(f"{name} has no sound track. Give an audio file, such as WAV, FLAC or MP3.")
        stream = container.streams.audio[0]
        codec = stream.codec_context and stream.codec_context.name
        if not codec or codec not in _CODECS.split(","):
            raise RequestError(f"The sound of {name} is coded in a way not read here. Save it as WAV, FLAC or MP3.")
        yield container, stream


def _frames(
    container: InputContainer, stream: av.AudioStream, name: str, max_seconds: float
) -> Generator[av.AudioFrame]:
    """Yield what can be decoded, and pass over what is damaged."""
    packets = container.demux(stream)
    for _ in range(round(max_seconds * _PACKETS_PER_SECOND)):
        packet: av.Packet[av.AudioStream] | None
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            packet = None  # has the decoder give what it still holds
        with suppress(av.error.FFmpegError):
            yield from stream.decode(packet)
        if packet is None:
            return
    raise RequestError(f"{name} is cut into far too many packets. Save it once more, as WAV.")


def _check_rate(rate: int, name: str) -> None:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise RequestError(
            f"{name} says it has {rate} samples per second, which no recording of speech has. "
            "Save it once more, as WAV at 48000 Hz."
        )


def _suspicion(data: bytes) -> str:
    """Return a guess at what is wrong with a file in which FFmpeg finds nothing."""
    if data[4:8] == b"ftyp":
        return "it looks like an M4A or MP4 that is cut short, for its index is missing"
    if not any(byte < 9 or 13 < byte < 32 for byte in data[:512]):
        return "it is text"
    return "it is damaged, or of a kind that is not known here"
