"""Public Python interface: open an engine, speak, save or play the result."""

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.format import (
    AudioFormat,
    SubtitleFormat,
    find_format,
    find_subtitle_format,
    known_suffixes,
)
from voxcli.engines import open_engine as _open_engine
from voxcli.engines.remote.settings import RemoteSettings, normalized_url
from voxcli.engines.settings import AUTO, LocalSettings
from voxcli.errors import RequestError
from voxcli.models.library import ModelLibrary
from voxcli.paths import find_places
from voxcli.protocols.dialect import ClientOptions
from voxcli.sinks import Target, ToFile, ToSpeaker, open_sink
from voxcli.sinks.base import write_paced
from voxcli.synthesis.identity import VoiceIdentity
from voxcli.synthesis.loading import OnLoading, ignore_loading
from voxcli.synthesis.marked_up import find_speakers, read_marked_up
from voxcli.synthesis.pace import StartBuffer, speaking_seconds
from voxcli.synthesis.pipeline import NO_SPEAKERS, Delivery, only_chunks, synthesize
from voxcli.synthesis.provenance import NotedText, Provenance
from voxcli.synthesis.request import (
    Clip,
    Engine,
    Piece,
    Prompt,
    Sampling,
    Speech,
    SynthesisRequest,
    Voice,
    abilities_of,
    with_seed,
)
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.parts import read_text
from voxcli.text.phonemes import readable
from voxcli.text.ssml import sniffed
from voxcli.voices.library import VoiceLibrary

_log = logging.getLogger(__name__)


class SpeechStream:
    """The speech of one text, generated while it is consumed. It can be consumed once, in any one way."""

    def __init__(
        self,
        pieces: Generator[Piece],
        buffer: StartBuffer,
        seed: int | None = None,
        provenance: Callable[[], Provenance] | None = None,
    ) -> None:
        """
        Args:
            buffer: for playing it.
            provenance: what its files say of themselves.
        """
        self._pieces = pieces
        self._buffer = buffer
        self._provenance = provenance
        self.seed = seed
        """The seed that repeats this speech; None if the engine has no use for one, or a server drew it."""

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield chunks of float32 mono samples, each with its sample rate.

        Raises:
            RequestError: the text has no words, or this engine does not support the request.
            VoxError: generation failed; the chunks before that remain valid.
        """
        return self._chunks()

    def pieces(self) -> Generator[Piece]:
        """Yield the chunks and, before and after each sentence, a `SentenceMark` with its position in seconds."""
        return self._pieces

    def samples(self) -> tuple[Samples, int]:
        """Return all samples, float32 of shape (n,), and their sample rate in Hz."""
        chunks = list(self)
        return np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        subtitles: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        metadata: bool = True,
    ) -> Path:
        """Write a file, which is playable while it grows, and return its path.

        Args:
            path: the suffix names the format: wav, flac, mp3, opus, aac or pcm.
            subtitles: another file, with the sentences and their times: srt, vtt, lrc or json.
            overwrite: existing files.
            metadata: say in the file what made it; False says only that a machine did.

        Raises:
            RequestError: the suffix names no format, or the file exists and may not be overwritten.
            DeviceError: the file cannot be written.
        """
        paths = [Path(path), *([] if subtitles is None else [Path(subtitles)])]
        said = (overwrite, self._provenance, not metadata)
        self.send(*(ToFile(one, _format_of(one), *said) for one in paths))
        return paths[0]

    def play(self, device: str | None = None) -> None:
        """Play through a loudspeaker, and return when it has been heard.

        If the engine is slower than speech, playback starts later, so that it has no gaps.

        device: name or number of the loudspeaker; None takes the system's default.

        Raises:
            DeviceError: there is none, or it fails.
        """
        self.send(ToSpeaker(device))

    def send(self, *targets: Target) -> None:
        """Send the speech to several targets at once, such as `ToFile` and `ToSpeaker` of `voxcli.sinks`."""
        with open_sink(targets, start_buffer=self._buffer.needed) as sink, closing(self._audible()) as pieces:
            write_paced(pieces, [sink], self._buffer)

    def _chunks(self) -> Speech:
        return only_chunks(self._audible())

    def _audible(self) -> Generator[Piece]:
        silent = True
        with closing(self._pieces) as pieces:
            for piece in pieces:
                silent = False
                yield piece
        if silent:
            raise RequestError("There is nothing to say: the text has no words.")


class SpeechEngine:
    """An open engine with the voices of this user. Close it, or use it as a context manager."""

    def __init__(self, engine: Engine, voices: VoiceLibrary) -> None:
        self._engine = engine
        self._voices = voices

    @property
    def slots(self) -> int:
        """Number of streams that run at once; further ones wait."""
        return self._engine.slots

    @property
    def draws_voices(self) -> bool:
        """Whether a text without a voice is spoken in a new random voice each time."""
        return self._engine.draws_voices

    def speak(
        self,
        text: str | Iterable[str],
        *,
        voice: str | Voice | None = None,
        language: str | None = None,
        speed: float = 1.0,
        volume: float = 1.0,
        gap_seconds: float | None = None,
        normalize: bool = False,
        denoise: bool = False,
        sampling: Sampling | None = None,
        markdown: bool = False,
        split: bool = True,
    ) -> SpeechStream:
        """Speak a text, sentence by sentence and in one voice. Nothing is generated until the result is consumed.

        Args:
            text: complete, or an iterable of pieces that are still being written, such as a language model's output.
                A document of SSML is spoken as one.
            voice: the name of a voice, of this user's library first, or a `Voice`; None leaves it to the engine.
            language: such as "zh" or "en"; None detects it from the text.
            speed: 0.25 to 4, with the pitch kept.
            volume: gain of the samples.
            gap_seconds: silence between sentences; None leaves what the engine made.
            normalize: spell out numbers, dates and units first.
            denoise: remove noise from the voice's recordings first.
            sampling: steps, guidance, seed and lengths.
            markdown: read the text as Markdown.
            split: False speaks the text as one piece: no sentences, no `[pause]` tags.

        Raises:
            ModelError: the named voice is damaged.
        """
        delivery = Delivery(
            voice=self._find_voice(voice),
            sampling=with_seed(sampling or Sampling(), self._engine),
            language=language,
            speed=speed,
            volume=volume,
            gap_seconds=gap_seconds if split else None,
            normalize=normalize,
            denoise=denoise,
        )
        if idle := delivery.unused(self._engine):
            _log.warning("without effect on this engine: %s", ", ".join(idle))
        whole = read_marked_up(text, speed=speed) if isinstance(text, str) and split else None
        speakers = find_speakers(whole.voices, delivery, self._engine, self._find_voice) if whole else NO_SPEAKERS
        noted = NotedText()
        pieces = whole.pieces if whole else [text] if isinstance(text, str) else sniffed(noted.noted(text))
        abilities = abilities_of(self._engine)
        parts = read_text(
            pieces,
            markdown=markdown,
            split=split,
            tags=abilities.tags,
            least_syllables=abilities.least_syllables,
        )
        parts = readable(parts, abilities.phonemes, set())
        stopwatch = Stopwatch()
        known = speaking_seconds(text) / speed if isinstance(text, str) else None
        return SpeechStream(
            synthesize(self._engine, parts, delivery, speakers=speakers, stopwatch=stopwatch),
            StartBuffer(stopwatch.timings, text_seconds=known, rate=speed),
            delivery.sampling.seed,
            lambda: self._describe(
                delivery, voice, text if isinstance(text, str) else noted.text, markdown=markdown, split=split
            ),
        )

    def _describe(
        self, delivery: Delivery, voice: str | Voice | None, text: str | None, *, markdown: bool, split: bool
    ) -> Provenance:
        """Return what makes the speech of a text, as far as that is known."""
        known = self._voices.describe(self._voices.find_spelling(voice) or "") if isinstance(voice, str) else None
        consent = known[1].consent if known else None
        identity = VoiceIdentity.of(delivery.voice, voice if isinstance(voice, str) else None, consent)
        reading = {**({"markdown": True} if markdown else {}), **({} if split else {"split": False})}
        return Provenance.of_engine(self._engine, "unknown", delivery, text, voice=identity, reading=reading)

    def stream(self, request: SynthesisRequest) -> Speech:
        """Stream a single request as it stands: the interface that engines share."""
        return self._engine.stream(request)

    def close(self) -> None:
        """Free the model. Streams that still run keep it until they end."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find_voice(self, voice: str | Voice | None) -> Voice:
        if isinstance(voice, str):
            return self._voices.find(voice) or Voice(name=voice)
        return voice or Voice()


def open_engine(
    model: str | os.PathLike[str] | None = None,
    *,
    device: str = AUTO,
    dtype: str = AUTO,
    quantize: str | None = None,
    threads: int | None = None,
    lora: str | os.PathLike[str] | None = None,
    remote: str | None = None,
    api_key: str | None = None,
    on_loading: OnLoading = ignore_loading,
) -> SpeechEngine:
    """Load a model, ready to speak.

    Args:
        model: "voxcpm-1.5" or another installed model, a hub id, the folder of a checkpoint, or "espeak" for the
            built-in voice; None takes the best installed one.
        device: auto, cpu, cuda, cuda:N or mps.
        dtype: auto, float32, bfloat16 or float16.
        quantize: int8 on a CPU, fp8 on an NVIDIA GPU; None does not quantize.
        threads: fixed number of CPU threads; None uses one per core.
        lora: the folder of a LoRA.
        remote: the URL of a server that speaks instead; `model` is then the name the server knows, and the other
            arguments have no effect.
        api_key: for `remote`.
        on_loading: receives the progress of loading a VoxCPM model; see `LoadingProgress`.

    Raises:
        NotFound: the model is not installed; the message says how to install it.
        ModelError: it is damaged.
        DeviceError: it cannot run on that device.
        RemoteError: the server cannot be reached, or does not speak a known protocol.
    """
    places = find_places(os.environ)
    voices = VoiceLibrary(places.voices)
    if remote:
        options = ClientOptions(model=None if model is None else str(model))
        settings = RemoteSettings(url=normalized_url(remote), key=api_key, options=options, cache=places.cache)
        return SpeechEngine(_open_engine(remote=settings), voices)
    local = LocalSettings(
        device=device,
        dtype=dtype,
        quantize=quantize,
        threads=threads,
        slots=1,
        lora=None if lora is None else Path(lora),
        clips=places.clips,
        prepared=places.prepared,
        kernels=places.kernels,
        cache=places.cache,
        anchors=places.anchors,
    )
    models = ModelLibrary(places.hub, places.models)
    name = None if model is None else str(model)
    return SpeechEngine(_open_engine(name, models=models, settings=local, on_loading=on_loading), voices)


def voice_from(recording: str | os.PathLike[str], transcript: str | None = None) -> Voice:
    """Return the voice of a recording: 5 to 30 s of clear speech, in any audio format.

    transcript: of the recording. Optional for VoxCPM2, required by the other models.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(recording)
    clip = Clip(path.read_bytes(), path.name)
    return Voice(prompt=Prompt(clip, transcript)) if transcript else Voice(reference=clip)


def voice_library() -> VoiceLibrary:
    """Return the named voices of this user, as `voxcli voices` lists them."""
    return VoiceLibrary(find_places(os.environ).voices)


def _format_of(path: Path) -> AudioFormat | SubtitleFormat:
    if format := find_format(path) or find_subtitle_format(path):
        return format
    known = [*known_suffixes(), *(f".{format}" for format in SubtitleFormat)]
    raise RequestError(f"{path} has no known format. Use one of: {', '.join(known)}.")
