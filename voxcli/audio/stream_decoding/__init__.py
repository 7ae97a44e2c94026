"""The body of a server's answer into chunks, as its bytes come."""

from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from typing import Protocol

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding
from voxcli.audio.stream_decoding.pcm import raw_chunks
from voxcli.audio.stream_decoding.sniff import NotSound, recognised
from voxcli.audio.stream_decoding.wav import wav_chunks
from voxcli.errors import RequestError

__all__ = ["Decoder", "NotSound", "decoded", "new_decoder"]

_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000
"""Hz. Outside is no speech, but headers that lie."""

_LONGEST_SECONDS = 0.25
"""A packet of a few bytes may hold seconds of silence: what many of them hold need not be in memory at once."""


class Decoder(Protocol):
    """Takes bytes cut anywhere; gives chunks of one rate, whose samples do not depend on where the bytes were cut."""

    def feed(self, data: bytes) -> Iterator[AudioChunk]:
        """Yield what is ready, never an empty chunk. To be read to its end before more is fed.

        Raises:
            NotSound: it is no sound at all; nothing has been yielded.
            RequestError: it is, but of a kind not read here, or it changes its rate; what was yielded is good.
        """
        ...

    def finish(self) -> Iterator[AudioChunk]:
        """Yield the rest, which is little: what is ready is never held back. Raises as `feed` does."""
        ...


def new_decoder(hint: AudioFormat | None, sample_rate: int | None) -> Decoder:
    """Return a decoder that goes by what the bytes say, not by what was said of them.

    WAV, MP3, AAC in ADTS, FLAC, Opus and Vorbis in Ogg, one file or many in a row. Damaged parts are left out, and
    what breaks off is played as far as it goes.

    Args:
        hint: PCM has bytes that say nothing taken for samples; others change nothing.
        sample_rate: Hz, of such samples. Needed with PCM, else ValueError.
    """
    if hint is AudioFormat.PCM and sample_rate is None:
        raise ValueError("samples do not say their rate, so it must be given")
    return _Decoder(hint, sample_rate)


def decoded(
    pieces: Iterator[bytes], hint: AudioFormat | None = None, sample_rate: int | None = None
) -> Generator[AudioChunk]:
    """Yield the sound of an answer that comes in pieces; see `new_decoder`. Closing it closes `pieces`."""
    decoder = new_decoder(hint, sample_rate)
    with closing(pieces) if isinstance(pieces, Generator) else nullcontext():
        for piece in pieces:
            yield from decoder.feed(piece)
        yield from decoder.finish()


class _Decoder:
    """A `Decoder` around a reader that goes straight on; see `Inbox`."""

    def __init__(self, hint: AudioFormat | None, sample_rate: int | None) -> None:
        self._inbox = Inbox()
        self._steps = _gathered(_sound(self._inbox, hint, sample_rate))

    def feed(self, data: bytes) -> Iterator[AudioChunk]:
        self._inbox.put(data)
        return self._ready()

    def finish(self) -> Iterator[AudioChunk]:
        self._inbox.ended = True
        return self._ready()

    def _ready(self) -> Iterator[AudioChunk]:
        for step in self._steps:
            if step is None:
                return
            yield step


def _sound(inbox: Inbox, hint: AudioFormat | None, sample_rate: int | None) -> Sounding:
    format = yield from recognised(inbox, hint)
    if format is AudioFormat.WAV:
        yield from wav_chunks(inbox)
        return
    if format is AudioFormat.PCM:
        assert sample_rate is not None
        yield from raw_chunks(inbox, sample_rate)
        return
    from voxcli.audio.stream_decoding import flac, mpeg, ogg  # FFmpeg takes longer to load than samples to arrive

    chunks = {
        AudioFormat.FLAC: flac.flac_chunks,
        AudioFormat.MP3: mpeg.mp3_chunks,
        AudioFormat.AAC: mpeg.aac_chunks,
        AudioFormat.OPUS: ogg.ogg_chunks,
    }
    yield from chunks[format](inbox)


def _gathered(steps: Sounding) -> Sounding:
    """Join what is there at once, leave out what is empty, and see to it that there is one rate."""
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
    """Yield what is held as one, and hold nothing."""
    if held:
        samples = held[0].samples if len(held) == 1 else np.concatenate([chunk.samples for chunk in held])
        chunk = AudioChunk(samples, held[0].sample_rate)
        held.clear()
        yield chunk


def _check_rate(rate: int, rate_before: int) -> None:
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise RequestError(
            f"The sound that came says it has {rate} samples per second, which no speech has. Ask for another format."
        )
    if rate_before not in (0, rate):
        raise RequestError(
            f"The sound that came changes its rate on the way, from {rate_before} to {rate} Hz. Try again, or ask for "
            "another format."
        )
