"""The bytes in front of the samples in a 16-bit mono WAV file.

Sources: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (1991) for RIFF;
EBU Tech 3306 for RF64, the form beyond 4 GiB.
"""

import struct

_BYTES_PER_SAMPLE = 2
_LARGEST_UINT32 = 0xFFFFFFFF

_UNKNOWN_DATA_BYTES = 0x7FFFF000
"""What SoX writes to a pipe. Readers go on to the end of the file, whereas a size of 0 is believed."""

_FMT_CHUNK = 24
_DS64_BODY = 28
_GROWING_BEFORE_DATA = 4 + 8 + _DS64_BODY + _FMT_CHUNK + 8
"""Bytes between the RIFF size and the first sample."""


def streaming_header(sample_rate: int) -> bytes:
    """Return 44 bytes for a stream whose length nobody knows yet and whose header nobody will mend."""
    riff_size = 4 + _FMT_CHUNK + 8 + _UNKNOWN_DATA_BYTES
    return b"".join(
        [
            struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE"),
            _fmt_chunk(sample_rate),
            struct.pack("<4sI", b"data", _UNKNOWN_DATA_BYTES),
        ]
    )


def growing_header(sample_rate: int, data_bytes: int) -> bytes:
    """Return the header of a file that now holds `data_bytes` of samples.

    Its length never changes, so one write at the start of the file keeps a growing file true. Below 4 GiB it
    is a plain WAV with a JUNK chunk in the place where RF64 will need its 64-bit sizes.
    """
    riff_size = _GROWING_BEFORE_DATA + data_bytes
    if riff_size < _LARGEST_UINT32:
        start = struct.pack("<4sI4s4sI28x", b"RIFF", riff_size, b"WAVE", b"JUNK", _DS64_BODY)
        data_size = data_bytes
    else:
        start = struct.pack("<4sI4s4sI", b"RF64", _LARGEST_UINT32, b"WAVE", b"ds64", _DS64_BODY)
        start += struct.pack("<QQQI", riff_size, data_bytes, data_bytes // _BYTES_PER_SAMPLE, 0)
        data_size = _LARGEST_UINT32
    return start + _fmt_chunk(sample_rate) + struct.pack("<4sI", b"data", data_size)


def _fmt_chunk(sample_rate: int) -> bytes:
    pcm, channels, bits = 1, 1, 8 * _BYTES_PER_SAMPLE
    bytes_per_second = sample_rate * _BYTES_PER_SAMPLE
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, pcm, channels, sample_rate, bytes_per_second, _BYTES_PER_SAMPLE, bits)


START_BYTES = 26
"""Up to where its length is said: the mark, and the first part of STREAMINFO, RFC 9639 §8.2."""

_LENGTH_BITS = 36


def flac_start(streamed: bytes, sample_count: int) -> bytes:
    """Return what the first bytes of a streamed FLAC should have been, now that its length is known.

    A stream has to leave its length open, and libsndfile stumbles over that: written over the start of the file,
    this mends it.

    Args:
        streamed: `START_BYTES` at least.
    """
    if not streamed.startswith(b"fLaC"):
        raise ValueError("this is not the start of a FLAC stream")
    before_length = int.from_bytes(streamed[:START_BYTES], "big") >> _LENGTH_BITS
    return (before_length << _LENGTH_BITS | sample_count).to_bytes(START_BYTES, "big")
