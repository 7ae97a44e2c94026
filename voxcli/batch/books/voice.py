"""Voice of a book: one from the first page to the last, and how much it changes all the same."""

import logging
import math
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.headers import wav_bytes
from voxcli.audio.loudness import loudness
from voxcli.audio.pcm import concatenated
from voxcli.batch.books.sounds import WorkFolder
from voxcli.errors import ModelError, RequestError
from voxcli.files import write_atomically
from voxcli.synthesis.identity import digest_of_text
from voxcli.synthesis.narration import draws_voice, first_request
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Clip, Engine, Prompt, SynthesisRequest, Voice
from voxcli.voices.anchors import draw
from voxcli.voices.archive import SUFFIX, pack, unpack
from voxcli.voices.named import ANCHOR_TEXTS, FIRST_LANGUAGE, NamedVoice, anchor_language

_log = logging.getLogger(__name__)

_NAME = "voice"
_FEWEST = 4
"""Sentences at either end of a book that tell whether its voice has changed."""
_LOUD, _HIGH = 3.0, 2.0
"""Decibels and semitones that are heard as a change."""

_FRAME_SECONDS = 0.05
_LOWEST, _HIGHEST = 60.0, 400.0
"""Hz, of speaking voices."""
_LEAST_CORRELATION = 0.6
"""Of a frame with its copy a period later, if it is voiced."""
_NEARLY = 0.9
_LEAST_POWER = 1e-5


def steady_delivery(engine: Engine, delivery: Delivery, folder: WorkFolder, name: str, sample: str) -> Delivery:
    """Return the delivery of a book. If the engine draws voices, one is drawn now and kept in the work folder.

    It says a text of its own, so that it does not depend on what the book begins with.

    Args:
        delivery: with its seed.
        name: of the speaker; "" for the narrator.
        sample: of the text of the book, which tells its language.

    Raises:
        VoxError: the engine failed.
    """
    if not draws_voice(engine, delivery.voice):
        return delivery
    language = anchor_language(sample[:2000], delivery.language) or FIRST_LANGUAGE
    text = ANCHOR_TEXTS[language]
    request = first_request(engine, replace(delivery, language=language).request(text))
    origin = f"{request.voice.style or ''}|{request.sampling}|{language}"
    path = folder.path / f"{_NAME}-{digest_of_text(name)[:8]}{SUFFIX}"
    voices = dict(folder.kept.get("voices", {}))
    if voices.get(name) == origin:
        try:
            return replace(delivery, voice=unpack(path.read_bytes(), label=str(path))[1])
        except (OSError, RequestError) as error:
            _log.debug("the voice of the book is drawn again: %s", error)
    voice = Voice(prompt=Prompt(Clip(_drawn(engine, request), "voice.wav"), text))
    write_atomically(path, pack(_NAME, voice))
    folder.keep(voices={**voices, name: origin})
    # Read again, so that it is the same after a resume to the byte.
    return replace(delivery, voice=unpack(path.read_bytes(), label=str(path))[1])


def _drawn(engine: Engine, request: SynthesisRequest) -> bytes:
    def speak(seed: int) -> tuple[AudioChunk, bool]:
        seeded = replace(request, sampling=replace(request.sampling, seed=seed))
        with closing(engine.stream(seeded)) as speech:
            chunks = list(speech)
        if not chunks:
            raise ModelError("The model made no sound for its voice.")
        return concatenated(chunks), True

    sound = draw(speak, NamedVoice(_NAME, request.sampling.seed or 0, ""))
    return wav_bytes(sound.samples, sound.sample_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceDrift:
    """How much the voice of a book changes from its beginning to its end."""

    decibels: float
    semitones: float | None
    """None if too little is voiced."""

    @property
    def is_heard(self) -> bool:
        return abs(self.decibels) > _LOUD or abs(self.semitones or 0.0) > _HIGH

    def __str__(self) -> str:
        found = [f"{abs(self.decibels):.1f} dB {'louder' if self.decibels > 0 else 'softer'}"]
        if self.semitones is not None:
            found.append(f"{abs(self.semitones):.1f} semitones {'higher' if self.semitones > 0 else 'lower'}")
        verdict = "changes" if self.is_heard else "is steady"
        return f"the voice {verdict}: at the end of the book it is {' and '.join(found)} than at its beginning"


class DriftMeter:
    """Compares sentences at the beginning and the end of a book."""

    def __init__(self, count: int) -> None:
        """count: sentences of the book."""
        self._edge = max(_FEWEST, count // 20)
        self._count = count
        self._first: list[tuple[float, float | None]] = []
        self._last: list[tuple[float, float | None]] = []

    def wants(self, number: int) -> bool:
        """Whether a sentence, counted from 0, is one of those that are compared."""
        return self._count >= 2 * self._edge and (number < self._edge or number >= self._count - self._edge)

    def add(self, number: int, sentence: AudioChunk) -> None:
        level = loudness(sentence)
        if math.isfinite(level):
            (self._first if number < self._edge else self._last).append((level, median_pitch(sentence)))

    def result(self) -> VoiceDrift | None:
        """Return the change; None if there are too few sentences."""
        if min(len(self._first), len(self._last)) < _FEWEST:
            return None
        levels = [median(level for level, _ in part) for part in (self._first, self._last)]
        pitches = [[pitch for _, pitch in part if pitch] for part in (self._first, self._last)]
        semitones = 12 * math.log2(median(pitches[1]) / median(pitches[0])) if all(pitches) else None
        return VoiceDrift(decibels=levels[1] - levels[0], semitones=semitones)


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
