"""Decoding of whole audio files in memory, which may come from untrusted senders."""

from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from io import BytesIO

import av
import numpy as np
from av.container import InputContainer

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.downmix import Downmix
from voxcli.audio.format import MAX_BYTES
from voxcli.audio.frame import channels_of
from voxcli.audio.soundfile_decoder import RIFX, read_plain
from voxcli.audio.stream_decoding import decoded
from voxcli.audio.stream_decoding.sniff import is_text
from voxcli.errors import RequestError

MAX_SECONDS = 300.0
"""Ten times what a clip for cloning a voice needs."""

_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000
"""Hz. Other rates are a sign of a corrupt header."""

_PACKETS_PER_SECOND = 1000
"""Codecs use 10 to 400. A file of one-sample packets would take minutes to decode."""

_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpegts,nistsphere,ogg,tta,voc,w64,"
    "wav,wv"
)
"""Allowed containers. Others, such as ffconcat and playlists, make FFmpeg open the files they name."""

_CODECS = (
    "aac,ac3,alac,amrnb,amrwb,ape,eac3,flac,gsm,gsm_ms,libopus,mp1float,mp2,mp2float,mp3,mp3float,opus,speex,tta,"
    "vorbis,wavpack,wmapro,wmav1,wmav2,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,pcm_alaw,pcm_mulaw,pcm_s8,pcm_u8,"
    "pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,"
    "pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le"
)
"""Allowed codecs. The audio of a video file is decoded, its pictures never are."""


def decode(
    data: bytes, *, name: str = "clip", max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> AudioChunk:
    """Return an audio file as mono samples at the file's own rate, within [-1, 1].

    Channels are averaged, unless they cancel or the centre holds the speech; the first of several tracks is used.
    A truncated file is decoded as far as it goes. Durations in headers are not trusted: samples are counted.

    Args:
        name: the name of the file in error messages.

    Raises:
        RequestError: `data` is too large, too long, or not an audio file that can be decoded.
    """
    if not data:
        raise RequestError(f"{name} is empty. Give an audio file, such as WAV, FLAC or MP3.")
    if len(data) > max_bytes:
        raise RequestError(
            f"{name} has {len(data) / 2**20:.1f} MiB, more than the {max_bytes / 2**20:.1f} MiB allowed. "
            "Keep only the part you need, or save it as MP3."
        )
    if foreign := _foreign_kind(data):
        raise RequestError(f"{name} is {foreign} Give an audio file, such as WAV, FLAC or MP3.")
    sound = read_plain(data, max_seconds) or _read_blocks(data) or _decode(data, name, max_seconds)
    _check_rate(sound.sample_rate, name)
    if sound.seconds > max_seconds:
        raise RequestError(f"{name} is longer than the {max_seconds:g} s allowed. Keep only the part you need.")
    return sound


def _read_blocks(data: bytes) -> AudioChunk | None:
    """Read WAV files one after another, as streaming servers send them; None for every other file."""
    if data[:4] != b"RIFF":
        return None
    end = 8 + int.from_bytes(data[4:8], "little")
    if data[end : end + 4] != b"RIFF" or data[end + 8 : end + 12] != b"WAVE":
        return None
    chunks = list(decoded(iter([data]), None))
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate) if chunks else None


def _decode(data: bytes, name: str, max_seconds: float) -> AudioChunk:
    """Decode with FFmpeg, up to a little more than `max_seconds`."""
    mono, rate = Downmix(), 0
    with _opened(data, name) as (container, stream), closing(_frames(container, stream, name, max_seconds)) as frames:
        for frame in frames:
            rate = rate or frame.sample_rate
            _check_rate(rate, name)
            if frame.sample_rate != rate:
                raise RequestError(
                    f"{name} changes its sample rate from {rate} to {frame.sample_rate} Hz. Save it again as WAV."
                )
            mono.add(channels_of(frame))
            if mono.samples > max_seconds * rate:
                break
    if not mono.samples:
        raise RequestError(f"{name} contains no audio: {_likely_cause(data)}. Save it again as WAV.")
    return AudioChunk(mono.result(), rate)


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
            f"{name} cannot be read: {_likely_cause(data)}. Give an audio file, such as WAV, FLAC or MP3."
        ) from error
    with container:
        if not container.streams.audio:
            raise RequestError(f"{name} has no audio track. Give an audio file, such as WAV, FLAC or MP3.")
        stream = container.streams.audio[0]
        codec = stream.codec_context and stream.codec_context.name
        if not codec or codec not in _CODECS.split(","):
            raise RequestError(f"{name} uses an unsupported audio codec. Save it as WAV, FLAC or MP3.")
        yield container, stream


def _frames(
    container: InputContainer, stream: av.AudioStream, name: str, max_seconds: float
) -> Generator[av.AudioFrame]:
    """Yield the frames that can be decoded, and skip damaged ones."""
    packets = container.demux(stream)
    for _ in range(round(max_seconds * _PACKETS_PER_SECOND)):
        packet: av.Packet[av.AudioStream] | None
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            packet = None  # flushes the decoder
        with suppress(av.error.FFmpegError):
            yield from stream.decode(packet)
        if packet is None:
            return
    raise RequestError(f"{name} has far too many packets. Save it again as WAV.")


def _check_rate(rate: int, name: str) -> None:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise RequestError(
            f"{name} claims a sample rate of {rate} Hz, outside {_LOWEST_RATE} to {_HIGHEST_RATE}. "
            "Save it again as WAV at 48000 Hz."
        )


_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself. Fetch that with: git lfs pull."),
    (b"#!SILK_V3", "a SILK recording of a messenger. Convert it to WAV first."),
    (b"\x02#!SILK_V3", "a SILK recording of a messenger. Convert it to WAV first."),
    (b"CTENFDAM", "an encrypted NCM file."),
    (b"MThd", "a MIDI file: notes, not sound."),
    (b"%PDF", "a PDF."),
    (b"\x89PNG", "a picture (PNG)."),
    (b"\xff\xd8\xff", "a picture (JPEG)."),
    (b"GIF8", "a picture (GIF)."),
    (b"PK\3\4", "a ZIP archive. Unpack it first."),
    (b"\x1f\x8b", "a gzip archive. Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive. Unpack it first."),
    (b"Rar!", "a RAR archive. Unpack it first."),
    (b"#EXTM3U", "a playlist. Download the file that it names."),
    (b"[playlist]", "a playlist. Download the file that it names."),
)
"""Beginnings of files that are no audio, and what to say of them."""


def _foreign_kind(data: bytes) -> str | None:
    """Return what a file is if it is not audio, with advice."""
    for beginning, kind in _FOREIGN:
        if data.startswith(beginning):
            return kind
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file that was to be downloaded."
    if start.startswith((b"{", b"[{")) and is_text(data[:512]):
        return "JSON: perhaps the error message of a server."
    return "a RIFX file (big-endian WAV) that is damaged. Save it again as WAV." if _is_damaged_rifx(data) else None


def _is_damaged_rifx(data: bytes) -> bool:
    """Tell whether only FFmpeg would read this big-endian WAV: it takes its samples to be little-endian."""
    return data.startswith(RIFX) and read_plain(data, 1.0) is None


def _likely_cause(data: bytes) -> str:
    """Return the likely reason why FFmpeg finds no audio in a file."""
    if data[4:8] == b"ftyp":
        return "it looks like a truncated M4A or MP4, whose index is missing"
    if not any(byte < 9 or 13 < byte < 32 for byte in data[:512]):
        return "it is text"
    return "it is damaged, or its format is unknown"
