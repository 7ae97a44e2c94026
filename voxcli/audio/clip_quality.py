"""Is a clip fit to clone a voice from? Measured, and said in words."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk

FRAME_SECONDS = 0.02
"""Shorter than any pause, longer than a period of the deepest voice."""
_FLOOR_DBFS = -96.0
"""Where 16 bits end; digital silence is given this level."""
_SILENT_DBFS = -60.0
"""Nobody speaks this softly into a working microphone."""

_SHORTEST_SECONDS, _SHORT_SECONDS, _LONG_SECONDS = 3.0, 5.0, 30.0
"""Below the first a voice has shown too few of its sounds; beyond the last there is more to read and nothing new."""
_LONGEST_END_SECONDS = 1.0
"""A model learns silence as readily as speech: a clip that ends in it makes speech that starts with it."""
_QUIETEST_DBFS, _LOUDEST_DBFS = -38.0, -10.0
"""Speech is commonly mixed to between -26 and -16; 12 dB below, the steps of 16 bits and the room come near, and
6 dB above, only a limiter gets it there without clipping."""
_CLIPPED_FROM, _MOST_CLIPPED = 0.9999, 1e-4
"""A clip normalised to full scale touches it with a few samples; a distorted one with whole wave crests."""
_LEAST_SNR_DB = 20.0
"""Where noise starts to be imitated along with the voice."""
_LOWEST_RATE = 16000
"""Hz. Below, the consonants are gone, as on the telephone."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured. Levels are in dB below full scale, of frames of 20 ms."""

    seconds: float
    sample_rate: int
    peak_dbfs: float
    speech_dbfs: float
    """The mean power while somebody speaks."""
    noise_dbfs: float
    """The level in the pauses; digital silence around the recording does not count as one."""
    clipped_fraction: float
    leading_silence_seconds: float
    trailing_silence_seconds: float

    @property
    def snr_db(self) -> float:
        return self.speech_dbfs - self.noise_dbfs

    @property
    def silent(self) -> bool:
        """Whether there is nobody in it who could be imitated."""
        return self.speech_dbfs <= _SILENT_DBFS

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is wrong, each with what to do about it; empty when all is well."""
        if self.silent:
            return ("It is silent. Check the microphone and record again.",)
        return (*_length_remarks(self), *_level_remarks(self))


def inspect(chunk: AudioChunk) -> Report:
    """Measure a clip. Takes any samples, even none; half a minute takes some 50 ms."""
    samples = np.clip(np.asarray(chunk.samples, np.float64), -1.0, 1.0)
    loudness = np.abs(samples)
    levels = frame_levels(samples, max(1, round(FRAME_SECONDS * chunk.sample_rate)))
    (sounding,) = np.nonzero(levels > _FLOOR_DBFS)
    recorded = levels[sounding[0] : sounding[-1] + 1] if len(sounding) else np.array([_FLOOR_DBFS])
    # Percentiles and not extremes, so that neither a click nor a lost packet sets the scale.
    noise, top = np.percentile(recorded, [5, 95])
    (speaking,) = np.nonzero((levels >= (noise + top) / 2) & (levels > _FLOOR_DBFS))
    spoken = len(speaking) > 0
    return Report(
        seconds=chunk.seconds,
        sample_rate=chunk.sample_rate,
        peak_dbfs=_dbfs(float(loudness.max(initial=0.0)) ** 2),
        speech_dbfs=_dbfs(float(np.mean(10 ** (levels[speaking] / 10)))) if spoken else _FLOOR_DBFS,
        noise_dbfs=float(noise),
        clipped_fraction=float(np.mean(loudness >= _CLIPPED_FROM)) if len(samples) else 0.0,
        leading_silence_seconds=int(speaking[0]) * FRAME_SECONDS if spoken else chunk.seconds,
        trailing_silence_seconds=int(len(levels) - 1 - speaking[-1]) * FRAME_SECONDS if spoken else 0.0,
    )


def frame_levels(samples: NDArray[np.floating], frame: int) -> NDArray[np.float64]:
    """Return the level of each frame in dBFS, a constant offset taken off; the last is filled up if it is short.

    Args:
        samples: (n,), within [-1, 1].
        frame: its length in samples.
    """
    if len(samples) == 0:
        return np.zeros(0)
    whole = np.pad(np.asarray(samples, np.float64), (0, -len(samples) % frame), "edge")
    frames = whole.reshape(-1, frame)
    return np.asarray(10 * np.log10(np.maximum(frames.var(axis=1), 10 ** (_FLOOR_DBFS / 10))))


def _dbfs(power: float) -> float:
    return max(10 * math.log10(power), _FLOOR_DBFS) if power > 0 else _FLOOR_DBFS


def _length_remarks(report: Report) -> Iterator[str]:
    leading, trailing = report.leading_silence_seconds, report.trailing_silence_seconds
    seconds = report.seconds - leading - trailing
    if seconds < _SHORTEST_SECONDS:
        yield f"It is too short: {seconds:.1f} s of speech. Record 5 to 30 s."
    elif seconds < _SHORT_SECONDS:
        yield f"It is short: {seconds:.1f} s of speech. It will do, but with 5 to 30 s the likeness grows."
    elif seconds > _LONG_SECONDS:
        yield f"It is long: {seconds:.1f} s of speech. Keep the clearest 5 to 30 s."
    if leading > _LONGEST_END_SECONDS:
        yield f"It begins with {leading:.1f} s of silence. Cut that off."
    if trailing > _LONGEST_END_SECONDS:
        yield f"It ends with {trailing:.1f} s of silence. Cut that off."


def _level_remarks(report: Report) -> Iterator[str]:
    if report.clipped_fraction > _MOST_CLIPPED:
        yield (
            f"It is distorted: {report.clipped_fraction:.2%} of it is cut off at full scale. "
            "Record again with the input turned down."
        )
    if report.speech_dbfs < _QUIETEST_DBFS:
        yield f"It is quiet: speech at {report.speech_dbfs:.0f} dBFS. Record again, closer or louder."
    elif report.speech_dbfs > _LOUDEST_DBFS:
        yield (
            f"It is very loud: speech at {report.speech_dbfs:.0f} dBFS. Turn the input down, and any compressor off."
        )
    if report.snr_db < _LEAST_SNR_DB:
        yield (
            f"It is noisy: speech stands only {report.snr_db:.0f} dB above what is heard in the pauses. "
            "Record in a quiet room, without music or other voices."
        )
    if report.sample_rate < _LOWEST_RATE:
        yield f"It sounds like a telephone: {report.sample_rate} Hz. Record at 16000 Hz or more."


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
