"""Response bodies: the pipeline's chunks resampled, encoded and framed, all on one thread."""

import json
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded, encoded_whole
from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.audio.headers import streaming_header, wav_bytes
from voxcli.audio.resample import resampled
from voxcli.audio.tags import Tags
from voxcli.protocols.dialect import DRAWS_VOICES, GENERATED, IGNORED, MADE_BY, Framing, ServerRequest
from voxcli.protocols.openai.events import delta_event, done_event, sentence_event
from voxcli.server.monitoring import EngineHeartbeat
from voxcli.sinks.subtitles import mark_fields, render_subtitles, sentence_fields
from voxcli.synthesis.cues import CueStream
from voxcli.synthesis.identity import identity_of
from voxcli.synthesis.marked_up import find_speakers, read_marked_up
from voxcli.synthesis.marking import mark_tags
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import Engine, LeavesOut, Piece, Speech, Voice, abilities_of, without_effect
from voxcli.synthesis.timing import Stopwatch, Timings
from voxcli.text.marks import Part
from voxcli.text.parts import TextPiece, read_lines, read_parts
from voxcli.text.phonemes import readable
from voxcli.text.ssml import is_ssml


@runtime_checkable
class _HasRate(Protocol):
    """An engine whose sample rate is always the same."""

    @property
    def sample_rate(self) -> int: ...


class Rendering:
    """One request being rendered, with its timings. Iterated once, on one thread."""

    def __init__(
        self,
        engine: Engine,
        server_request: ServerRequest,
        heartbeat: EngineHeartbeat,
        model: str,
        *,
        find_voice: Callable[[str], Voice | None] = lambda name: None,
    ) -> None:
        """
        Args:
            model: its name, for engines that tell nothing of it.
            find_voice: finds a voice that the text names. May read files.
        """
        self.sample_rate = engine.sample_rate if isinstance(engine, _HasRate) else 0
        """Hz, of the response. Known before the first piece."""
        self.has_words = False
        """Whether anything in the text so far was to be spoken."""
        self._stopwatch = Stopwatch()
        self._stopped = False
        self._engine = engine
        self._server_request = server_request
        self._heartbeat = heartbeat
        self._model = model
        self._cues = CueStream()
        self._marks: list[dict[str, Any]] = []  # that are not sent yet
        self._find_voice = find_voice

    def headers(self) -> dict[str, str]:
        """Return the headers about the engine: its model, whether it draws voices, and what it ignored."""
        asked = self._server_request
        idle = without_effect(asked.request.voice, abilities_of(self._engine))
        if isinstance(self._engine, LeavesOut):
            idle |= self._engine.left_out(asked.request)
        ignored = [*(name for name, parameter in asked.parameters.items() if parameter in idle), *asked.ignored]
        identity = identity_of(self._engine, self._model)
        headers = {
            DRAWS_VOICES: "true" if self._engine.draws_voices else "false",
            GENERATED: identity.source_type,
            MADE_BY: json.dumps(identity.to_dict()),
        }
        return headers | ({IGNORED: ", ".join(dict.fromkeys(ignored))} if ignored else {})

    @property
    def timings(self) -> Timings:
        return self._stopwatch.timings

    def stop(self) -> None:
        """Generate no further chunk. A whole body yields nothing at which its generator could be closed before."""
        self._stopped = True

    def pieces(self) -> Generator[bytes]:
        """Yield the response body, without empty pieces; nothing if there is no audio."""
        form = self._server_request.form
        if form.framing is Framing.OBJECT:
            return self._object()
        if form.whole:
            return self._whole()
        if form.framing is Framing.BLOCKS:
            return self._blocks()
        if form.framing is Framing.SSE:
            return self._events()
        if form.floats:
            return self._floats()
        data = encoded(self._chunks(), form.format, self._tags)
        return self._header_apart(data) if form.header_apart else data

    def _tags(self) -> Tags:
        """Return the mark that a machine made it. Some decoders of AAC do not expect a tag in front of it."""
        if self._server_request.form.format is AudioFormat.AAC:
            return {}
        return mark_tags(identity_of(self._engine, self._model).source_type)

    def _chunks(self) -> Speech:
        """Yield the speech at the sample rate of the response."""
        wanted = self._server_request.form.sample_rate
        chunks = self._heartbeat.watched(self._speech())
        with closing(resampled(chunks, wanted) if wanted else chunks) as outgoing:
            for chunk in outgoing:
                if self._stopped:
                    return
                if len(chunk.samples):
                    self.sample_rate = chunk.sample_rate
                    yield chunk

    def _speech(self) -> Speech:
        request = self._server_request.request
        if self._server_request.as_is:
            self.has_words = True
            return self._stopwatch.timed(self._engine.stream(request))
        delivery = Delivery.of(request)
        text = read_marked_up(request.text, speed=request.speed)
        speakers = find_speakers(text.voices, delivery, self._engine, self._find_voice)
        parts = self._parts(text.pieces)
        pieces = synthesize(self._engine, parts, delivery, speakers=speakers, stopwatch=self._stopwatch)
        form = self._server_request.form
        return self._timed(pieces) if form.sentences or form.subtitles else only_chunks(pieces)

    def _timed(self, pieces: Generator[Piece]) -> Speech:
        """Leave out the marks, and keep what they tell."""
        with closing(pieces):
            for piece in pieces:
                if isinstance(piece, AudioChunk):
                    self._cues.feed(piece)
                    yield piece
                    continue
                self._cues.mark(piece)
                if self._server_request.form.sentences:
                    ended = self._cues.newest.sentences[-1] if piece.end is not None and self._cues.newest else None
                    self._marks.append(sentence_fields(ended) if ended else mark_fields(piece))
                    self._cues.settled.clear()

    def _floats(self) -> Generator[bytes]:
        with closing(self._chunks()) as chunks:
            for chunk in chunks:
                yield chunk.samples.astype("<f4", copy=False).tobytes()

    def _header_apart(self, data: Generator[bytes]) -> Generator[bytes]:
        """Yield the header of a WAV stream alone once there is sound, as clients of GPT-SoVITS expect it."""
        with closing(data):
            for first in data:
                header = len(streaming_header(self.sample_rate))
                yield first[:header]
                if rest := first[header:]:
                    yield rest
                break
            yield from data

    def _blocks(self) -> Generator[bytes]:
        with closing(self._chunks()) as chunks:
            for chunk in chunks:
                yield wav_bytes(chunk.samples, chunk.sample_rate)

    def _events(self) -> Generator[bytes]:
        with closing(encoded(self._chunks(), self._server_request.form.format, self._tags)) as data:
            for piece in data:
                yield from self._sentences()
                yield delta_event(piece)
            yield from self._sentences()
        if self.sample_rate:
            yield done_event(self._server_request.request.text, self.timings.audio)

    def _sentences(self) -> Iterator[bytes]:
        """Yield the events of the sentences that have begun or ended since the last call."""
        marks, self._marks = self._marks, []
        for fields in marks:
            yield sentence_event(fields)

    def _object(self) -> Generator[bytes]:
        """Yield a JSON object with the audio and its subtitles."""
        form = self._server_request.form
        assert form.subtitles
        if data := encoded_whole(self._chunks(), form.format, self._tags):
            self._cues.finish()
            text = render_subtitles(self._cues.settled.values(), form.subtitles)
            subtitles = json.loads(text) if form.subtitles is SubtitleFormat.JSON else text
            answer = {"audio": b64encode(data).decode(), "format": form.format, "subtitles": subtitles}
            yield json.dumps(answer, ensure_ascii=False).encode()

    def _whole(self) -> Generator[bytes]:
        """Yield everything at once, with the length in its header where the format has one."""
        form = self._server_request.form
        if data := b"".join(self._floats()) if form.floats else encoded_whole(self._chunks(), form.format, self._tags):
            yield data

    def _parts(self, pieces: Iterable[TextPiece]) -> Iterator[Part]:
        """Yield sentences and pauses, or the lines into which the client's protocol cut the text."""
        text, gap = self._server_request.request.text, self._server_request.gap_seconds
        abilities = abilities_of(self._engine)
        parts = (
            read_parts(pieces, markdown=False, tags=abilities.tags, least_syllables=abilities.least_syllables)
            if gap is None or is_ssml(text)
            else read_lines(text, gap, tags=abilities.tags)
        )
        for part in readable(parts, abilities.phonemes, set()):
            self.has_words = self.has_words or isinstance(part, str)
            yield part
