"""Cache of speech: sentences that an engine has made, kept on disk as the exact samples, by everything they depend on.

It stands between the pipeline and the engine. So joins, pauses and gain are made anew, and a text has the same samples
with it as without. Several threads and processes may use one folder at once.
"""

import hashlib
import logging
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.files import UNUSED_DAYS, remove_unused, replacing
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Engine, Speech, SynthesisRequest, abilities_of

_log = logging.getLogger(__name__)

SUFFIX = ".speech"
MOST_BYTES = 2**30
"""That a cache may take: about an hour and a half at 48 kHz."""
FIXED_SEED = 0
"""Of a text that is to be found again, where none is given."""
_MOST_SENTENCE_BYTES = 2**27
_HEADER = struct.Struct("<8sI32s")
_MAGIC = b"voxcli 1"
_BYTES_BETWEEN_CLEANUPS = 2**25
_WAIT_SECONDS = 0.1


class OneAtATime:
    """Lets one thread make what several want; the others wait, and find it made."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def alone(self, key: str, check: Callable[[], None]) -> Generator[None]:
        """Wait until no other thread makes what has this key.

        check: called while it waits; raises to stop.
        """
        with self._changed:
            while key in self._keys:
                check()
                self._changed.wait(_WAIT_SECONDS)
            self._keys.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._keys.remove(key)
                self._changed.notify_all()


class SpeechCache:
    """Sentences in one folder, the least recently used ones removed beyond a size and an age."""

    def __init__(
        self,
        folder: Path,
        model: ModelIdentity,
        *,
        most_bytes: int = MOST_BYTES,
        days: float = UNUSED_DAYS,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            folder: need not exist.
            model: of the engines that speak.
            days: after which a sentence that was not used is removed.
            check: called while another thread makes the same sentence; raises to stop.
        """
        self.found = self.made = 0
        """Sentences that were there, and that had to be made."""
        self._folder, self._model = folder, model
        self._most_bytes, self._days, self._check = most_bytes, days, check
        self._written = 0
        self._making = OneAtATime()

    def stream(self, engine: Engine, request: SynthesisRequest) -> Speech:
        """Stream as the engine does, or at once what was made of the same request before."""
        key = self._key(engine, request)
        with self._making.alone(key, self._check):
            if chunk := self._find(key):
                self.found += 1
                yield chunk
                return
            self.made += 1
            yield from self._kept(key, engine.stream(request))

    def close(self) -> None:
        """Remove what is too much."""
        if self._written:
            remove_unused(self._folder, SUFFIX, most_bytes=self._most_bytes, days=self._days)

    def _key(self, engine: Engine, request: SynthesisRequest) -> str:
        sampled = abilities_of(engine).sampling
        reading = {"text_language": request.text_language, "sentence": True}
        delivery = Delivery.of(request)
        return Provenance.of(delivery, self._model, request.text, sampled=sampled, reading=reading).key()

    def _find(self, key: str) -> AudioChunk | None:
        """Return the samples of a sentence. What is damaged is removed."""
        path = self._folder / f"{key}{SUFFIX}"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(struct.error, ValueError):
            magic, rate, digest = _HEADER.unpack_from(data)
            sound = memoryview(data)[_HEADER.size :]
            samples = np.frombuffer(sound, "<f4")
            if magic == _MAGIC and hashlib.sha256(sound).digest() == digest and len(samples):
                with suppress(OSError):
                    path.touch()
                return AudioChunk(samples.astype(np.float32), rate)
        with suppress(OSError):
            path.unlink()
        return None

    def _kept(self, key: str, speech: Speech) -> Speech:
        """Pass a sentence on, and keep it if it becomes complete."""
        chunks: list[AudioChunk] = []
        size = 0
        with closing(speech):
            for chunk in speech:
                size += chunk.samples.nbytes
                if size <= _MOST_SENTENCE_BYTES:
                    chunks.append(chunk)
                yield chunk
        if chunks and size <= _MOST_SENTENCE_BYTES:
            self._keep(key, chunks)

    def _keep(self, key: str, chunks: list[AudioChunk]) -> None:
        sound = np.concatenate([chunk.samples for chunk in chunks]).astype("<f4").tobytes()
        header = _HEADER.pack(_MAGIC, chunks[0].sample_rate, hashlib.sha256(sound).digest())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._folder / f"{key}{SUFFIX}", private=True, durable=False) as file:
                file.write(header)
                file.write(sound)
        except OSError as error:  # the speech itself is there all the same
            _log.debug("a sentence is not kept in %s: %s", self._folder, error)
            return
        self._written += len(sound)
        if self._written >= _BYTES_BETWEEN_CLEANUPS:
            self._written = 0
            remove_unused(self._folder, SUFFIX, most_bytes=self._most_bytes, days=self._days)
