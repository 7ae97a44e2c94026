"""Silence taken off both ends of a clip."""

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.inspect import FRAME_SECONDS, frame_levels

_ROOM_SECONDS = 0.2
"""Left on either side, where breath and reverberation are."""
_SPARED_SECONDS = 0.4
"""An end so short does no harm, and is left as it is."""

_LOUD_SECONDS = 0.5
"""How long a clip is as loud as what all else is measured by: no click lasts so long."""
_SPEECH_BELOW_DB, _SILENCE_BELOW_DB = 20.0, 50.0
"""Vowels lie within the first of the loudest sounds, and soft consonants within the second."""
_ABOVE_NOISE = 0.25
"""Where on the way from the noise to the loudest sounds speech is taken to begin: pauses are not of one level."""


def trimmed(chunk: AudioChunk) -> AudioChunk:
    """Return a clip with little silence at its ends: a piece of it, or itself if there is nothing to take off.

    What it is measured by lies within the piece, so that trimming once more changes nothing.
    """
    frame = max(1, round(FRAME_SECONDS * chunk.sample_rate))
    levels = frame_levels(chunk.samples, frame)
    sounding = np.flatnonzero(levels >= _threshold(levels)) if len(levels) else np.zeros(0, np.intp)
    if not len(sounding):
        return chunk
    room, spared = round(_ROOM_SECONDS / FRAME_SECONDS), round(_SPARED_SECONDS / FRAME_SECONDS)
    first, after = int(sounding[0]), int(sounding[-1]) + 1
    begin = first - room if first > spared else 0
    end = after + room if len(levels) - after > spared else len(levels)
    if (begin, end) == (0, len(levels)):
        return chunk
    return AudioChunk(chunk.samples[begin * frame : end * frame], chunk.sample_rate)


def _threshold(levels: NDArray[np.float64]) -> float:
    """Return the level in dB from which on a frame is more than silence."""
    loud = np.sort(levels)[-min(len(levels), round(_LOUD_SECONDS / FRAME_SECONDS))]
    speaking = np.flatnonzero(levels >= loud - _SPEECH_BELOW_DB)
    # Between the first word and the last: the noise of the pauses, whatever surrounds the recording.
    noise = np.percentile(levels[speaking[0] : speaking[-1] + 1], 5)
    return float(np.clip(noise + _ABOVE_NOISE * (loud - noise), loud - _SILENCE_BELOW_DB, loud - _SPEECH_BELOW_DB))
