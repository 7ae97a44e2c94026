"""The engine that every machine has: eSpeak NG, instant and robotic."""

import logging
import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.engines.espeak.languages import Run, find_language, find_voice, has_kana, script_runs
from voxcli.engines.espeak.library import NORMAL_RATE, Espeak, load_espeak
from voxcli.engines.spelling import spelled_out
from voxcli.errors import RequestError
from voxcli.synthesis.request import Sampling, Speech, SynthesisRequest
from voxcli.text.sentences.splitter import split_sentences

_log = logging.getLogger(__name__)

_SLOWEST_OF_ITS_OWN = 0.5  # eSpeak NG stops slowing down at 80 words a minute

_CHINESE = "cmn"
_JAPANESE = "jpx/ja"

_CANNOT_CLONE = (
    "The built-in voice (eSpeak NG) cannot imitate a voice. The VoxCPM models can: voxcli models pull voxcpm-1.5"
)
_CANNOT_ACT = "The built-in voice (eSpeak NG) cannot follow a description. VoxCPM2 can: voxcli models pull voxcpm-2"
_CANNOT_SAMPLE = (
    "The built-in voice (eSpeak NG) always speaks the same way: it has no steps, no guidance and no length. "
    "Leave out --steps, --cfg, --min-len, --max-len and --retry-badcase."
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text and who reads it."""

    text: str
    voice: str
    end_pause: bool


class BuiltinEngine:
    """eSpeak NG as an `Engine`. The library speaks one text at a time; callers take turns, run by run."""

    slots = 1
    draws_voices = False

    def __init__(self, espeak: Espeak | None = None) -> None:
        self._espeak = espeak or load_espeak()
        self._warned_of_kanji = False

    def stream(self, request: SynthesisRequest) -> Speech:
        if request.voice.reference or request.voice.prompt:
            raise RequestError(_CANNOT_CLONE)
        if request.voice.style:
            raise RequestError(_CANNOT_ACT)
        if replace(request.sampling, seed=None) != Sampling():
            raise RequestError(_CANNOT_SAMPLE)
        if request.normalize:
            request = replace(request, text=spelled_out(request.text))
        own_speed = max(request.speed, _SLOWEST_OF_ITS_OWN)
        chunks = self._spoken(request, round(NORMAL_RATE * own_speed))
        if own_speed != request.speed:
            from voxcli.audio.tempo import retimed  # loads libav, which only the slowest speeds need

            chunks = retimed(chunks, request.speed / own_speed)
        yield from chunks

    def close(self) -> None:
        """Nothing to give back: the library stays for the other engines of the process."""

    def _spoken(self, request: SynthesisRequest, rate: int) -> Speech:
        for reading in self._readings(request):
            _log.debug("%s reads %r", reading.voice, reading.text)
            with closing(_as_made(self._espeak, reading, rate)) as made:
                for samples in made:
                    yield AudioChunk(samples, self._espeak.sample_rate)

    def _readings(self, request: SynthesisRequest) -> Iterator[_Reading]:
        """Choose who reads what. Raises before the first reading if somebody unknown is asked for."""
        fixed, variant = self._asked_for(request)
        japanese = fixed == _JAPANESE if fixed else has_kana(request.text)
        for sentence in split_sentences(request.text):
            runs = script_runs(sentence) if japanese or not fixed else [Run(sentence, None)]
            for run in runs:
                kanji = japanese and run.language == _CHINESE
                if kanji:
                    self._warn_of_kanji(run.text)
                if fixed and not kanji:
                    voice = fixed
                else:
                    voice = find_language(run.language or "en", self._espeak.voices).identifier
                yield _Reading(run.text, voice + variant, end_pause=run is runs[-1])

    def _asked_for(self, request: SynthesisRequest) -> tuple[str | None, str]:
        """Return the identifier of the one voice that reads everything, if one is asked for, and a variant."""
        voice, variant = find_voice(request.voice.name or "", self._espeak)
        if request.language is None:
            return voice, variant
        language = find_language(request.language, self._espeak.voices).identifier
        if voice not in (None, language):
            raise RequestError(
                f"The built-in voice {request.voice.name!r} does not speak {request.language!r}. "
                "Name a voice that does, or only one of the two."
            )
        return language, variant

    def _warn_of_kanji(self, kanji: str) -> None:
        if not self._warned_of_kanji:
            self._warned_of_kanji = True
            _log.warning(
                "The built-in voice cannot read Japanese kanji, such as %s: it reads them as Chinese. "
                "Write them in kana to hear them right.",
                kanji.strip(),
            )


def _as_made(espeak: Espeak, reading: _Reading, rate: int) -> Generator[Samples]:
    """Yield what eSpeak NG makes while it still speaks.

    It speaks on a thread of its own, to the end of its text and no further, so that a slow listener never keeps the
    library from others.
    """
    made: queue.SimpleQueue[Samples | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def take(samples: Samples) -> bool:
        made.put(samples)
        return not closed.is_set()

    def work() -> None:
        try:
            espeak.speak(reading.text, reading.voice, rate, take, end_pause=reading.end_pause)
            made.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the samples are read
            made.put(error)

    thread = threading.Thread(target=work, name="espeak", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
