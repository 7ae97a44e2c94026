"""Anchors: the first seconds of each named voice, drawn once per model and kept on disk.

The anchor is the prompt of everything that the voice says, so a voice is one speaker in every process, on every day.
A file that is damaged or deleted is drawn again, with the same result.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.clip_quality import inspect, trimmed
from voxcli.audio.headers import wav_bytes
from voxcli.errors import RequestError
from voxcli.files import write_atomically
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.text.language import CHINESE
from voxcli.voices.archive import SUFFIX, pack, unpack
from voxcli.voices.named import ANCHOR_TEXTS, FIRST_LANGUAGE, NamedVoice

_log = logging.getLogger(__name__)

VERSION = 1
"""Of the texts, seeds, descriptions and rules. Another version makes other speakers."""

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 15.0
"""Speech that is shorter or longer than this is not what the text says."""
_ATTEMPTS = 3
_POLL_SECONDS = 0.05
_LANGUAGE_NAMES = {CHINESE: "Chinese"}


class Anchors:
    """The anchors of one model, in memory and on disk. Used from several threads and processes at once."""

    def __init__(self, folder: Path | None, origin: Callable[[], bytes]) -> None:
        """
        Args:
            folder: on disk; None keeps anchors in memory only.
            origin: returns everything that they depend on besides their name: model, precision, kind of device.
                Called when the first one is needed.
        """
        self._parent = folder
        self._origin = origin
        self._known: dict[tuple[str, str], Prompt] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}

    def find(self, voice: NamedVoice, language: str, speak: Callable[[int], tuple[AudioChunk, bool]]) -> Prompt:
        """Return the anchor of a voice in a language, which is drawn if it is not known yet.

        Args:
            language: a key of `ANCHOR_TEXTS`.
            speak: says the text of the language with a seed. Returns the sound and whether it came to its end.
        """
        key = (voice.name, language)
        if found := self._known.get(key):
            return found
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._known:
                self._known[key] = self._kept(voice, language, speak)
        return self._known[key]

    def _kept(self, voice: NamedVoice, language: str, speak: Callable[[int], tuple[AudioChunk, bool]]) -> Prompt:
        path = self._path(f"{voice.name}-{language}")
        if path and (found := _read(path, ANCHOR_TEXTS[language])):
            return found
        with _locked(path):
            if path and (found := _read(path, ANCHOR_TEXTS[language])):  # drawn by another process meanwhile
                return found
            _log.info("drawing the voice %s for this model, once", _shown(voice.name, language))
            sound = draw(speak, voice)
            clip = Clip(wav_bytes(sound.samples, sound.sample_rate), "prompt.wav")
            prompt = Prompt(clip, ANCHOR_TEXTS[language])
            if path:
                _write(path, voice.name, prompt)
            return prompt

    def _path(self, name: str) -> Path | None:
        if self._parent is None:
            return None
        folder = hashlib.sha256(b"%d %s" % (VERSION, self._origin())).hexdigest()[:32]
        return self._parent / folder / (name + SUFFIX)


def _shown(name: str, language: str) -> str:
    return name if language == FIRST_LANGUAGE else f"{name} in {_LANGUAGE_NAMES.get(language, language)}"


def draw(speak: Callable[[int], tuple[AudioChunk, bool]], voice: NamedVoice) -> AudioChunk:
    """Return the first usable attempt to say a text, with the voice's seed and those that follow it.

    An attempt that is silent, or too short or too long for its text, would spoil everything said after it. If none is
    usable, the first one that is not silent is taken.
    """
    fallback: AudioChunk | None = None
    for seed in range(voice.seed, voice.seed + _ATTEMPTS):
        sound, ended = speak(seed)
        sound = trimmed(sound)
        silent = inspect(sound).silent
        if ended and not silent and SHORTEST_SECONDS <= sound.seconds <= LONGEST_SECONDS:
            return sound
        _log.debug("seed %d of the voice %s is not usable: %.1f s", seed, voice.name, sound.seconds)
        fallback = fallback if silent else fallback or sound
    _log.warning("The model did not say a sentence properly, so its voice %s may sound poor.", voice.name)
    return fallback or sound


@contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    """Hold the lock of a file among processes. Where there can be none, each process draws for itself."""
    lock = None
    if path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"), poll_interval=_POLL_SECONDS)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            _log.debug("cannot lock %s: %s", path, error)
            lock = None
    try:
        yield
    finally:
        if lock:
            lock.release()


def _read(path: Path, transcript: str) -> Prompt | None:
    """Read an anchor; None if it is not there, damaged, or of another text."""
    try:
        prompt = unpack(path.read_bytes(), label=str(path))[1].prompt
    except FileNotFoundError:
        return None
    except (OSError, RequestError) as error:
        _log.debug("%s is drawn again: %s", path, error)
        return None
    return prompt if prompt and prompt.transcript == transcript else None


def _write(path: Path, name: str, prompt: Prompt) -> None:
    try:
        write_atomically(path, pack(name, Voice(prompt=prompt)))
    except OSError as error:
        _log.warning("The voice %s cannot be kept, so each run has to draw it again: %s", name, error)
