"""Encoder for compressed formats, with FFmpeg's libraries (libav) through PyAV."""

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace

import av
import numpy as np

from voxcli.audio.chunk import AudioChunk, check_rate
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.errors import DeviceError, RequestError


@dataclass(frozen=True)
class _Recipe:
    """The libav settings of a format, chosen so that bytes come out within a few frames."""

    container: str
    codec: str
    bit_rate: int | None = None
    """For mono speech at 44.1 and 48 kHz; half of it up to 24 kHz."""
    rates: frozenset[int] | None = None
    """Hz. The rates that the codec accepts and encodes with low delay; None for all."""
    frame_seconds: float | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)


_FALLBACK_RATE = 48000
"""Hz. Every codec accepts it, with the least delay."""

_MPEG_RATES = frozenset({16000, 22050, 24000, 32000, 44100, 48000})
"""MPEG allows 8 kHz too, but its frames have a fixed number of samples: the first would take 0.2 s."""

_RECIPES = {
    AudioFormat.MP3: _Recipe(
        container="mp3",
        codec="libmp3lame",
        bit_rate=128_000,  # enough for speech without the bit reservoir
        rates=_MPEG_RATES,
        # No header that is rewritten at the end, no tags, no bit reservoir that delays frames.
        container_options={"write_xing": "0", "id3v2_version": "0"},
        codec_options={"reservoir": "0"},
    ),
    AudioFormat.OPUS: _Recipe(
        container="ogg",
        codec="libopus",
        bit_rate=64_000,  # RFC 7587 §3.1.1: 28 to 40 kbit/s for full-band speech, 48 to 64 for mono music
        rates=frozenset({8000, 12000, 16000, 24000, 48000}),
        # A page per packet (µs), as the default holds back a second; and no random serial number.
        container_options={"page_duration": "20000", "fflags": "+bitexact"},
    ),
    AudioFormat.AAC: _Recipe(
        container="adts",
        codec="aac",
        bit_rate=96_000,  # libav's encoder needs more than others for the same quality
        rates=_MPEG_RATES,
    ),
    AudioFormat.FLAC: _Recipe(
        container="flac",
        codec="flac",
        frame_seconds=0.04,  # the default of 0.1 s saves nothing for speech
        container_options={"metadata_header_padding": "0"},  # the default is 8 KB of padding for tags
    ),
}


class LibavEncoder:
    """An `Encoder` for MP3, Opus, AAC and FLAC.

    PyAV resamples and splits the samples into the frames of the codec, so the packets do not depend on where the
    chunks were cut.
    """

    def __init__(self, format: AudioFormat, sample_rate: int) -> None:
        self._format = format
        self._sample_rate = sample_rate
        self._fed = 0
        self._written = BytesIO()
        # Without `seek`, so that no muxer tries to rewrite headers; and a C method, because KeyboardInterrupt in a
        # Python method that libav calls would be lost.
        file = SimpleNamespace(write=self._written.write)
        recipe = _RECIPES[format]
        rate = sample_rate if recipe.rates is None or sample_rate in recipe.rates else _FALLBACK_RATE
        options = dict(recipe.codec_options)
        if recipe.frame_seconds is not None:
            options["frame_size"] = str(round(recipe.frame_seconds * rate))
        try:
            self._container = av.open(file, "w", format=recipe.container, options=recipe.container_options)
            # The container and its stream refer to each other and hold megabytes; closing frees them at once.
            self._close = weakref.finalize(self, self._container.close)
            stream = self._container.add_stream(recipe.codec, rate=rate, options=options, layout="mono")
            if recipe.bit_rate is not None:
                stream.codec_context.bit_rate = recipe.bit_rate // (1 if rate > 24000 else 2)
            self._container.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:  # ValueError: built without this codec
            raise RequestError(
                f"The installed FFmpeg libraries cannot encode {format} at {sample_rate} Hz. Choose wav."
            ) from error
        assert isinstance(stream, av.AudioStream)
        self._stream = stream

    def encode(self, chunk: AudioChunk) -> bytes:
        check_rate(chunk, self._sample_rate)
        if count := len(chunk.samples):
            samples = np.frombuffer(to_int16(chunk.samples), np.int16)
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._fed
            self._fed += count
            self._mux(frame)
        return self._take()

    def finish(self) -> bytes:
        self._mux(None)
        with _ffmpeg_errors_translated(self._format):
            self._close()
        return self._take()

    def _take(self) -> bytes:
        """Return the bytes written since the last call."""
        data = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return data

    def _mux(self, frame: av.AudioFrame | None) -> None:
        with _ffmpeg_errors_translated(self._format):
            self._container.mux(self._stream.encode(frame))


@contextmanager
def _ffmpeg_errors_translated(format: AudioFormat) -> Generator[None]:
    try:
        yield
    except av.error.FFmpegError as error:
        raise DeviceError(f"Encoding {format} failed: {error}. Try again, or choose wav.") from error
