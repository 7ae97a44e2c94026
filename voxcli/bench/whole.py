"""An engine that hands over nothing before it has all: what waiting for the whole answer is like."""

from contextlib import closing

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.speech import Engine, Speech, SynthesisRequest


class InOnePiece:
    """Another engine as an `Engine` that streams nothing. It is closed by whoever opened it."""

    def __init__(self, engine: Engine) -> None:
        self.slots = engine.slots
        self.draws_voices = engine.draws_voices
        self._engine = engine

    def stream(self, request: SynthesisRequest) -> Speech:
        with closing(self._engine.stream(request)) as chunks:
            made = list(chunks)
        if made:
            yield AudioChunk(np.concatenate([chunk.samples for chunk in made]), made[0].sample_rate)

    def close(self) -> None:
        """Nothing of its own to give back."""
