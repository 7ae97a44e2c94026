"""The bytes in front of a FLAC file."""

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
