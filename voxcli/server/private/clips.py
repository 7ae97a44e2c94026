"""Clips that were sent before, found by the hash of their content."""

import hashlib
import re
from collections import OrderedDict

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal
from voxcli.synthesis.request import Clip

_MOST_BYTES = 64 * 2**20
_REFERENCE = re.compile(r"sha256:([0-9a-f]{64})(?: (.*))?", re.DOTALL)
_CONFLICT = 409


class ClipStore:
    """Clips in memory, of which the least recently used are dropped. Used on the event loop."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.used_bytes = 0
        self._most_bytes = most_bytes
        self._clips: OrderedDict[str, Clip] = OrderedDict()

    def keep(self, clip: Clip, owner: str = "") -> None:
        """Keep a clip, unless it alone is larger than all that is kept.

        owner: the client that sent it, which alone finds it again.
        """
        digest = owner + hashlib.sha256(clip.data).hexdigest()
        if digest in self._clips:
            self._clips.move_to_end(digest)
            return
        if len(clip.data) > self._most_bytes:
            return
        self._clips[digest] = clip
        self.used_bytes += len(clip.data)
        while self.used_bytes > self._most_bytes:
            _, dropped = self._clips.popitem(last=False)
            self.used_bytes -= len(dropped.data)

    def find(self, reference: str, field: str, owner: str = "") -> Clip:
        """Return the clip of a reference: "sha256:", the hash in hexadecimal, and after a space perhaps its name.

        field: of the form, for the refusal.

        Raises:
            Refusal: 409, `unknown_clip`: it was never sent, or has been dropped.
        """
        match = _REFERENCE.fullmatch(reference)
        clip = self._clips.get(owner + match[1]) if match else None
        if not match or clip is None:
            message = f"{field!r} names a clip that this server does not have. Send the clip itself."
            raise Refusal(Problem(status=_CONFLICT, message=message, code="unknown_clip", field=field))
        self._clips.move_to_end(owner + match[1])
        return Clip(clip.data, match[2]) if match[2] else clip
