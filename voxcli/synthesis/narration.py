"""Narration: the parts of a text spoken one after another, joined and timed, in one steady voice."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from voxcli.audio.chunk import AudioChunk, Samples, check_rate
from voxcli.synthesis.request import (
    Clip,
    Engine,
    Piece,
    Prompt,
    SentenceMark,
    Speech,
    SynthesisRequest,
    Voice,
)
from voxcli.text.characters import CLAUSE_MARKS, CLOSERS
from voxcli.text.marks import Part, Pause, manner_of

if TYPE_CHECKING:
    from voxcli.audio.joins import SentenceJoiner

_ANCHOR_SECONDS = 3.0
"""Seconds of speech that are enough to fix a voice."""

_CONTINUES = tuple(set(CLAUSE_MARKS) - set(":："))
"""Marks at the end of a part whose sentence was too long for one part. A gap after a colon does no harm."""


class Narrator:
    """Speaks the parts of one text in order, joins them, and marks where each sentence begins and ends."""

    def __init__(
        self,
        speak: Callable[[str], Speech],
        *,
        gap_seconds: float | None = None,
        even: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            speak: streams one sentence.
            gap_seconds: silence between two sentences; None leaves what the engine made.
            even: whether sentences differ in loudness and may begin or end with a click, so that levels are matched
                and joins faded. Asked once, when the first chunk is there.
        """
        self._speak = speak
        self._gap_seconds = gap_seconds
        self._even = even
        self._joiner: SentenceJoiner | None = None
        self._sample_rate = 0
        self._emitted = 0  # samples
        self._leading_pause = 0.0  # seconds, until the first chunk tells the sample rate
        self._continues = False
        self._speaker: str | None = None

    def stream(self, parts: Iterable[Part]) -> Generator[Piece]:
        """Speak each part as soon as it is available. Silence at its end may be held until the next part is known."""
        for part in parts:
            yield from self._paused(part.seconds) if isinstance(part, Pause) else self._spoken(part)
        if self._joiner:
            yield from self._chunks(self._joiner.finish())

    def _paused(self, seconds: float) -> Generator[Piece]:
        if self._joiner:
            yield from self._chunks(self._joiner.pause(seconds))
        else:
            self._leading_pause += seconds

    def _spoken(self, text: str) -> Generator[Piece]:
        # The silence goes out first: the engine works while it is being played.
        speaker, self._speaker = self._speaker, manner_of(text).speaker
        if self._joiner:
            continues = self._continues and speaker == self._speaker
            yield from self._chunks(self._joiner.begin(continues=continues))
        self._continues = text.rstrip(CLOSERS).endswith(_CONTINUES)
        start = None
        with closing(self._speak(text)) as sound:
            for chunk in sound:
                joiner = self._joiner or (yield from self._begun(chunk.sample_rate))
                check_rate(chunk, self._sample_rate)
                if start is None:
                    start = self._seconds
                    yield SentenceMark(text=text, start=start)
                yield from self._chunks(joiner.feed(chunk.samples))
        if self._joiner:
            yield from self._chunks(self._joiner.end())
        if start is not None:
            yield SentenceMark(text=text, start=start, end=self._seconds)

    def _begun(self, sample_rate: int) -> Generator[Piece, None, "SentenceJoiner"]:
        """Set up the joins now that the sample rate is known, and emit the pause before the first sentence."""
        from voxcli.audio.joins import SentenceJoiner  # loads NumPy, for which the first request does not wait

        self._sample_rate = sample_rate
        self._joiner = joiner = SentenceJoiner(sample_rate, gap_seconds=self._gap_seconds, even=self._even())
        yield from self._chunks(joiner.pause(self._leading_pause))
        joiner.begin(continues=False)
        return joiner

    @property
    def _seconds(self) -> float:
        return self._emitted / self._sample_rate

    def _chunks(self, samples: Samples) -> Speech:
        if len(samples):
            self._emitted += len(samples)
            yield AudioChunk(samples, self._sample_rate)


def draws_voice(engine: Engine, voice: Voice) -> bool:
    """Tell whether an engine would draw a voice."""
    return engine.draws_voices and not (voice.name or voice.reference or voice.prompt)


def first_request(engine: Engine, request: SynthesisRequest) -> SynthesisRequest:
    """Return what an engine is asked for when the first part of a text is to be spoken.

    A voice that is drawn becomes the prompt of the later parts at its own pace; the speed is changed afterwards.
    """
    return replace(request, speed=1.0) if draws_voice(engine, request.voice) else request


class VoiceAnchor:
    """The first sentences in a voice that was drawn. They are the prompt of all later ones."""

    def __init__(self) -> None:
        self._chunks: list[AudioChunk] = []
        self._texts: list[str] = []
        self._voice: Voice | None = None

    @property
    def is_complete(self) -> bool:
        """Whether there is enough to fix the voice."""
        return sum(chunk.seconds for chunk in self._chunks) >= _ANCHOR_SECONDS

    def add(self, sentence: list[AudioChunk], text: str) -> None:
        """Take the next sentence."""
        self._chunks += sentence
        self._texts.append(text)
        self._voice = None  # built again with this sentence, when it is needed

    @property
    def voice(self) -> Voice | None:
        """The voice, once there is a sentence."""
        if self._voice is None and self._texts:
            from voxcli.audio.headers import wav_bytes
            from voxcli.audio.pcm import concatenated

            whole = concatenated(self._chunks)
            clip = Clip(wav_bytes(whole.samples, whole.sample_rate), "the voice so far.wav")
            self._voice = Voice(prompt=Prompt(clip, " ".join(self._texts)))
        return self._voice


def with_drawn_voice(pieces: Generator[Piece], on_drawn_voice: Callable[[Voice], None]) -> Generator[Piece]:
    """Yield speech in a voice that was drawn elsewhere, and tell it at the end, also if the consumer closes early."""
    anchor = VoiceAnchor()
    sentence: list[AudioChunk] = []
    try:
        with closing(pieces):
            for piece in pieces:
                if isinstance(piece, AudioChunk):
                    sentence.append(piece)
                elif piece.end is None:
                    sentence = []
                elif sentence and not anchor.is_complete:
                    anchor.add(sentence, piece.text)
                    sentence = []
                yield piece
                if anchor.is_complete:
                    sentence = []
    finally:
        if voice := anchor.voice:
            on_drawn_voice(voice)


class SteadyVoice:
    """Keeps the voice of the first sentence where an engine draws a new one for each request.

    The first sentences become the prompt of all later ones: always the same prompt, so that the voice does not drift.
    """

    def __init__(self, engine: Engine, through: Callable[[Engine, SynthesisRequest], Speech] | None = None) -> None:
        """through: streams in place of the engine, such as what was made before."""
        self._engine = engine
        self._stream = partial(through, engine) if through else engine.stream
        self._anchor = VoiceAnchor()

    @property
    def drawn(self) -> Voice | None:
        """The voice that the engine drew, once it has spoken a sentence."""
        return self._anchor.voice

    def stream(self, request: SynthesisRequest) -> Speech:
        """Stream as the engine does, from the second sentence on in the voice of the first."""
        if not draws_voice(self._engine, request.voice):
            return self._stream(request)
        first = first_request(self._engine, request)
        chunks = self._anchored(replace(first, voice=self.drawn or request.voice))
        if request.speed == 1:
            return chunks
        from voxcli.audio.tempo import retimed  # loads libav, which only other speeds need

        return retimed(chunks, request.speed)

    def _anchored(self, request: SynthesisRequest) -> Speech:
        complete = self._anchor.is_complete
        sentence: list[AudioChunk] = []
        with closing(self._stream(request)) as chunks:
            for chunk in chunks:
                if not complete:
                    sentence.append(chunk)
                yield chunk
        # A remote engine knows this only after its first answer.
        if not complete and self._engine.draws_voices:
            self._anchor.add(sentence, request.text)
