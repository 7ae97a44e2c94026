"""Encoders: chunks to the bytes of an audio format, as they come."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Protocol

import numpy as np

from voxcli.audio.chunk import AudioChunk, check_rate, closing_source
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import FLAC_START_BYTES, flac_start, streaming_header, wav_bytes
from voxcli.audio.pcm import to_int16
from voxcli.audio.tags import Tags
from voxcli.audio.tags.heads import HAVE_ROOM, split_head, tagged_head


class Encoder(Protocol):
    """Takes chunks of one rate; the joined bytes do not depend on where the chunks were cut."""

    def encode(self, chunk: AudioChunk) -> bytes:
        """Return what is ready, which may be nothing. Raises ValueError for a chunk of another rate."""
        ...

    def finish(self) -> bytes:
        """Return the rest. The encoder cannot be used again."""
        ...


def new_encoder(format: AudioFormat, sample_rate: int) -> Encoder:
    """Return an encoder for chunks at `sample_rate` Hz.

    Decoding returns audio of the same length, except that MP3 and AAC streams cannot state their padding and come out
    0.02 to 0.13 s longer.

    Raises:
        RequestError: the installed FFmpeg libraries lack the encoder.
    """
    if format is AudioFormat.PCM:
        return _PcmEncoder(sample_rate, b"")
    if format is AudioFormat.WAV:
        return _PcmEncoder(sample_rate, streaming_header(sample_rate))
    from voxcli.audio.libav_encoder import LibavEncoder  # FFmpeg takes longer to load than a short run needs

    return LibavEncoder(format, sample_rate)


def encoded(
    chunks: Iterator[AudioChunk], format: AudioFormat, tags: Callable[[], Tags] | None = None
) -> Generator[bytes]:
    """Yield the encoded bytes of `chunks`, never an empty piece; nothing if there are no chunks.

    The first chunk determines the rate. Closing it closes `chunks`.

    tags: called with the first bytes, for formats whose head has room for tags. If there are none, it stays as it is.
    """
    pieces = _encoded(chunks, format)
    if tags is None or format not in HAVE_ROOM:
        return pieces
    return _tagged(pieces, format, tags)


def _tagged(pieces: Generator[bytes], format: AudioFormat, tags: Callable[[], Tags]) -> Generator[bytes]:
    with closing(pieces):
        if (first := next(pieces, None)) is not None:
            head, sound = split_head(format, first)
            known = tags()
            yield tagged_head(format, head, known) + sound if known else first
        yield from pieces


def _encoded(chunks: Iterator[AudioChunk], format: AudioFormat) -> Generator[bytes]:
    encoder: Encoder | None = None
    with closing_source(chunks):
        for chunk in chunks:
            encoder = encoder or new_encoder(format, chunk.sample_rate)
            if data := encoder.encode(chunk):
                yield data
        if encoder is not None and (data := encoder.finish()):
            yield data


def encoded_whole(chunks: Iterator[AudioChunk], format: AudioFormat, tags: Callable[[], Tags] | None = None) -> bytes:
    """Return a complete file, with its length in its header where the format has one; empty if there is no chunk.

    tags: as for `encoded`.
    """
    samples = 0

    def counted() -> Iterator[AudioChunk]:
        nonlocal samples
        with closing_source(chunks):
            for chunk in chunks:
                samples += len(chunk.samples)
                yield chunk

    if format is AudioFormat.WAV:
        kept = list(counted())
        return wav_bytes(np.concatenate([chunk.samples for chunk in kept]), kept[0].sample_rate) if kept else b""
    data = b"".join(encoded(counted(), format, tags))
    if data and format is AudioFormat.FLAC:
        return flac_start(data, samples) + data[FLAC_START_BYTES:]
    return data


class _PcmEncoder:
    """16-bit PCM after a header, which may be empty."""

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
