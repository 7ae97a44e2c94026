"""Chunks into the bytes of an audio format, as they come."""

from collections.abc import Generator, Iterator
from typing import Protocol

from voxcli.audio.chunk import AudioChunk, check_rate
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import streaming_header
from voxcli.audio.pcm import to_int16
from voxcli.audio.stream import closing_source


class Encoder(Protocol):
    """Takes chunks of one rate; gives bytes which, joined, do not depend on where the chunks were cut."""

    def encode(self, chunk: AudioChunk) -> bytes:
        """Return what is ready, which may be nothing. Raises ValueError for a chunk of another rate."""
        ...

    def finish(self) -> bytes:
        """Return the rest. The encoder is not to be used again."""
        ...


def new_encoder(format: AudioFormat, sample_rate: int) -> Encoder:
    """Return an encoder for chunks at `sample_rate` Hz.

    Decoded again, the sound has the length it had; only MP3 and AAC, which as streams cannot say how much of
    their first and last frames is padding, come out 0.02 to 0.13 s longer.
    Raises RequestError if FFmpeg as installed cannot do it.
    """
    if format is AudioFormat.PCM:
        return _PlainEncoder(sample_rate, b"")
    if format is AudioFormat.WAV:
        return _PlainEncoder(sample_rate, streaming_header(sample_rate))
    from voxcli.audio.libav_encoder import LibavEncoder  # takes longer to load than the rest of a short run

    return LibavEncoder(format, sample_rate)


def encoded(chunks: Iterator[AudioChunk], format: AudioFormat) -> Generator[bytes]:
    """Yield the bytes of `chunks`, never an empty piece; nothing at all if there are no chunks.

    The first chunk sets the rate. Closing it closes `chunks`.
    """
    encoder: Encoder | None = None
    with closing_source(chunks):
        for chunk in chunks:
            encoder = encoder or new_encoder(format, chunk.sample_rate)
            if data := encoder.encode(chunk):
                yield data
        if encoder is not None and (data := encoder.finish()):
            yield data


class _PlainEncoder:
    """16-bit PCM behind a header."""

    def __init__(self, sample_rate: int, header: bytes) -> None:
        self._sample_rate = sample_rate
        self._header = header

    def encode(self, chunk: AudioChunk) -> bytes:
        check_rate(chunk, self._sample_rate)
        header, self._header = self._header, b""
        return header + to_int16(chunk.samples)

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header
