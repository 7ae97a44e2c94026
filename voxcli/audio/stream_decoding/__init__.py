"""Stream decoding: the bytes of an HTTP response to chunks of samples, as the bytes arrive.

Our own parsers, because the time to first audio depends on them. PyAV (FFmpeg) reading from a pipe needs this many
seconds of audio before it returns the first samples: WAV 4.0 (the whole file), MP3 1.26, AAC 2.12, FLAC 0.38, Opus 0.38
with its defaults, 0.10 to 1.37 with probing tuned; these parsers need 0.01 to 0.08. From a stream of one WAV file per
block, as VoxCPM servers send it, PyAV reads 1,920 of 96,000 samples, these parsers all of them. FFmpeg's decoders still
do the decoding.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from typing import Protocol

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps
from voxcli.audio.stream_decoding.pcm import raw_chunks
from voxcli.audio.stream_decoding.sniff import NotAudio, recognised
from voxcli.audio.stream_decoding.wav import wav_chunks
from voxcli.errors import RequestError

__all__ = ["Decoder", "NotAudio", "decoded", "new_decoder"]

_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000
"""Hz. Other rates are a sign of a corrupt header."""

_LONGEST_SECONDS = 0.25
"""A packet of a few bytes may hold seconds of silence: many of them must not be in memory at once."""


class Decoder(Protocol):
    """Takes bytes cut anywhere; yields chunks of one rate, whose samples do not depend on where the bytes were cut."""

    format: AudioFormat | None
    """What the bytes are, once it is recognised; OPUS for anything in Ogg."""

    def feed(self, data: bytes) -> Iterator[AudioChunk]:
        """Yield what is ready, never an empty chunk. Must be exhausted before the next call.

        Raises:
            NotAudio: the bytes are not audio; no chunk has been yielded.
            RequestError: the format is not supported, or the sample rate changes; chunks yielded so far are valid.
        """
        ...

    def finish(self) -> Iterator[AudioChunk]:
        """Yield the rest, which is short: `feed` never holds back what is ready. Raises as `feed` does."""
        ...


def new_decoder(hint: AudioFormat | None, sample_rate: int | None, channels: int = 1) -> Decoder:
    """Return a decoder that detects the format from the bytes, not from the content type.

    WAV, MP3, AAC in ADTS, FLAC, Opus and Vorbis in Ogg, one file or several concatenated. Damaged parts are skipped,
    and a truncated file is decoded as far as it goes.

    Args:
        hint: with PCM, bytes of no known format are taken for raw samples; other formats have no effect.
        sample_rate: Hz, of raw samples. ValueError if it is missing with PCM.
        channels: of raw samples, interleaved.
    """
    if hint is AudioFormat.PCM and sample_rate is None:
        raise ValueError("raw samples need a sample rate")
    return _Decoder(hint, sample_rate, channels)


def decoded(
    pieces: Iterator[bytes], hint: AudioFormat | None = None, sample_rate: int | None = None
) -> Generator[AudioChunk]:
    """Yield the audio of a response that arrives in pieces; see `new_decoder`. Closing it closes `pieces`."""
    decoder = new_decoder(hint, sample_rate)
    with closing(pieces) if isinstance(pieces, Generator) else nullcontext():
        for piece in pieces:
            yield from decoder.feed(piece)
        yield from decoder.finish()


class _Decoder:
    """A `Decoder` that runs a suspendable parser; see `ByteBuffer`."""

    def __init__(self, hint: AudioFormat | None, sample_rate: int | None, channels: int) -> None:
        self.format: AudioFormat | None = None
        self._buffer = ByteBuffer()
        self._steps = _merged(self._parsed(hint, sample_rate, channels))

    def feed(self, data: bytes) -> Iterator[AudioChunk]:
        self._buffer.append(data)
        return self._ready()

    def finish(self) -> Iterator[AudioChunk]:
        self._buffer.ended = True
        return self._ready()

    def _ready(self) -> Iterator[AudioChunk]:
        for step in self._steps:
            if step is None:
                return
            yield step

    def _parsed(self, hint: AudioFormat | None, sample_rate: int | None, channels: int) -> ChunkSteps:
        self.format = format = yield from recognised(self._buffer, hint)
        if format is AudioFormat.WAV:
            yield from wav_chunks(self._buffer)
            return
        if format is AudioFormat.PCM:
            assert sample_rate is not None
            yield from raw_chunks(self._buffer, sample_rate, channels)
            return
        from voxcli.audio.stream_decoding import flac, mpeg, ogg  # FFmpeg takes longer to load than samples to arrive

        chunks = {
            AudioFormat.FLAC: flac.flac_chunks,
            AudioFormat.MP3: mpeg.mp3_chunks,
            AudioFormat.AAC: mpeg.aac_chunks,
            AudioFormat.OPUS: ogg.ogg_chunks,
        }
        yield from chunks[format](self._buffer)


def _merged(steps: ChunkSteps) -> ChunkSteps:
    """Merge chunks that are ready at the same time, drop empty ones, and check that the rate stays the same."""
    held: list[AudioChunk] = []
    count = rate = 0
    try:
        for step in steps:
            if step is None:
                yield from _joined(held)
                count = 0
                yield None
            elif len(step.samples):
                _check_rate(step.sample_rate, rate)
                rate = step.sample_rate
                held.append(step)
                count += len(step.samples)
                if count >= _LONGEST_SECONDS * rate:
                    yield from _joined(held)
                    count = 0
    except RequestError:
        yield from _joined(held)
        raise
    yield from _joined(held)


def _joined(held: list[AudioChunk]) -> Iterator[AudioChunk]:
    """Yield the held chunks as one, and clear them."""
    if held:
        samples = held[0].samples if len(held) == 1 else np.concatenate([chunk.samples for chunk in held])
        chunk = AudioChunk(samples, held[0].sample_rate)
        held.clear()
        yield chunk


def _check_rate(rate: int, rate_before: int) -> None:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise RequestError(f"The received audio claims a sample rate of {rate} Hz. Ask for another format.")
    if rate_before not in (0, rate):
        raise RequestError(
            f"The received audio changes its sample rate from {rate_before} to {rate} Hz. "
            "Try again, or ask for another format."
        )
