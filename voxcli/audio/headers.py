"""WAV and FLAC headers, as we write them: 16-bit mono.

Sources: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991) for RIFF;
EBU Tech 3306 for RF64, the form beyond 4 GiB; RFC 9639 §8.2 for FLAC.
"""

import struct

from voxcli.audio.chunk import Samples
from voxcli.audio.pcm import to_int16

_BYTES_PER_SAMPLE = 2
_LARGEST_UINT32 = 0xFFFFFFFF

_UNKNOWN_DATA_BYTES = 0x7FFFF000
"""What SoX writes to a pipe. Readers then read to the end of the file, whereas they take a size of 0 literally."""

_FMT_CHUNK = 24
_DS64_BODY = 28
_GROWING_BEFORE_DATA = 4 + 8 + _DS64_BODY + _FMT_CHUNK + 8
"""Bytes between the RIFF size and the first sample."""

FLAC_START_BYTES = 42
"""From the file marker to the end of STREAMINFO: the number of samples, and their digest."""
_FLAC_LENGTH_END = 26
_FLAC_LENGTH_BITS = 36


def wav_bytes(samples: Samples, sample_rate: int) -> bytes:
    """Return a whole WAV file: a 44-byte header with the true sizes, then the samples as `to_int16` writes them."""
    data = to_int16(samples)
    return _plain_header(sample_rate, len(data)) + data


def streaming_header(sample_rate: int) -> bytes:
    """Return the 44-byte header of a stream whose length is unknown and whose header cannot be rewritten later."""
    return _plain_header(sample_rate, _UNKNOWN_DATA_BYTES)


def growing_header(sample_rate: int, data_bytes: int, chunks: bytes = b"", behind: int = 0) -> bytes:
    """Return the header of a file that now holds `data_bytes` of samples.

    Its length never changes, so a growing file stays valid with one write at its start. Below 4 GiB it is a plain
    WAV with a JUNK chunk in the place where RF64 needs its 64-bit sizes.

    Args:
        chunks: further chunks in front of the samples, always of one length.
        behind: bytes of chunks behind the samples.
    """
    riff_size = _GROWING_BEFORE_DATA + len(chunks) + data_bytes + behind
    if riff_size < _LARGEST_UINT32:
        start = struct.pack("<4sI4s4sI28x", b"RIFF", riff_size, b"WAVE", b"JUNK", _DS64_BODY)
        data_size = data_bytes
    else:
        start = struct.pack("<4sI4s4sI", b"RF64", _LARGEST_UINT32, b"WAVE", b"ds64", _DS64_BODY)
        start += struct.pack("<QQQI", riff_size, data_bytes, data_bytes // _BYTES_PER_SAMPLE, 0)
        data_size = _LARGEST_UINT32
    return start + _fmt_chunk(sample_rate) + chunks + struct.pack("<4sI", b"data", data_size)


def flac_start(streamed: bytes, sample_count: int, digest: bytes | None = None) -> bytes:
    """Return the first bytes of a streamed FLAC file with its number of samples filled in.

    A stream has to leave that number out, and libsndfile refuses such files; written over the start of the file, these
    bytes repair it.

    Args:
        streamed: at least the first `FLAC_START_BYTES` of the file. Raises ValueError if it is not FLAC.
        digest: MD5 of the samples as 16-bit PCM, with which players check a file; None leaves it out.
    """
    if not streamed.startswith(b"fLaC"):
        raise ValueError("this is not the start of a FLAC stream")
    before_length = int.from_bytes(streamed[:_FLAC_LENGTH_END], "big") >> _FLAC_LENGTH_BITS
    start = (before_length << _FLAC_LENGTH_BITS | sample_count).to_bytes(_FLAC_LENGTH_END, "big")
    return start + (digest or streamed[_FLAC_LENGTH_END:FLAC_START_BYTES])


def _plain_header(sample_rate: int, data_bytes: int) -> bytes:
    riff_size = 4 + _FMT_CHUNK + 8 + data_bytes
    riff = struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE")
    return riff + _fmt_chunk(sample_rate) + struct.pack("<4sI", b"data", data_bytes)


def _fmt_chunk(sample_rate: int) -> bytes:
    pcm, channels, bits = 1, 1, 8 * _BYTES_PER_SAMPLE
    bytes_per_second = sample_rate * _BYTES_PER_SAMPLE
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, pcm, channels, sample_rate, bytes_per_second, _BYTES_PER_SAMPLE, bits)
