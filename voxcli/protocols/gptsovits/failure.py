"""What GPT-SoVITS sends in place of sound when it has failed: a second of silence, with a status that says 200.

Source: github.com/RVC-Boss/GPT-SoVITS, `TTS.run`: 16000 samples of zero, at 16 kHz where nothing was sent before.
"""

from contextlib import closing

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.errors import RemoteCut, RemoteError
from voxcli.synthesis.request import Speech

_RATE = 16000
"""Hz. None of its models speaks at this rate."""
_COUNT = 16000
"""Samples, whatever the rate."""

_FAILED = (
    "The server failed while it spoke, or found nothing to say: all it sent is a second of silence, "
    "as GPT-SoVITS does then. Its log says why."
)
_FAILED_LATE = (
    "{} Before, it sent half a second of silence or more, as GPT-SoVITS does when it fails. Its log says why."
)


def is_failure(samples: Samples, sample_rate: int) -> bool:
    """Tell whether a whole answer stands for a failure."""
    return sample_rate == _RATE and len(samples) == _COUNT and not samples.any()


def without_failure(chunks: Speech) -> Speech:
    """Pass sound on, but raise an error in the place of silence that stands for one.

    Only silence that may be all there is waits until that is known; other chunks pass at once.

    Raises:
        RemoteError: the whole answer stands for a failure.
        RemoteCut: what `chunks` raises, with the reason if the silence before gives it away.
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
    """Count the samples of zero at the end of all sound, of which `before` were there already."""
    heard = np.flatnonzero(samples)
    return len(samples) - 1 - int(heard[-1]) if len(heard) else before + len(samples)
