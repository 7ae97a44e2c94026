"""Pitch of a voice: its median over the voiced parts of a recording, by autocorrelation."""

import numpy as np

from voxcli.audio.chunk import AudioChunk

_FRAME_SECONDS = 0.05
_LOWEST, _HIGHEST = 60.0, 400.0
"""Hz, of speaking voices."""
_LEAST_CORRELATION = 0.6
"""Of a frame with its copy a period later, if it is voiced."""
_NEARLY = 0.9
_LEAST_POWER = 1e-5


def median_pitch(chunk: AudioChunk) -> float | None:
    """Return the pitch of a voice in Hz; None if nothing is voiced."""
    length = round(_FRAME_SECONDS * chunk.sample_rate)
    count = len(chunk.samples) // length
    frames = chunk.samples[: count * length].reshape(count, length).astype(np.float64)
    frames = frames[np.square(frames).mean(axis=1) > _LEAST_POWER]
    if not len(frames):
        return None
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(length)
    size = 2 * length
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(frames, size))), size)[:, :length]
    window = np.fft.irfft(np.square(np.abs(np.fft.rfft(np.hanning(length), size))), size)[:length]
    first, last = round(chunk.sample_rate / _HIGHEST), min(round(chunk.sample_rate / _LOWEST), length * 3 // 4)
    relative = correlation[:, first:last] / correlation[:, :1] / (window[first:last] / window[0])
    most = relative.max(axis=1)
    # Two periods later a wave is like itself too, so the first peak that is nearly the highest counts.
    rises = np.diff(relative, prepend=relative[:, :1], append=relative[:, -1:]) >= 0
    peaks = rises[:, :-1] & ~rises[:, 1:] & (relative >= _NEARLY * most[:, np.newaxis])
    best = np.where(peaks.any(axis=1), peaks.argmax(axis=1), relative.argmax(axis=1))
    voiced = most >= _LEAST_CORRELATION
    return float(np.median(chunk.sample_rate / (best[voiced] + first))) if voiced.any() else None
