"""Seal of a sound: a hash of its bytes in the file, behind all tags, so that a later change is found.

It has one length, so that it can be filled in when the sound is complete.
"""

import hashlib
import re
from dataclasses import dataclass

SEAL = "VOXCLI_SOUND"
"""Name of the tag."""
_FORM = "sha256:{} bytes:{:016d} {}"
_SEAL = re.compile(r"sha256:([0-9a-f]{64}) bytes:(\d{16}) (done|open)")
PENDING = _FORM.format("0" * 64, 0, "open")
"""The seal of a file in which the hash is filled in at the end."""


class SoundHash:
    """The seal of a sound that is being written."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.size = 0
        """In bytes."""

    def update(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)

    def seal(self, *, done: bool) -> str:
        """Return the seal of what has been written by now.

        done: whether that is all of it.
        """
        return _FORM.format(self._digest.hexdigest(), self.size, "done" if done else "open")


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it is read."""

    digest: str
    size: int
    """In bytes."""
    done: bool
    """Whether the sound is complete, and was not stopped in the middle."""


def read_seal(seal: str) -> Seal | None:
    """Read a seal; None if the hash was never filled in, or this is no seal."""
    found = None if seal == PENDING else _SEAL.fullmatch(seal)
    return Seal(found[1], int(found[2]), found[3] == "done") if found else None
