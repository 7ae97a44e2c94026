"""Kokoro as an `Engine`: human voices for Chinese, English and five more languages, on a CPU."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from voxcli.audio.chunk import AudioChunk, amplified
from voxcli.audio.resample import resampled
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.engines.espeak.languages import find_language
from voxcli.engines.espeak.library import Espeak, load_espeak
from voxcli.engines.kokoro.english import SPEAKER as SMALL_SPEAKER
from voxcli.engines.kokoro.english import EnglishDictionary, SmallEnglish
from voxcli.engines.kokoro.european import ESPEAK_VOICES
from voxcli.engines.kokoro.model import FASTEST, SAMPLE_RATE, SLOWEST, KokoroModel
from voxcli.engines.kokoro.pieces import pieces_of
from voxcli.engines.kokoro.reading import Context, Passage, Readers, passages_of
from voxcli.engines.kokoro.session import open_session
from voxcli.engines.kokoro.speakers import GAINS, SMALL, SPEAKERS_OF_NAMED, VOICES, speaker_of_named
from voxcli.engines.kokoro.styles import load_styles
from voxcli.errors import ModelError, NotFound, RequestError, did_you_mean
from voxcli.models.catalog import KOKORO
from voxcli.models.kokoro import KokoroSource
from voxcli.processes import trim_heap
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.request import Abilities, Speech, SynthesisRequest, Voice
from voxcli.text.language import CHINESE, ENGLISH, base_language, language_of, latin_language
from voxcli.text.language_names import language_code
from voxcli.text.phonemes import Alphabet
from voxcli.text.sentences.splitter import split_sentences
from voxcli.voices.named import DEFAULT

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CANNOT_CLONE = "Kokoro cannot imitate a voice. The VoxCPM models can."
_PULL_A_MODEL = "Install one with: voxcli models pull voxcpm-1.5"

_SENTENCE_PAUSE, _CLAUSE_PAUSE = 0.3, 0.16
"""Seconds of quiet behind a piece at normal speed; the model makes about as much within one."""

_QUOTED = 20
"""Characters of a text in a warning."""

_SPEAKERS = {
    CHINESE: "zf_xiaobei",
    "en-us": SMALL_SPEAKER,
    "en-gb": "bf_emma",
    "es": "ef_dora",
    "fr": "ff_siwis",
    "it": "if_sara",
    "pt-br": "pf_dora",
    "hi": "hf_alpha",
}
"""Who speaks a language if no voice is named."""
_AMERICAN = "en-us"
_BY_BASE = {"en": _AMERICAN, "pt": "pt-br", CHINESE: CHINESE, "es": "es", "fr": "fr", "it": "it", "hi": "hi"}
_BRITISH = ("en-gb", "en-au", "en-nz", "en-ie", "en-za", "en-in")


class _Once(Generic[T]):
    """A value that is made when it is first asked for, by one thread."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None
        self._dropped = False

    @property
    def value(self) -> T:
        with self._lock:
            if self._dropped:
                raise ModelError("Kokoro is closed.")
            if self._made is None:
                self._made = self._make()
            return self._made

    def load(self) -> None:
        """Make the value now."""
        assert self.value

    def drop(self) -> T | None:
        """Return the value, if it was made, and make none any more."""
        with self._lock:
            made, self._made, self._dropped = self._made, None, True
            return made


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one request is spoken."""

    speaker: str
    context: Context
    small: bool
    """Whether hibari may speak what is English."""
    only: str | None
    """A language that Kokoro does not speak, for all of the text."""


class KokoroEngine:
    """Kokoro for what it can read, hibari for English alone, eSpeak NG for the rest."""

    draws_voices = False
    abilities = Abilities(sampling=False, styles=False, clips=False, phonemes=frozenset(Alphabet))
    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        source: KokoroSource,
        *,
        cache: Path | None = None,
        threads: int = 1,
        slots: int = 1,
        espeak: Espeak | None = None,
    ) -> None:
        """
        Args:
            source: the model. With one slot it is loaded when it is first needed, which it is not for English alone.
            cache: of this user.
            threads: that work on one piece.
            slots: streams at once; they share the model and its threads.

        Raises:
            ModelError: the voices or eSpeak NG cannot be loaded.
        """
        self.slots = slots
        self.identity = ModelIdentity(name=KOKORO, weights=source.digest, precision="int8", device="cpu")
        self._espeak = espeak or load_espeak()
        self._styles = load_styles()
        self.voice_names = frozenset([*self._styles, *SPEAKERS_OF_NAMED, DEFAULT])
        self._model = _Once(lambda: KokoroModel(open_session(source, cache, threads)))
        self._small = _Once(SmallEnglish)
        self._american = _Once(lambda: EnglishDictionary(british=False))
        self._british = _Once(lambda: EnglishDictionary(british=True))
        self._readers = Readers(self._espeak, self._english)
        self._builtin = BuiltinEngine(self._espeak)
        self._noted: set[str] = set()
        if slots > 1:
            for model in (self._model, self._small, self._american):
                model.load()  # the first user of a server does not wait for it

    def stream(self, request: SynthesisRequest) -> Speech:
        if request.voice.reference or request.voice.prompt:
            raise RequestError(_CANNOT_CLONE, on_command_line=_PULL_A_MODEL)
        plan = self._plan(request)
        speed = min(max(request.speed, SLOWEST), FASTEST)
        chunks = self._spoken(request, plan, speed)
        if speed != request.speed:
            from voxcli.audio.tempo import retimed  # imports libav, which only such speeds need

            chunks = retimed(chunks, request.speed / speed)
        yield from chunks

    def languages_of(self, voice: str) -> tuple[str, ...]:
        """Return the language that one of its voices was recorded in; of any other voice, all languages."""
        if found := VOICES.get(voice):
            return (found.language,)
        return tuple(dict.fromkeys(known.language for known in VOICES.values()))

    def close(self) -> None:
        """Free the models. Streams that still run keep them until their piece ends."""
        if model := self._model.drop():
            model.close()
        for part in (self._small, self._american, self._british):
            part.drop()
        trim_heap()

    def _plan(self, request: SynthesisRequest) -> _Plan:
        """Choose speaker and languages. Raises NotFound for a voice or language that is unknown."""
        named, openai_name = self._speaker_named(request.voice)
        spoken = None
        if request.language:
            spoken = kokoro_language(request.language)
            if spoken is None:
                find_language(request.language, self._espeak.voices)
                context = Context(request.language, None, base_language(request.language))
                return _Plan(named or SMALL_SPEAKER, context, small=False, only=request.language)
        latin = self._latin(request, named, spoken)
        whole = base_language(request.text_language) or language_of(request.text)
        main = spoken or (latin if whole in (None, ENGLISH, latin.partition("-")[0]) else whole)
        speaker = named or _SPEAKERS.get(main or latin, SMALL_SPEAKER)
        if openai_name:
            speaker = speaker_of_named(openai_name, main or latin)
        small = not named and speaker == SMALL_SPEAKER and latin == _AMERICAN
        return _Plan(speaker, Context(latin, whole, base_language(spoken)), small=small, only=None)

    def _speaker_named(self, voice: Voice) -> tuple[str | None, str | None]:
        """Return the voice of that name, or the one that speaks English for a name of OpenAI, and that name."""
        name = (voice.name or DEFAULT).strip().lower()
        if name == DEFAULT:
            return None, None
        if name in self._styles:
            return name, None
        if name in SPEAKERS_OF_NAMED:
            return SPEAKERS_OF_NAMED[name][0], name
        raise NotFound(
            f"Kokoro has no voice {voice.name!r}.{did_you_mean(name, self._styles)} "
            f"It has {len(self._styles)}, such as {', '.join(list(_SPEAKERS.values())[:3])}.",
            on_command_line="To list them all: voxcli voices",
        )

    @staticmethod
    def _latin(request: SynthesisRequest, named: str | None, spoken: str | None) -> str:
        """Return the language of the words in Latin letters: as asked for, as they tell, or as the speaker's own."""
        if spoken and spoken != CHINESE and spoken != "hi":
            return spoken
        own = VOICES[named].language if named else _AMERICAN
        context = base_language(request.text_language)
        found = latin_language(request.text, least_words=2)
        if found is None and context in _BY_BASE and context not in (ENGLISH, CHINESE, "hi"):
            found = context
        found = found or latin_language(request.text)
        if found is None or (found not in _BY_BASE and len(found) != 2):
            return own if own in ESPEAK_VOICES and own != "hi" else _AMERICAN
        if own.startswith(f"{found}-"):
            return own
        return _BY_BASE.get(found, found)

    def _spoken(self, request: SynthesisRequest, plan: _Plan, speed: float) -> Speech:
        if plan.only:
            self._note(plan.only, request.text)
            yield from self._by_espeak(request, request.text, plan.only, speed)
            return
        for sentence in split_sentences(request.text):
            for passage in passages_of(sentence, plan.context, self._readers):
                if not passage.phonemes:
                    self._note(passage.language, passage.text)
                    yield from self._by_espeak(request, passage.text, passage.language, speed)
                else:
                    yield from self._by_kokoro(passage, plan, speed)

    def _by_kokoro(self, passage: Passage, plan: _Plan, speed: float) -> Speech:
        small = self._small.value if plan.small and passage.language == _AMERICAN else None
        for piece in pieces_of(passage.phonemes):
            pause = _pause(piece) / speed
            if small:
                samples = small.speak(piece, speed, pause)
            else:
                samples = self._model.value.speak(piece, self._styles[plan.speaker], speed, pause)
            gain = 10 ** (GAINS[SMALL if small else plan.speaker] / 20)
            yield AudioChunk(amplified(samples, gain), SAMPLE_RATE)

    def _english(self, text: str, language: str) -> str:
        dictionary = self._american if language == _AMERICAN else self._british
        return dictionary.value.phonemes(text)

    def _by_espeak(self, request: SynthesisRequest, text: str, language: str | None, speed: float) -> Speech:
        asked = replace(request, text=text, voice=Voice(), language=language, speed=speed, normalize=False)
        yield from resampled(self._builtin.stream(asked), SAMPLE_RATE)

    def _note(self, language: str | None, text: str) -> None:
        """Say once for each language that another voice reads it."""
        key = language or ""
        if key not in self._noted and any(map(str.isalnum, text)):
            self._noted.add(key)
            beginning = text.strip()
            if len(beginning) > _QUOTED:
                beginning = f"{beginning[:_QUOTED]}…"
            _log.warning("Kokoro cannot read %r: eSpeak NG does.", beginning)


def kokoro_language(language: str) -> str | None:
    """Return the language of Kokoro that is meant by "en-GB", "Chinese" or "pt"; None if it does not speak it."""
    code = (language_code(language) or language).strip().lower().replace("_", "-")
    if code in ("zh-hk", "yue", "cantonese"):
        return None
    if code.startswith(_BRITISH):
        return "en-gb"
    return _BY_BASE.get(base_language(code) or "")


def _pause(piece: str) -> float:
    """Return the seconds of quiet behind a piece."""
    mark = piece.rstrip('")” ')[-1:]
    return _SENTENCE_PAUSE if mark in tuple(".!?…") else _CLAUSE_PAUSE if mark in tuple(";:,—") else 0.0
