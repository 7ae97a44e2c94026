"""A text spoken part by part: sentences by an engine in one voice, pauses as real silence."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from voxcli.audio.chunk import AudioChunk, silence
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.speech import Clip, Engine, Prompt, Speech, SynthesisRequest, Voice
from voxcli.text.marks import Pause

_ENOUGH_SECONDS = 3.0
"""Of speech, to know a voice again."""


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


class SteadyVoice:
    """Keeps to the voice that the first sentence happened to get, where an engine draws a new one each time.

    What was spoken first becomes the prompt of all that follows: always the same one, so that nothing drifts.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._heard: list[AudioChunk] = []
        self._said: list[str] = []
        self._anchor: Voice | None = None

    def stream(self, request: SynthesisRequest) -> Speech:
        """Speak as the engine does, after the first sentence in the voice of that one."""
        voice = request.voice
        if not self._engine.draws_voices or voice.name or voice.reference or voice.prompt:
            return self._engine.stream(request)
        # A voice is carried on at its own pace; only what is heard outside is faster or slower.
        chunks = self._spoken(replace(request, speed=1.0, voice=self._anchor or voice))
        if request.speed == 1:
            return chunks
        from voxcli.audio.tempo import retimed  # loads libav, which only other speeds need

        return retimed(chunks, request.speed)

    def _spoken(self, request: SynthesisRequest) -> Speech:
        known = sum(chunk.seconds for chunk in self._heard) >= _ENOUGH_SECONDS
        with closing(self._engine.stream(request)) as chunks:
            for chunk in chunks:
                if not known:
                    self._heard.append(chunk)
                yield chunk
        if not known:
            self._said.append(request.text)
            self._anchor = self._new_anchor()

    def _new_anchor(self) -> Voice:
        clip = Clip(b"".join(encoded(iter(self._heard), AudioFormat.WAV)), "the voice so far.wav")
        return Voice(prompt=Prompt(clip, " ".join(self._said)))
