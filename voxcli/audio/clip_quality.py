"""Clip quality: whether a recording is good enough to clone a voice from, and cutting silence off its ends."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.loudness import decibels

FRAME_SECONDS = 0.02
"""Shorter than a pause, longer than a period of the deepest voice."""
_FLOOR_DBFS = -96.0
"""The range of 16 bits; the level that digital silence is given."""
_SILENT_DBFS = -60.0
"""Speech into a working microphone is louder."""

_LEAST_SECONDS = 0.3
"""A syllable or two. In less there is no voice to imitate."""
_SHORTEST_SECONDS, _SHORT_SECONDS, _LONG_SECONDS = 3.0, 5.0, 30.0
"""Below the first, too few sounds of the voice are heard; beyond the last, more costs time and adds nothing."""
_MAX_END_SECONDS = 1.0
"""A model imitates silence as well: after a clip that ends in silence, speech starts with it."""
_QUIETEST_DBFS, _LOUDEST_DBFS = -38.0, -10.0
"""Speech is commonly mixed to between -26 and -16. 12 dB below, quantization and room noise become audible, and 6 dB
above, only a limiter avoids clipping."""
_CLIPPED_FROM, _MAX_CLIPPED = 0.9999, 1e-4
"""A clip normalised to full scale reaches it with a few samples, a clipped one with many."""
_MIN_SNR_DB = 20.0
"""Below, noise is imitated along with the voice."""
_LARGEST_OFFSET = 0.02
"""Of full scale. Sound cards have far less."""
_LOWEST_RATE = 16000
"""Hz. Below, consonants are missing, as on the telephone."""

_ROOM_SECONDS = 0.2
"""Left on either side, for breath and reverberation."""
_SPARED_SECONDS = 0.4
"""Shorter silence at an end does no harm and is left as it is."""

_LOUD_SECONDS = 0.5
"""The duration of the loudest sounds that are the reference level: longer than any click."""
_SPEECH_BELOW_DB, _SILENCE_BELOW_DB = 20.0, 50.0
"""Vowels are within the first of the loudest sounds, soft consonants within the second."""
_ABOVE_NOISE = 0.25
"""Speech begins at this fraction of the way from the noise level to the reference level: pauses vary in level."""


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Measurements of a clip. Levels are in dBFS, of frames of 20 ms."""

    seconds: float
    sample_rate: int
    speech_dbfs: float
    """The mean power of the frames with speech."""
    noise_dbfs: float
    """The level in the pauses, without digital silence around the recording."""
    clipped_fraction: float
    offset: float
    """The mean of the samples (DC)."""
    leading_silence_seconds: float
    trailing_silence_seconds: float

    @property
    def snr_db(self) -> float:
        return self.speech_dbfs - self.noise_dbfs

    @property
    def silent(self) -> bool:
        """Whether no speech is in it."""
        return self.speech_dbfs <= _SILENT_DBFS

    @property
    def empty(self) -> bool:
        """Whether it is so short that no voice can be in it."""
        return self.seconds < _LEAST_SECONDS

    @property
    def remarks(self) -> tuple[str, ...]:
        """Each problem with its remedy; empty if there are none."""
        return tuple(remark for _, remark in self.problems)

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """The same, each after its kind in one word, for programs that have words of their own."""
        if self.silent:
            return (("silent", "It is silent. Check the microphone and record again."),)
        if self.empty:
            said = f"It has {self.seconds * 1000:.3g} ms of sound: no voice is in it. Record 5 to 30 s."
            return (("empty", said),)
        return (*_length_problems(self), *_level_problems(self))

    @property
    def speech_seconds(self) -> float:
        """Seconds without the silence at the ends."""
        return self.seconds - self.leading_silence_seconds - self.trailing_silence_seconds


def inspect(chunk: AudioChunk) -> ClipReport:
    """Measure a clip of any length, even an empty one. Half a minute takes about 50 ms."""
    samples = np.clip(np.asarray(chunk.samples, np.float64), -1.0, 1.0)
    levels = frame_levels(samples, max(1, round(FRAME_SECONDS * chunk.sample_rate)))
    (sounding,) = np.nonzero(levels > _FLOOR_DBFS)
    recorded = levels[sounding[0] : sounding[-1] + 1] if len(sounding) else np.array([_FLOOR_DBFS])
    # Percentiles and not extremes, which could come from a click or a lost packet.
    noise, top = np.percentile(recorded, [5, 95])
    (speaking,) = np.nonzero((levels >= (noise + top) / 2) & (levels > _FLOOR_DBFS))
    spoken = len(speaking) > 0
    return ClipReport(
        seconds=chunk.seconds,
        sample_rate=chunk.sample_rate,
        speech_dbfs=float(decibels(float(np.mean(10 ** (levels[speaking] / 10))), _FLOOR_DBFS))
        if spoken
        else _FLOOR_DBFS,
        noise_dbfs=float(noise),
        clipped_fraction=float(np.mean(np.abs(samples) >= _CLIPPED_FROM)) if len(samples) else 0.0,
        offset=float(np.mean(samples)) if len(samples) else 0.0,
        leading_silence_seconds=int(speaking[0]) * FRAME_SECONDS if spoken else chunk.seconds,
        trailing_silence_seconds=int(len(levels) - 1 - speaking[-1]) * FRAME_SECONDS if spoken else 0.0,
    )


def trimmed(chunk: AudioChunk) -> AudioChunk:
    """Return the clip with short silence at its ends: a slice of it, or the clip itself if there is nothing to cut.

    The levels are measured inside the slice, so trimming a second time changes nothing.
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


def frame_levels(samples: NDArray[np.floating], frame: int) -> NDArray[np.float64]:
    """Return the level of each frame in dBFS, without its DC offset; a short last frame is padded.

    Args:
        samples: (n,), within [-1, 1].
        frame: the length of a frame in samples.
    """
    if len(samples) == 0:
        return np.zeros(0)
    whole = np.pad(np.asarray(samples, np.float64), (0, -len(samples) % frame), "edge")
    frames = whole.reshape(-1, frame)
    return decibels(frames.var(axis=1), _FLOOR_DBFS)


def _length_problems(report: ClipReport) -> Iterator[tuple[str, str]]:
    leading, trailing, seconds = report.leading_silence_seconds, report.trailing_silence_seconds, report.speech_seconds
    if seconds < _SHORTEST_SECONDS:
        yield "too_short", f"It is too short: {seconds:.1f} s of speech. Record 5 to 30 s."
    elif seconds < _SHORT_SECONDS:
        yield "short", f"It is short: {seconds:.1f} s of speech. It works, but 5 to 30 s give a better likeness."
    elif seconds > _LONG_SECONDS:
        yield "long", f"It is long: {seconds:.1f} s of speech. Keep the clearest 5 to 30 s."
    if leading > _MAX_END_SECONDS:
        yield "silent_start", f"It begins with {leading:.1f} s of silence. Cut it off."
    if trailing > _MAX_END_SECONDS:
        yield "silent_end", f"It ends with {trailing:.1f} s of silence. Cut it off."


def _level_problems(report: ClipReport) -> Iterator[tuple[str, str]]:
    if report.clipped_fraction > _MAX_CLIPPED:
        yield (
            "distorted",
            f"It is distorted: {report.clipped_fraction:.2%} of it is clipped at full scale. "
            "Record again with the input turned down.",
        )
    if report.speech_dbfs < _QUIETEST_DBFS:
        yield "quiet", f"It is quiet: speech at {report.speech_dbfs:.0f} dBFS. Record again, closer or louder."
    elif report.speech_dbfs > _LOUDEST_DBFS:
        yield (
            "loud",
            f"It is very loud: speech at {report.speech_dbfs:.0f} dBFS. Turn the input down, and any compressor off.",
        )
    if report.snr_db < _MIN_SNR_DB:
        yield (
            "noisy",
            f"It is noisy: speech is only {report.snr_db:.0f} dB above the noise in the pauses. "
            "Record in a quiet room, without music or other voices.",
        )
    if abs(report.offset) > _LARGEST_OFFSET:
        yield (
            "offset",
            f"It has a DC offset of {report.offset:.0%} of full scale, as a faulty input makes it. "
            "Remove it with a high-pass filter at 20 Hz.",
        )
    if report.sample_rate < _LOWEST_RATE:
        said = f"It sounds like a telephone: {report.sample_rate} Hz. Record at 16000 Hz or more."
        yield "telephone", said


def _threshold(levels: NDArray[np.float64]) -> float:
    """Return the level in dBFS above which a frame is not silence."""
    loud = np.sort(levels)[-min(len(levels), round(_LOUD_SECONDS / FRAME_SECONDS))]
    speaking = np.flatnonzero(levels >= loud - _SPEECH_BELOW_DB)
    # Between the first word and the last, so that digital silence around the recording does not count.
    noise = np.percentile(levels[speaking[0] : speaking[-1] + 1], 5)
    return float(np.clip(noise + _ABOVE_NOISE * (loud - noise), loud - _SILENCE_BELOW_DB, loud - _SPEECH_BELOW_DB))
