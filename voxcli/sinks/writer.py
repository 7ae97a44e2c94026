"""Writers of audio into an open binary file: a WAV that is valid at every moment, or any format that only grows."""

import hashlib
import os
from functools import partial
from io import FileIO
from tempfile import SpooledTemporaryFile

from voxcli.audio.chunk import AudioChunk, check_rate
from voxcli.audio.encode import Encoder, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import FLAC_START_BYTES, flac_start, growing_header
from voxcli.audio.pcm import to_int16
from voxcli.audio.tags import LYRICS, Tags
from voxcli.audio.tags.heads import HAVE_ROOM, split_head, tagged_head
from voxcli.audio.tags.riff import tag_chunks, text_chunk
from voxcli.audio.tags.seal import PENDING, SEAL, SoundHash
from voxcli.sinks.base import Writer
from voxcli.sinks.tagging import Tagging

_MOST_IN_MEMORY = 2**24
_BLOCK = 2**16


def new_writer(format: AudioFormat, file: FileIO, sample_rate: int, tagging: Tagging | None = None) -> Writer:
    """Return the writer for a format. In a file that is open for reading too, it keeps the header up to date.

    tagging: what is to be said of the sound, where the container has room for it.
    """
    if format is AudioFormat.WAV and file.readable():
        return GrowingWav(file, sample_rate, tagging)
    encoder = new_encoder(format, sample_rate)
    if format not in HAVE_ROOM:
        tagging = None
    if format is AudioFormat.FLAC and not file.readable():
        return HeldFlac(file, encoder, tagging)
    return EncodedWriter(file, encoder, format, tagging)


class GrowingWav:
    """A 16-bit WAV whose sizes are rewritten after every chunk. The file must be seekable."""

    def __init__(self, file: FileIO, sample_rate: int, tagging: Tagging | None = None) -> None:
        self._file = file
        self._sample_rate = sample_rate
        self._tagging = tagging
        self._hash = SoundHash()
        self._chunks, self._tags = tagging.first_head(_chunks_of_wav, PENDING) if tagging else (b"", {})
        self._header_bytes = len(growing_header(sample_rate, 0, self._chunks))
        self._write_header(0)

    def write(self, chunk: AudioChunk) -> None:
        check_rate(chunk, self._sample_rate)
        samples = to_int16(chunk.samples)
        write_all(self._file, samples)
        self._hash.update(samples)
        self._write_header(self._hash.size)

    def finish(self, *, complete: bool = True) -> None:
        """Make the header match the file, also after a partial write."""
        written = max(0, self._file.seek(0, os.SEEK_END) - self._header_bytes)
        whole_samples = written - written % 2
        self._file.truncate(self._header_bytes + whole_samples)
        if whole_samples != self._hash.size:
            self._hash = _hash_of_file(self._file, self._header_bytes)
        behind = 0
        if self._tagging:
            tags = self._tagging.tags(PENDING)
            behind = self._append(text_chunk(tags[LYRICS])) if LYRICS in tags else 0
            size = len(self._chunks)
            self._chunks = self._tagging.last_head(_chunks_of_wav, size, self._tags, PENDING) or self._chunks
        self._write_header(whole_samples, behind, done=complete)

    def _append(self, data: bytes) -> int:
        """Write a chunk behind the samples, as far as there is room on the disk."""
        self._file.seek(0, os.SEEK_END)
        write_all(self._file, data)
        return len(data)

    def _write_header(self, data_bytes: int, behind: int = 0, *, done: bool = False) -> None:
        # One call for the whole header, so that a killed process leaves either the old one or the new one.
        chunks = self._chunks
        if SEAL in self._tags:
            chunks = chunks.replace(PENDING.encode(), self._hash.seal(done=done).encode())
        self._file.seek(0)
        write_all(self._file, growing_header(self._sample_rate, data_bytes, chunks, behind))
        self._file.seek(0, os.SEEK_END)


class EncodedWriter:
    """Any format that is written as its bytes come. In a file, its head is completed at the end."""

    def __init__(self, file: FileIO, encoder: Encoder, format: AudioFormat, tagging: Tagging | None = None) -> None:
        self._file = file
        self._encoder = encoder
        self._format = format
        self._tagging = tagging
        self._head = _Head(format, tagging, seal=PENDING if file.readable() else None)
        self._hash = SoundHash()

    def write(self, chunk: AudioChunk) -> None:
        self._put(self._encoder.encode(chunk))
        self._head.count(chunk)

    def finish(self, *, complete: bool = True) -> None:
        self._put(self._encoder.finish())
        if not self._file.readable():
            return
        if self._file.seek(0, os.SEEK_END) != len(self._head.data) + self._hash.size:
            self._hash = _hash_of_file(self._file, len(self._head.data))
        if head := self._head.completed(self._hash.seal(done=complete)):
            self._file.seek(0)
            write_all(self._file, head)

    def _put(self, data: bytes) -> None:
        if data and not self._head.data:
            data = self._head.begin(data)
            write_all(self._file, self._head.data)
        write_all(self._file, data)
        self._hash.update(data)


class HeldFlac:
    """FLAC for a pipe, written at the end: its length stands at its start.

    Without the length libsndfile refuses the file. What is long is held on disk.
    """

    def __init__(self, file: FileIO, encoder: Encoder, tagging: Tagging | None = None) -> None:
        self._file = file
        self._encoder = encoder
        self._head = _Head(AudioFormat.FLAC, tagging, seal=PENDING)
        self._hash = SoundHash()
        self._held = SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115 - closed by `finish`

    def write(self, chunk: AudioChunk) -> None:
        self._put(self._encoder.encode(chunk))
        self._head.count(chunk)

    def finish(self, *, complete: bool = True) -> None:
        with self._held as held:
            self._put(self._encoder.finish())
            write_all(self._file, self._head.completed(self._hash.seal(done=complete)) or self._head.data)
            held.seek(0)
            while block := held.read(_BLOCK):
                write_all(self._file, block)

    def _put(self, data: bytes) -> None:
        if data and not self._head.data:
            data = self._head.begin(data)
        self._held.write(data)
        self._hash.update(data)


class _Head:
    """The bytes in front of the sound: tags, and for FLAC the number of samples and their digest."""

    def __init__(self, format: AudioFormat, tagging: Tagging | None, seal: str | None) -> None:
        self.data = b""
        self._format = format
        self._tagging = tagging
        self._seal = seal
        self._plain = b""
        self._tags: Tags = {}
        self._samples = 0
        self._digest = hashlib.md5(usedforsecurity=False) if format is AudioFormat.FLAC else None

    def count(self, chunk: AudioChunk) -> None:
        """Note samples that are in the file."""
        self._samples += len(chunk.samples)
        if self._digest:
            self._digest.update(to_int16(chunk.samples))

    def begin(self, data: bytes) -> bytes:
        """Take the first bytes of an encoder, and return those behind its head."""
        self._plain, sound = split_head(self._format, data)
        self.data = self._plain
        if self._tagging:
            self.data, self._tags = self._tagging.first_head(
                partial(tagged_head, self._format, self._plain), self._seal
            )
        return sound

    def completed(self, seal: str) -> bytes | None:
        """Return the head as it is at the end, of the same size; None if it stays as it is."""
        plain = self._plain
        if self._digest and plain:
            plain = flac_start(plain, self._samples, self._digest.digest()) + plain[FLAC_START_BYTES:]
        head = plain if plain != self._plain else None
        if self._tagging and self._tags:
            build = partial(tagged_head, self._format, plain)
            head = self._tagging.last_head(build, len(self.data), self._tags, seal) or (
                build(self._tags, len(self.data)) if head else None
            )
        return head


def _chunks_of_wav(tags: Tags, size: int) -> bytes:
    """Return chunks filled up to `size` bytes. A text stands behind the samples, where any length fits."""
    shown = {name: text for name, text in tags.items() if name != LYRICS}
    return tag_chunks(shown, size)


def _hash_of_file(file: FileIO, begin: int) -> SoundHash:
    """Hash what is in a file, after a write that was cut off."""
    found = SoundHash()
    file.seek(begin)
    while block := file.read(_BLOCK):
        found.update(block)
    return found


def write_all(file: FileIO, data: bytes) -> None:
    """Write all bytes: an unbuffered file may write only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
