"""Stems: a file for each speaker, as long as the whole, with silence where others speak. Their sum is the whole."""

import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.sinks.base import Sink
from voxcli.synthesis.request import SentenceMark

REST = "narrator"
"""Name of the stem of what has no speaker."""
_UNSAFE = re.compile(r"[^\w .-]+")
_BLOCK = 2**16
_SUFFIX = ".wav"


class Stems:
    """Writes each chunk to the stem of the speaker whose sentence it belongs to, and as much silence to the others."""

    underruns = None
    heard_at = None
    played_seconds = None

    def __init__(self, folder: Path, new_file: Callable[[Path], Sink]) -> None:
        """
        Args:
            folder: made if it is not there.
            new_file: returns the sink of one stem.
        """
        self._folder, self._new_file = folder, new_file
        self._stems: dict[str | None, Sink] = {}
        self._names: set[str] = set()
        self._speaker: str | None = None
        self._before: list[AudioChunk] = []  # silence before the first sentence
        self._samples = self._rate = 0

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeviceError(f"Cannot make the folder {self._folder}: {error.strerror or error}.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure: VoxError | ConsumerClosed | None = None
        for stem in self._stems.values():
            try:
                stem.__exit__(kind, error, trace)
            except (VoxError, ConsumerClosed) as late:
                failure = failure or late
        if failure and kind is None:
            raise failure

    def write(self, chunk: AudioChunk) -> None:
        if self._speaker not in self._stems and not self._stems:
            self._before.append(chunk)
            return
        self._write(chunk)

    def mark(self, mark: SentenceMark) -> None:
        if mark.end is not None:
            return
        self._speaker = mark.speaker
        if mark.speaker not in self._stems:
            self._open(mark.speaker)
        before, self._before = self._before, []
        for chunk in before:
            self._write(chunk)

    def idle(self) -> None:
        """Do nothing: a file has no underruns."""

    def _write(self, chunk: AudioChunk) -> None:
        silence = AudioChunk(np.zeros_like(chunk.samples), chunk.sample_rate)
        self._samples += len(chunk.samples)
        self._rate = chunk.sample_rate
        for speaker, stem in self._stems.items():
            stem.write(chunk if speaker == self._speaker else silence)

    def _open(self, speaker: str | None) -> None:
        stem = self._new_file(self._folder / f"{self._name(speaker or REST)}{_SUFFIX}")
        stem.__enter__()
        self._stems[speaker] = stem
        for begin in range(0, self._samples, _BLOCK):
            count = min(_BLOCK, self._samples - begin)
            stem.write(AudioChunk(np.zeros(count, np.float32), self._rate))

    def _name(self, speaker: str) -> str:
        """Return a safe name for a file that no other stem has."""
        plain = _UNSAFE.sub("_", speaker).strip(" .") or "speaker"
        name, number = plain, 1
        while name.casefold() in self._names:
            number += 1
            name = f"{plain}-{number}"
        self._names.add(name.casefold())
        return name
