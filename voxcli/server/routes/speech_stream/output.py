"""Output of one utterance of a speech stream: its sentences as messages and audio, and how it ends."""

import logging
from base64 import b64encode
from dataclasses import dataclass

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.protocols.dialect import Problem
from voxcli.protocols.speech_stream.config import StreamSettings
from voxcli.protocols.speech_stream.messages import (
    AudioChunkMessage,
    AudioDone,
    AudioStart,
    InputCommitted,
    ServerMessage,
    SessionDone,
    SpokenSoFar,
    TimedMark,
    TimedWord,
    error_message,
)
from voxcli.server.service import Service
from voxcli.server.streaming.sentence_audio import SentenceAudio
from voxcli.server.streaming.utterance import Flushed, StreamedUtterance, UtterancePiece
from voxcli.server.streaming.websocket import Socket
from voxcli.server.utterances import Caller
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.transcript import bookmark_times, word_times

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """What all utterances of one socket share."""

    service: Service
    socket: Socket
    caller: Caller
    id: str


def spoken_text(utterance: StreamedUtterance | None, samples: int | None = None) -> SpokenSoFar:
    """Return what was spoken in the first samples of an utterance; None for all that was sent."""
    if utterance is None:
        return SpokenSoFar(position=0, text="", samples=0)
    samples = utterance.samples if samples is None else min(samples, utterance.samples)
    spoken = utterance.spoken_by(samples)
    return SpokenSoFar(position=spoken.position, text=spoken.text, samples=samples)


@dataclass(slots=True)
class _OpenSentence:
    """A sentence that is being sent."""

    index: int
    audio: SentenceAudio
    marks: list[SentenceMark]
    first_sample: int
    samples: int = 0
    chunks: int = 0


class SentenceOutput:
    """Turns the pieces of one utterance into messages and audio."""

    def __init__(self, session: Session, index: int, settings: StreamSettings) -> None:
        self.texts: list[str] = []
        """What is spoken as one sentence each, up to every flush."""
        self._session, self._index, self._settings = session, index, settings
        self._open: _OpenSentence | None = None
        self._between: list[AudioChunk] = []  # silence, which belongs to the next sentence
        self._sentences = self._segments = self._sentences_before = self._sent = self._rate = 0

    @property
    def sentence_index(self) -> int | None:
        """The sentence that is being sent."""
        return self._open.index if self._open else None

    async def take(self, piece: UtterancePiece, utterance: StreamedUtterance) -> None:
        """Send what there is to be sent of a piece."""
        if isinstance(piece, AudioChunk):
            await self._take_chunk(piece)
        elif isinstance(piece, Flushed):
            await self.finish_sentence(utterance)
            await self._send(
                InputCommitted(
                    session_id=self._session.id,
                    segment_index=self._segments,
                    segment_sentences=self._sentences - self._sentences_before,
                    total_sentences=self._sentences,
                )
            )
            self._segments, self._sentences_before = self._segments + 1, self._sentences
        elif piece.end is None:
            self._begin(piece)
        elif self._open:
            self._open.marks[-1] = piece
            if self._settings.splits:
                await self.finish_sentence(utterance)

    async def finish_sentence(self, utterance: StreamedUtterance, *, cancelled: bool = False) -> None:
        """End the sentence that is open, if there is one."""
        if cancelled:
            return
        if (sentence := self._open) is None:
            if self._between and self._settings.streams and self._settings.format is AudioFormat.PCM:
                await self._send_between()
            return
        if data := await sentence.audio.finish():
            await self._send_audio(sentence, data, sentence.samples)
        rate = utterance.sample_rate
        if self._settings.timestamps:
            await self._send_times(sentence, rate)
        self._open = None
        await self._send(self._done(sentence, utterance, error=False))

    async def fail(self, problem: Problem, utterance: StreamedUtterance | None) -> None:
        """Tell of an error, after which nothing more of the utterance is spoken."""
        sentence, self._open = self._open, None
        if sentence and utterance:
            await self._send(self._done(sentence, utterance, error=True))
        await self._send(error_message(problem, utterance_index=self._index, partial=sentence is not None))

    async def end(self, utterance: StreamedUtterance | None, *, error: bool) -> None:
        """Tell that the utterance has ended."""
        await self._send(
            SessionDone(
                session_id=self._session.id,
                utterance_index=self._index,
                total_sentences=self._sentences,
                error=error or None,
                spoken=spoken_text(utterance),
            )
        )

    def _begin(self, mark: SentenceMark) -> None:
        if self._open:  # one of several that are sent as one
            self._open.marks.append(mark)
            return
        settings = self._settings
        audio = SentenceAudio(self._session.service.threads, settings.format, streams=settings.streams)
        self._open = _OpenSentence(self._sentences, audio, [mark], self._sent)
        self._sentences += 1

    async def _take_chunk(self, chunk: AudioChunk) -> None:
        self._between.append(chunk)
        if (sentence := self._open) is None:
            return
        if not sentence.samples:
            await self._send(self._start(sentence, chunk.sample_rate))
        chunks, self._between = self._between, []
        for each in chunks:
            before = sentence.samples
            sentence.samples += len(each.samples)
            self._sent += len(each.samples)
            if data := await sentence.audio.feed(each):
                await self._send_audio(sentence, data, before)

    async def _send_between(self) -> None:
        """Send the silence after the last sentence, where audio is not in files."""
        chunks, self._between = self._between, []
        for chunk in chunks:
            self._sent += len(chunk.samples)
            await self._session.socket.send_bytes(to_int16(chunk.samples))

    async def _send_audio(self, sentence: _OpenSentence, data: bytes, before: int) -> None:
        """before: samples of the sentence before this piece."""
        if not self._settings.timestamps:
            await self._session.socket.send_bytes(data)
            return
        rate = self._rate
        started = before if self._settings.streams else 0
        await self._send(
            AudioChunkMessage(
                utterance_index=self._index,
                sentence_index=sentence.index,
                chunk_id=sentence.chunks,
                chunk_start_ms=_milliseconds(started, rate),
                chunk_end_ms=_milliseconds(sentence.samples, rate),
                sample_rate=rate,
                audio_b64=b64encode(data).decode(),
            )
        )
        sentence.chunks += 1

    async def _send_times(self, sentence: _OpenSentence, rate: int) -> None:
        begin = sentence.first_sample / rate
        words = [
            TimedWord(
                word=mark.text[slice(*word.at)].strip(),
                start_ms=round((word.start - begin) * 1000),
                end_ms=round((word.end - begin) * 1000),
            )
            for mark in sentence.marks
            for word in word_times(mark)
        ]
        end = _milliseconds(sentence.samples, rate)
        await self._send(
            AudioChunkMessage(
                utterance_index=self._index,
                sentence_index=sentence.index,
                chunk_id=sentence.chunks,
                chunk_start_ms=end,
                chunk_end_ms=end,
                sample_rate=rate,
                timestamps=words,
                alignment="interpolated",
            )
        )

    def _start(self, sentence: _OpenSentence, rate: int) -> AudioStart:
        self._rate = rate
        mark = sentence.marks[0]
        begin, end = mark.span or (None, None)
        text = mark.text
        if not self._settings.splits:
            text = self.texts[self._segments]
            end = begin + len(text) if begin is not None else None
        return AudioStart(
            id=self._id(sentence),
            utterance_index=self._index,
            sentence_index=sentence.index,
            sentence_text=text,
            format=self._settings.format.value,
            sample_rate=rate,
            channels=1,
            start_ms=sentence.first_sample / rate * 1000,
            silence_ms=sum(chunk.seconds for chunk in self._between[:-1]) * 1000,
            text_start=begin,
            text_end=end,
        )

    def _done(self, sentence: _OpenSentence, utterance: StreamedUtterance, *, error: bool) -> AudioDone:
        rate = utterance.sample_rate
        return AudioDone(
            id=self._id(sentence),
            utterance_index=self._index,
            sentence_index=sentence.index,
            total_bytes=sentence.audio.total_bytes,
            error=error,
            start_ms=sentence.first_sample / rate * 1000 if rate else None,
            end_ms=(sentence.first_sample + sentence.samples) / rate * 1000 if rate else None,
            spoken=spoken_text(utterance),
            marks=[TimedMark(name=name, ms=seconds * 1000) for name, seconds in _bookmarks(sentence)] or None,
        )

    def _id(self, sentence: _OpenSentence) -> str:
        return f"{self._session.id}-{self._index}-{sentence.index}"

    async def _send(self, message: ServerMessage) -> None:
        await self._session.socket.send_json(message.to_json())


def _bookmarks(sentence: _OpenSentence) -> list[tuple[str, float]]:
    return [found for mark in sentence.marks for found in bookmark_times(mark)]


def _milliseconds(samples: int, rate: int) -> int:
    return round(samples / rate * 1000)
