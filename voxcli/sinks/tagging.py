"""Tagging of files: what is said of a sound when it begins, and again at the end, in the same place."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from voxcli.audio.tags import LYRICS, Tags
from voxcli.audio.tags.seal import SEAL
from voxcli.synthesis.marking import mark_tags, provenance_tags
from voxcli.synthesis.provenance import Provenance

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tagging:
    """What is written about a sound into its file."""

    provenance: Callable[[], Provenance]
    only_mark: bool = False
    room: int = 0
    """Bytes that are kept free for what is known at the end only."""
    _warned: bool = field(default=False, init=False)

    def tags(self, seal: str | None = None) -> dict[str, str]:
        """Return the tags as they are now.

        seal: None where the container cannot have one.
        """
        made = self.provenance()
        return mark_tags(made.model.source_type) if self.only_mark else provenance_tags(made, seal=seal)

    def first_head(self, build: Callable[[Tags, int], bytes], seal: str | None = None) -> tuple[bytes, dict[str, str]]:
        """Return a head of a file, and the tags that are in it.

        build: makes the head from tags and its least size. Raises ValueError if they do not fit.
        """
        tags = self.tags(seal)
        try:
            head = build(tags, 0)
        except ValueError:
            tags = self._without_text(tags)
            head = build(tags, 0)
        return (build(tags, len(head) + self.room) if self.room else head), tags

    def last_head(self, build: Callable[[Tags, int], bytes], size: int, before: Tags, seal: str) -> bytes | None:
        """Return the head as it is at the end, in the same size; None if there is nothing to change.

        before: the tags of the first head, which stay if the new ones do not fit.
        """
        if SEAL not in before:
            return None
        tags = self.tags(seal)
        shorter = {name: text for name, text in tags.items() if name != LYRICS}
        for candidate in (tags, shorter, {**before, SEAL: seal}):
            try:
                head = build(candidate, size)
            except ValueError:
                continue
            if len(head) == size:
                if LYRICS in tags and LYRICS not in candidate:
                    self._without_text(tags)
                return head
        return None

    def _without_text(self, tags: Tags) -> dict[str, str]:
        if not self._warned:
            self._warned = True
            _log.warning("The text does not fit into the file, so only its hash is kept. WAV has room for any text.")
        return {name: text for name, text in tags.items() if name != LYRICS}
