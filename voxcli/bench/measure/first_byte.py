"""First audio byte of a response: when it arrived, not counting the headers of the file."""

from collections.abc import Callable

from voxcli.audio.stream_decoding.containers import audio_offset

_MAX_HEADER_BYTES = 1 << 20
"""Pictures in tags are large, but the headers of a stream are not."""


class FirstByteTimer:
    """Counts the bytes of a response, and notes when the first byte of audio arrived."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.count = 0
        self.began: float | None = None
        """Time of the first audio byte, by the clock."""
        self._clock = clock
        self._head = b""

    def note(self, data: bytes) -> None:
        """Take a piece of the response."""
        now = self._clock()
        self.count += len(data)
        if self.began is not None:
            return
        self._head += data
        offset = audio_offset(self._head)
        if offset is None and len(self._head) > _MAX_HEADER_BYTES:
            offset = 0
        if offset is not None and self.count > offset:
            self.began, self._head = now, b""
