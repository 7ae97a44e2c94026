"""Writers of audio into an open binary file: a WAV that is valid at every moment, or any format that only grows."""

import os
from io import FileIO
from tempfile import SpooledTemporaryFile

from voxcli.audio.chunk import AudioChunk, check_rate
from voxcli.audio.encode import Encoder, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import FLAC_START_BYTES, flac_start, growing_header
from voxcli.audio.pcm import to_int16
from voxcli.sinks.base import Writer

_MOST_IN_MEMORY = 2**24
_BLOCK = 2**16


def new_writer(format: AudioFormat, file: FileIO, sample_rate: int) -> Writer:
    """Return the writer for a format. In a file that is open for reading too, it keeps the header up to date."""
    if format is AudioFormat.WAV and file.readable():
        return GrowingWav(file, sample_rate)
    encoder = new_encoder(format, sample_rate)
    if format is AudioFormat.FLAC:
        return FlacFile(file, encoder) if file.readable() else HeldFlac(file, encoder)
    return EncodedWriter(file, encoder)


class GrowingWav:
    """A 16-bit WAV whose sizes are rewritten after every chunk. The file must be seekable."""

    def __init__(self, file: FileIO, sample_rate: int) -> None:
        self._file = file
        self._sample_rate = sample_rate
        self._header_bytes = len(growing_header(sample_rate, 0))
        self._write_header(0)

    def write(self, chunk: AudioChunk) -> None:
        check_rate(chunk, self._sample_rate)
        write_all(self._file, to_int16(chunk.samples))
        self._write_header(self._file.tell() - self._header_bytes)

    def finish(self) -> None:
        """Make the header match the file, also after a partial write."""
        written = self._file.seek(0, os.SEEK_END) - self._header_bytes
        whole_samples = max(0, written - written % 2)
        self._file.truncate(self._header_bytes + whole_samples)
        self._write_header(whole_samples)

    def _write_header(self, data_bytes: int) -> None:
        # One call for the whole header, so that a killed process leaves either the old one or the new one.
        self._file.seek(0)
        write_all(self._file, growing_header(self._sample_rate, data_bytes))
        self._file.seek(0, os.SEEK_END)


class EncodedWriter:
    """Any format that is written as its bytes come."""

    def __init__(self, file: FileIO, encoder: Encoder) -> None:
        self._file = file
        self._encoder = encoder

    def write(self, chunk: AudioChunk) -> None:
        write_all(self._file, self._encoder.encode(chunk))

    def finish(self) -> None:
        write_all(self._file, self._encoder.finish())


class FlacFile(EncodedWriter):
    """A FLAC file whose length is filled in at the end. The file must be open for reading too."""

    def __init__(self, file: FileIO, encoder: Encoder) -> None:
        super().__init__(file, encoder)
        self._samples = 0

    def write(self, chunk: AudioChunk) -> None:
        super().write(chunk)
        self._samples += len(chunk.samples)

    def finish(self) -> None:
        super().finish()
        self._file.seek(0)
        start = self._file.read(FLAC_START_BYTES)
        self._file.seek(0)
        write_all(self._file, flac_start(start, self._samples))


class HeldFlac:
    """FLAC for a pipe, written at the end: its length stands at its start.

    Without the length libsndfile refuses the file. What is long is held on disk.
    """

    def __init__(self, file: FileIO, encoder: Encoder) -> None:
        self._file = file
        self._encoder = encoder
        self._samples = 0
        self._held = SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115 - closed by `finish`

    def write(self, chunk: AudioChunk) -> None:
        self._held.write(self._encoder.encode(chunk))
        self._samples += len(chunk.samples)

    def finish(self) -> None:
        with self._held as held:
            held.write(self._encoder.finish())
            held.seek(0)
            write_all(self._file, flac_start(held.read(FLAC_START_BYTES), self._samples))
            while block := held.read(_BLOCK):
                write_all(self._file, block)


def write_all(file: FileIO, data: bytes) -> None:
    """Write all bytes: an unbuffered file may write only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
