"""Audio of one sentence at a time, encoded as it comes or as a whole file."""

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import Encoder, encoded_whole, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.server.streaming.worker import Threads

_CHEAP = (AudioFormat.PCM, AudioFormat.WAV)
"""Formats that are encoded faster than a thread is woken."""


class SentenceAudio:
    """Encodes the chunks of one sentence."""

    def __init__(self, threads: Threads, format: AudioFormat, *, streams: bool) -> None:
        """streams: whether bytes come as soon as possible, and not all of them at the end."""
        self.total_bytes = 0
        """Of what was returned."""
        self._threads, self._format, self._streams = threads, format, streams
        self._encoder: Encoder | None = None
        self._chunks: list[AudioChunk] = []

    async def feed(self, chunk: AudioChunk) -> bytes:
        """Return what is ready, which may be nothing."""
        if not self._streams:
            self._chunks.append(chunk)
            return b""
        encoder = self._encoder = self._encoder or new_encoder(self._format, chunk.sample_rate)
        if self._format in _CHEAP:
            return self._counted(encoder.encode(chunk))
        return self._counted(await self._threads.call(lambda: encoder.encode(chunk)))

    async def finish(self) -> bytes:
        """Return the rest."""
        if encoder := self._encoder:
            if self._format in _CHEAP:
                return self._counted(encoder.finish())
            return self._counted(await self._threads.call(encoder.finish))
        if not self._chunks:
            return b""
        chunks, self._chunks = self._chunks, []
        return self._counted(await self._threads.call(lambda: encoded_whole(iter(chunks), self._format)))

    def _counted(self, data: bytes) -> bytes:
        self.total_bytes += len(data)
        return data
