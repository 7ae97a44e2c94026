"""Utterance: one text that is spoken while it is being written, in one voice, until it is finished or cancelled."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.resample import Resampler
from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal
from voxcli.server.monitoring import Ending, EngineHeartbeat, RequestRecord
from voxcli.server.streaming.arriving_text import Last, Stopped, TextInbox
from voxcli.server.streaming.response import ending_of
from voxcli.server.streaming.worker import Threads, Worker
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Engine, Piece, SentenceMark, Speech, abilities_of
from voxcli.synthesis.timing import Stopwatch
from voxcli.synthesis.transcript import Spoken, Transcript
from voxcli.text.marks import Part
from voxcli.text.parts import Flush, read_parts
from voxcli.text.phonemes import readable
from voxcli.text.ssml import sniffed

_MOST_SAMPLES = 2**14
"""Of a chunk. An engine may speak a whole sentence at once, and many clients refuse messages over 1 MiB."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """Everything up to a call of `flush` has been spoken."""

    number: int
    """Of the call, from 1."""


UtterancePiece: TypeAlias = AudioChunk | SentenceMark | Flushed

NO_WORDS = Problem(status=400, message="The text has no words: there is nothing to speak.", code="no_words")


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceSettings:
    """How an utterance is spoken."""

    delivery: Delivery
    sample_rate: int | None = None
    """Hz; None for the model's own rate."""
    markdown: bool = False
    """Whether the text is Markdown."""
    most_characters: int = 2**17
    """Of the whole text."""


class StreamedUtterance:
    """Speaks the text that is appended. Used on the event loop; the pipeline runs on a thread of its own.

    Sentences are spoken as they are complete, and what is not, when the writer pauses. A reader that is slow holds up
    the engine.
    """

    def __init__(
        self, threads: Threads, engine: Engine, settings: UtteranceSettings, heartbeat: EngineHeartbeat
    ) -> None:
        self.record = RequestRecord()
        self.transcript = Transcript()
        """Of what `pieces` has yielded."""
        self.finished = False
        """Whether no more text comes."""
        self.cancelled = False
        self.ending = Ending.CLIENT_LEFT
        """How it ended; until then, as if the client had left."""
        self.sample_rate = 0
        """Hz, of the chunks; 0 until there is one."""
        self.samples = 0
        """That `pieces` has yielded."""
        self.cancel_seconds: float | None = None
        """From the cancellation until the engine had stopped."""
        self.played_samples: int | None = None
        """Position of the listener, if the client has told it."""
        self._settings, self._engine = settings, engine
        self._stopwatch = _WatchedStopwatch(heartbeat)
        self.record.timings = self._stopwatch.timings
        self._text = TextInbox(self._note_flushed)
        self._characters = self._flushes = 0
        self._high_surrogate = ""
        self._has_words = False
        self._error: Exception | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._worker: Worker[UtterancePiece] = Worker(threads, self._pipeline)

    @property
    def spoken(self) -> Spoken:
        """How far the text has been spoken, in the sound that `pieces` has yielded."""
        return self.spoken_by(self.samples)

    @property
    def thrown_away_seconds(self) -> float:
        """Speech that was generated and not yielded."""
        return max(0.0, self._stopwatch.timings.audio - self.seconds)

    @property
    def seconds(self) -> float:
        """Of sound that `pieces` has yielded."""
        return self.samples / self.sample_rate if self.sample_rate else 0.0

    def spoken_by(self, samples: int) -> Spoken:
        """Return how much of the text is heard in the first samples of the sound."""
        return self.transcript.until(samples / self.sample_rate if self.sample_rate else 0.0)

    def append(self, text: str) -> None:
        """Take more text, of which a piece may end anywhere.

        Raises:
            Refusal: the whole text would be too long, or was finished. The utterance goes on without it.
        """
        if self.finished:
            raise Refusal(Problem(status=409, message="This text was finished: begin another one.", code="finished"))
        most = self._settings.most_characters
        if self._characters + len(text) > most:
            message = f"The text is too long: at most {most} characters are allowed in one utterance."
            raise Refusal(Problem(status=413, message=message, code="text_too_long"))
        self._characters += len(text)
        text = self._high_surrogate + text
        self._high_surrogate = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text[: len(text) - len(self._high_surrogate)]
        self._text.put(text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"))

    def flush(self) -> int:
        """Speak everything so far, though no sentence may be complete. Return the number of this call, from 1."""
        self._flushes += 1
        self._text.put(Flush())
        return self._flushes

    def finish(self) -> None:
        """Note that no more text comes: the rest is spoken."""
        if not self.finished:
            self.finished = True
            self._text.put(self._high_surrogate)
            self._text.put(Last.FINISHED)

    async def pieces(self) -> AsyncIterator[UtterancePiece]:
        """Yield chunks and marks until everything is spoken, or the utterance was cancelled.

        Raises:
            VoxError: the text cannot be spoken, has no words, or generation failed part way.
        """
        try:
            while (piece := await self._worker.next()) is not None and not self.cancelled:
                self._note(piece)
                yield piece
        except Exception as error:
            self._fail(error)
            raise
        if self._error:
            raise self._error
        if self.cancelled:
            return
        if not self._has_words:
            self._fail(Refusal(NO_WORDS))
            raise Refusal(NO_WORDS)
        self.ending = Ending.DONE

    async def cancel(self) -> Spoken:
        """Speak nothing more, and return what was spoken. `pieces` ends at once, the engine within one patch."""
        if not self.cancelled:
            self.cancelled, self.ending = True, Ending.CANCELLED
            asked = time.perf_counter()
            await self.close()
            self.cancel_seconds = time.perf_counter() - asked
        return self.spoken

    def abort(self, error: Exception) -> None:
        """Speak nothing more: `pieces` raises the error."""
        if not self.cancelled:
            self.cancelled = True
            self._fail(error)
            self._stopping = asyncio.create_task(self.close())

    async def close(self) -> None:
        """Stop the engine, and wait for that, even if the caller is cancelled: the slot is in use until then."""
        self._text.put(Last.STOPPED)
        closing = asyncio.ensure_future(self._worker.close())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled:
            raise cancelled

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.ending = ending_of(error)

    def _note(self, piece: UtterancePiece) -> None:
        if isinstance(piece, SentenceMark):
            self.transcript.note(piece)
        elif isinstance(piece, AudioChunk):
            self.sample_rate = piece.sample_rate
            self.samples += len(piece.samples)
            if self.record.first_byte is None:
                self.record.first_byte = time.perf_counter()

    def _pipeline(self) -> Generator[UtterancePiece]:
        """Run the pipeline. On the worker's thread."""
        settings, abilities = self._settings, abilities_of(self._engine)
        parts = read_parts(
            sniffed(self._text.pieces()),
            markdown=settings.markdown,
            tags=abilities.tags,
            least_syllables=abilities.least_syllables,
            playing=self._playing,
        )
        speech = synthesize(
            self._engine,
            self._with_words(readable(parts, abilities.phonemes, set())),
            settings.delivery,
            stopwatch=self._stopwatch,
        )
        try:
            yield from _resampled(speech, settings.sample_rate)
        except Stopped:
            return

    def _with_words(self, parts: Iterator[Part]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, str):
                self._has_words = True
                self.record.asked = self.record.asked or time.perf_counter()
            yield part

    def _note_flushed(self, number: int) -> None:
        self._worker.push(Flushed(number))

    def _playing(self) -> float:
        """Return the seconds of speech that the listener has yet to hear, guessed if the client does not tell."""
        if self.played_samples is not None and self.sample_rate:
            return max(0.0, (self.samples - self.played_samples) / self.sample_rate)
        if self.record.first_byte is None:
            return 0.0
        return max(0.0, self.seconds - (time.perf_counter() - self.record.first_byte))


class _WatchedStopwatch(Stopwatch):
    """Times the engine, and notes that it works."""

    def __init__(self, heartbeat: EngineHeartbeat) -> None:
        super().__init__()
        self._heartbeat = heartbeat

    def timed(self, chunks: Speech) -> Speech:
        return super().timed(self._heartbeat.watched(chunks))


def _resampled(pieces: Generator[Piece], rate: int | None) -> Generator[Piece]:
    """Yield pieces with their chunks at a sample rate in Hz, none of them empty or long; None leaves the rate."""
    resampler: Resampler | None = None
    with closing(pieces):
        for piece in pieces:
            if isinstance(piece, SentenceMark):
                yield piece
            elif rate:
                resampler = resampler or Resampler(piece.sample_rate, rate)
                yield from _in_short_chunks(resampler.feed(piece.samples), rate)
            else:
                yield from _in_short_chunks(piece.samples, piece.sample_rate)
        if resampler and rate:
            yield from _in_short_chunks(resampler.finish(), rate)


def _in_short_chunks(samples: Samples, rate: int) -> Iterator[AudioChunk]:
    for begin in range(0, len(samples), _MOST_SAMPLES):
        yield AudioChunk(samples[begin : begin + _MOST_SAMPLES], rate)
