"""Sentences of a book, made once each and kept as FLAC in its work folder, by everything that decides their samples.

Between the pipeline and an engine: the pipeline joins what is kept as it would join what is spoken. So a book that was
stopped and resumed is the same as one that was not.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded_whole
from voxcli.audio.format import AudioFormat
from voxcli.audio.soundfile_decoder import read_plain
from voxcli.batch.manifest import Manifest, ManifestEntry
from voxcli.errors import DeviceError, RequestError
from voxcli.synthesis.identity import VoiceIdentity, identity_of
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Abilities, Engine, Speech, SynthesisRequest, Voice, abilities_of
from voxcli.voices.archive import SUFFIX

_MANIFEST, _LOCK, _SENTENCES = "manifest.jsonl", "lock", "sentences"
_OWN = frozenset({_LOCK, _SENTENCES})
"""In a folder whose manifest is not written yet."""
_LONGEST_SECONDS = 3600.0


class WorkFolder:
    """The folder of a book that is being made, beside it. One process works in it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / _LOCK)

    @classmethod
    def beside(cls, target: Path) -> Self:
        """Return the folder for a book of this name."""
        return cls(target.with_name(f"{target.name}.parts"))

    @property
    def exists(self) -> bool:
        return (self.path / _MANIFEST).is_file()

    def __enter__(self) -> Self:
        try:
            if (
                self.path.exists()
                and not self.exists
                and {one.name for one in self.path.iterdir() if one.suffix != SUFFIX} - _OWN
            ):
                raise RequestError(f"{self.path} is in the way: it has other files. Move it, or name another book.")
            (self.path / _SENTENCES).mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RequestError(f"Another voxcli works in {self.path}. Wait until it has ended.") from None
        except OSError as error:
            raise DeviceError(f"Cannot write {self.path}: {error.strerror or error}.") from error
        self.manifest = Manifest(self.path / _MANIFEST)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind and not len(self.manifest) and not self.kept.get("voices"):
            self.remove()  # nothing was made
        self.manifest.close()
        self._lock.release()

    @property
    def kept(self) -> Mapping[str, Any]:
        """What was kept of the book beside its sentences."""
        return self.manifest.header

    def keep(self, **values: Any) -> None:
        """Keep values, in place of those of the same names."""
        if {**self.kept, **values} != self.kept or not self.manifest.exists:
            self.manifest.begin({**self.kept, **values})

    def remove(self) -> None:
        """Remove the folder: the book is whole. What others have put there stays, as what cannot be removed does."""
        self.manifest.close()
        self._lock.release()
        shutil.rmtree(self.path / _SENTENCES, ignore_errors=True)
        with suppress(OSError):
            for file in (self.path / _MANIFEST, self.path / _LOCK, *self.path.glob(f"*{SUFFIX}")):
                file.unlink(missing_ok=True)
            self.path.rmdir()


class BookSounds:
    """An engine that makes each sentence once, and reads it from the work folder from then on."""

    def __init__(self, engine: Engine, folder: WorkFolder, model: str) -> None:
        """model: its name, where the engine tells none."""
        self.slots = engine.slots
        self.abilities: Abilities = abilities_of(engine)
        self._engine = engine
        self._folder = folder
        self._model = identity_of(engine, model)
        self._whole: set[str] = set()

    @property
    def draws_voices(self) -> bool:
        """Whether the engine draws voices, as was known when the book was begun: some tell it only when they speak."""
        return bool(self._folder.kept.get("draws_voices", self._engine.draws_voices))

    def stream(self, request: SynthesisRequest) -> Speech:
        """Yield a sentence, which is made if it is not there."""
        key = self.key(request)
        entry = self._find(key)
        if entry is None:
            self._make(request, key)
            entry = self._find(key)
        if entry and entry.size:
            data = (self._folder.path / entry.file).read_bytes()
            if (sound := read_plain(data, _LONGEST_SECONDS)) is None:
                raise DeviceError(f"{self._folder.path / entry.file} cannot be read. Remove it, and start again.")
            yield sound

    def close(self) -> None:
        """Do nothing: the engine stays open."""

    def key(self, request: SynthesisRequest) -> str:
        """Return the digest of everything that decides the samples of a sentence."""
        made = Provenance.of(
            Delivery.of(request),
            self._model,
            request.text,
            voice=_identity_of(request.voice),
            sampled=self.abilities.sampling,
            reading={"text_language": request.text_language} if request.text_language else None,
        )
        return made.key()

    def is_made(self, request: SynthesisRequest) -> bool:
        return self._find(self.key(request)) is not None

    def make(self, request: SynthesisRequest) -> None:
        """Make a sentence that is not there.

        Raises:
            VoxError: the engine, or the disk, failed.
        """
        self._make(request, self.key(request))

    def _find(self, key: str) -> ManifestEntry | None:
        """Return a sentence that is whole. Its file is looked at once."""
        entry = self._folder.manifest.find(_file_of(key))
        if entry is None or entry.key != key or (key not in self._whole and not entry.is_intact(self._folder.path)):
            return None
        self._whole.add(key)
        return entry

    def _make(self, request: SynthesisRequest, key: str) -> None:
        with closing(self._engine.stream(request)) as speech:
            chunks = list(speech)
        seconds = sum(chunk.seconds for chunk in chunks)
        path = self._folder.path / _file_of(key)
        unfinished = path.with_suffix(".unfinished")
        try:
            with unfinished.open("wb") as file:
                file.write(_encoded(chunks))
                file.flush()
                os.fsync(file.fileno())
            entry = ManifestEntry.of(unfinished, file=_file_of(key), key=key, seconds=seconds)
            self._folder.manifest.append(entry)
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise DeviceError(
                f"Cannot write {path}: {error.strerror or error}. Everything before this sentence is kept."
            ) from error
        self._whole.add(key)


@lru_cache(maxsize=64)
def _identity_of(voice: Voice) -> VoiceIdentity:
    """Return the identity of a voice, whose recordings are hashed once and not for each sentence."""
    return VoiceIdentity.of(voice)


def _file_of(key: str) -> str:
    return f"{_SENTENCES}/{key}.flac"


def _encoded(chunks: Iterable[AudioChunk]) -> bytes:
    return encoded_whole(iter(chunks), AudioFormat.FLAC)
