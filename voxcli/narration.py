"""A text spoken part by part: sentences by an engine, pauses as real silence."""

from collections.abc import Callable
from contextlib import closing

from voxcli.audio.chunk import AudioChunk, silence
from voxcli.speech import Speech
from voxcli.text.marks import Pause


class Narrator:
    """Speaks the parts of one text, one after another."""

    def __init__(self, speak: Callable[[str], Speech]) -> None:
        """speak: what an engine makes of one sentence."""
        self._speak = speak
        self._sample_rate: int | None = None
        self._owed_seconds = 0.0  # of silence, until the engine's first chunk tells the sample rate

    def stream(self, part: str | Pause) -> Speech:
        if isinstance(part, Pause):
            self._owed_seconds += part.seconds
            if self._sample_rate:
                yield self._owed_silence(self._sample_rate)
            return
        with closing(self._speak(part)) as chunks:
            for chunk in chunks:
                self._sample_rate = chunk.sample_rate
                if self._owed_seconds:
                    yield self._owed_silence(chunk.sample_rate)
                yield chunk

    def _owed_silence(self, sample_rate: int) -> AudioChunk:
        seconds, self._owed_seconds = self._owed_seconds, 0.0
        return silence(seconds, sample_rate)
