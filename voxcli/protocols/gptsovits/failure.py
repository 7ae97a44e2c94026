"""Failures of GPT-SoVITS, which it reports as a second of silence with status 200.

Source: github.com/RVC-Boss/GPT-SoVITS, `TTS.run`: 16000 samples of zero, at 16 kHz where nothing was sent before.
"""

from contextlib import closing

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.errors import RemoteCut, RemoteError
from voxcli.synthesis.request import Speech

_RATE = 16000
"""Hz. None of its models uses this rate."""
_COUNT = 16000
"""Samples, at any rate."""

_FAILED = (
    "The server failed while generating, or found no text to speak: all it sent is a second of silence, "
    "as GPT-SoVITS does then. See its log."
)
_FAILED_LATE = "{} Before that, it sent a stretch of silence, as GPT-SoVITS does when it fails. See its log."


def is_failure(samples: Samples, sample_rate: int) -> bool:
    """Tell whether a complete response stands for a failure."""
    return sample_rate == _RATE and len(samples) == _COUNT and not samples.any()


def without_failure(chunks: Speech) -> Speech:
    """Pass chunks on, but raise an error for silence that stands for a failure.

    Chunks are held back only as long as they may be the silence of a failure.

    Raises:
        RemoteError: the complete response stands for a failure.
        RemoteCut: raised by `chunks`; with an explanation if the silence before it indicates a failure.
    """
    held: list[AudioChunk] = []
    count = zeros = 0
    begun = False
    with closing(chunks):
        try:
            for chunk in chunks:
                count += len(chunk.samples)
                zeros = _zeros_at_end(chunk.samples, zeros)
                held.append(chunk)
                begun = begun or chunk.sample_rate != _RATE or zeros < count or count > _COUNT
                if begun:
                    yield from held
                    held.clear()
        except RemoteCut as error:
            if zeros >= _COUNT:
                raise RemoteCut(_FAILED_LATE.format(error)) if begun else RemoteError(_FAILED) from error
            raise
    if held and count == _COUNT:
        raise RemoteError(_FAILED)
    yield from held


def _zeros_at_end(samples: Samples, before: int) -> int:
    """Return the number of trailing zero samples, given that of the chunks before."""
    nonzero = np.flatnonzero(samples)
    return len(samples) - 1 - int(nonzero[-1]) if len(nonzero) else before + len(samples)
