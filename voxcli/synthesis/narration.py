"""A text spoken part by part: sentences by an engine in one voice, pauses as real silence."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace

from voxcli.audio.chunk import AudioChunk, Samples, check_rate
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.joins import Seams
from voxcli.synthesis.request import Clip, Engine, Prompt, Speech, SynthesisRequest, Voice
from voxcli.text.characters import CLAUSE_MARKS, CLOSERS
from voxcli.text.marks import Part, Pause

_ENOUGH_SECONDS = 3.0
"""Of speech, to know a voice again."""

_GOING_ON = tuple(set(CLAUSE_MARKS) - set(":："))
"""What is at the end of a piece if its sentence was too long for one. After a colon a gap does no harm."""


class Narrator:
    """Speaks the parts of one text, one after another."""

    def __init__(self, speak: Callable[[str], Speech], *, gap_seconds: float | None = None, even: bool = False) -> None:
        """
        Args:
            speak: what an engine makes of one sentence.
            gap_seconds: of silence between two sentences; None leaves it to the engine.
            even: sentences differ in loudness, and may begin and end with a click: mend that.
        """
        self._speak = speak
        self._gap_seconds = gap_seconds
        self._even = even
        self._seams: Seams | None = None
        self._sample_rate = 0
        self._owed_seconds = 0.0  # of silence, until the engine's first chunk tells the sample rate
        self._goes_on = False

    def stream(self, parts: Iterable[Part]) -> Speech:
        """Speak all parts, each as soon as it is there. Of the quiet at the end of one, some may wait for the next."""
        for part in parts:
            yield from self._paused(part.seconds) if isinstance(part, Pause) else self._spoken(part)
        if self._seams:
            yield from self._chunks(self._seams.finish())

    def _paused(self, seconds: float) -> Speech:
        if self._seams:
            yield from self._chunks(self._seams.pause(seconds))
        else:
            self._owed_seconds += seconds

    def _spoken(self, text: str) -> Speech:
        # The silence first: while it is played, the engine can begin.
        if self._seams:
            yield from self._chunks(self._seams.begin(goes_on=self._goes_on))
        self._goes_on = text.rstrip(CLOSERS).endswith(_GOING_ON)
        with closing(self._speak(text)) as sound:
            for chunk in sound:
                if not self._seams:
                    self._sample_rate = chunk.sample_rate
                    self._seams = Seams(chunk.sample_rate, gap_seconds=self._gap_seconds, even=self._even)
                    yield from self._chunks(self._seams.pause(self._owed_seconds))
                    self._seams.begin(goes_on=False)
                check_rate(chunk, self._sample_rate)
                yield from self._chunks(self._seams.feed(chunk.samples))
        if self._seams:
            yield from self._chunks(self._seams.end())

    def _chunks(self, samples: Samples) -> Speech:
        if len(samples):
            yield AudioChunk(samples, self._sample_rate)


class SteadyVoice:
    """Keeps to the voice that the first sentence happened to get, where an engine draws a new one each time.

    What was spoken first becomes the prompt of all that follows: always the same one, so that nothing drifts.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._heard: list[AudioChunk] = []
        self._said: list[str] = []
        self.drawn: Voice | None = None
        """The voice that the engine drew, once it has spoken."""

    def stream(self, request: SynthesisRequest) -> Speech:
        """Speak as the engine does, after the first sentence in the voice of that one."""
        voice = request.voice
        if not self._engine.draws_voices or voice.name or voice.reference or voice.prompt:
            return self._engine.stream(request)
        # A voice is carried on at its own pace; only what is heard outside is faster or slower.
        chunks = self._spoken(replace(request, speed=1.0, voice=self.drawn or voice))
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
        # Of a server this is known only once it has spoken.
        if not known and self._engine.draws_voices:
            self._said.append(request.text)
            self.drawn = self._new_anchor()

    def _new_anchor(self) -> Voice:
        clip = Clip(b"".join(encoded(iter(self._heard), AudioFormat.WAV)), "the voice so far.wav")
        return Voice(prompt=Prompt(clip, " ".join(self._said)))
