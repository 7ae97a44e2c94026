"""eSpeak NG engine: fast formant synthesis, always available."""

import logging
import queue
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.engines.espeak.languages import (
    SCRIPT_LANGUAGES,
    ScriptRun,
    find_language,
    has_kana,
    script_runs,
    voice_for,
)
from voxcli.engines.espeak.library import NORMAL_RATE, Espeak, load_espeak
from voxcli.engines.espeak.mnemonics import in_brackets
from voxcli.engines.spelling import spelled_out
from voxcli.errors import RequestError
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.request import Abilities, Speech, SynthesisRequest
from voxcli.text.phonemes import Alphabet, Phonemes, alphabets_in, ipa_of, split_phonemes
from voxcli.text.sentences.splitter import split_sentences

_log = logging.getLogger(__name__)

_MIN_OWN_SPEED = 0.5
"""eSpeak NG speaks at least 80 words per minute; slower speech is stretched."""

_THOUSANDS = re.compile("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3}(?!\\d))")
"""Spaces that part thousands, which the library would read as two numbers."""

_CHINESE = "cmn"
_PINYIN = "pinyin"
"""In place of a language: syllables that the Chinese voice reads, whichever voice reads the rest."""
_JAPANESE = "jpx/ja"

_CANNOT_CLONE = "The built-in voice (eSpeak NG) cannot imitate a voice. The VoxCPM models can."
_PULL_A_MODEL = "Install one with: voxcli models pull voxcpm-1.5"


@dataclass(frozen=True, slots=True)
class _Utterance:
    """A text and the voice that reads it."""

    text: str
    voice: str
    end_pause: bool
    phonemes: bool = False
    """Whether there are phonemes in its double square brackets."""


class BuiltinEngine:
    """eSpeak NG as an `Engine`. The library synthesizes one text at a time, so concurrent streams take turns."""

    slots = 1
    draws_voices = False
    abilities = Abilities(sampling=False, styles=False, clips=False, phonemes=frozenset(Alphabet))

    def __init__(self, espeak: Espeak | None = None) -> None:
        self._espeak = espeak or load_espeak()
        self.voice_names = frozenset(self._espeak.voices)
        self.identity = ModelIdentity(name="espeak", revision=self._espeak.version, device="cpu", trained=False)
        self._has_warned_of_kanji = False

    def stream(self, request: SynthesisRequest) -> Speech:
        if request.voice.reference or request.voice.prompt:
            raise RequestError(_CANNOT_CLONE, on_command_line=_PULL_A_MODEL)
        if request.normalize:
            request = replace(request, text=spelled_out(request.text, request))
        own_speed = max(request.speed, _MIN_OWN_SPEED)
        chunks = self._synthesize(request, round(NORMAL_RATE * own_speed))
        if own_speed != request.speed:
            from voxcli.audio.tempo import retimed  # imports libav, which only very slow speech needs

            chunks = retimed(chunks, request.speed / own_speed)
        yield from chunks

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self._espeak.sample_rate

    def languages_of(self, voice: str) -> tuple[str, ...]:
        """Return the language of one of its voices; of any other voice, all languages."""
        if found := self._espeak.voices.get(voice):
            return (found.language,)
        return tuple(sorted({known.language for known in self._espeak.voices.values()}))

    def close(self) -> None:
        """Does nothing: other engines of the process may use the library."""

    def _synthesize(self, request: SynthesisRequest, rate: int) -> Speech:
        for utterance in self._utterances(request):
            _log.debug("%s reads %r", utterance.voice, utterance.text)
            with closing(_streamed(self._espeak, utterance, rate)) as stream:
                for samples in stream:
                    yield AudioChunk(samples, self._espeak.sample_rate)

    def _utterances(self, request: SynthesisRequest) -> Iterator[_Utterance]:
        """Assign voices to the text. Raises before the first utterance if a voice or language is unknown."""
        fixed, variant = self._requested_voice(request)
        japanese = fixed == _JAPANESE if fixed else has_kana(request.text)
        # Numbers alone are read as the rest of the text, which is in English in all languages of Latin script.
        alone = request.text_language if request.text_language in SCRIPT_LANGUAGES else "en"
        for sentence in split_sentences(_THOUSANDS.sub("", request.text)):
            runs = list(_runs(sentence, by_script=japanese or not fixed))
            for run in runs:
                kanji = japanese and run.language == _CHINESE
                if kanji:
                    self._warn_of_kanji(run.text)
                if fixed and not kanji and run.language != _PINYIN:
                    voice = fixed
                else:
                    language = _CHINESE if run.language == _PINYIN else run.language or alone
                    voice = find_language(language, self._espeak.voices).identifier
                marked = "[[" in run.text and bool(alphabets_in(sentence))
                yield _Utterance(run.text, voice + variant, end_pause=run is runs[-1], phonemes=marked)

    def _requested_voice(self, request: SynthesisRequest) -> tuple[str | None, str]:
        """Return the identifier of the voice for the whole text, None if the request names none, and a variant."""
        voice, variant = voice_for(request.voice.name or "", self._espeak)
        if request.language is None:
            return voice, variant
        language = find_language(request.language, self._espeak.voices).identifier
        if voice not in (None, language):
            raise RequestError(
                f"The built-in voice {request.voice.name!r} does not speak {request.language!r}. "
                "Name a voice that does, or leave out one of the two."
            )
        return language, variant

    def _warn_of_kanji(self, kanji: str) -> None:
        if not self._has_warned_of_kanji:
            self._has_warned_of_kanji = True
            _log.warning(
                "The built-in voice cannot read Japanese kanji, such as %s: it reads them as Chinese. "
                "Write them in kana instead.",
                kanji.strip(),
            )


def _runs(sentence: str, *, by_script: bool) -> Iterator[ScriptRun]:
    """Split a sentence by its scripts, if the voice depends on them, and where there is pinyin."""
    held, has_phonemes = "", bool(alphabets_in(sentence))
    for piece in split_phonemes(sentence):
        if not isinstance(piece, Phonemes):
            held += piece.replace("[[", "[ [") if has_phonemes else piece
        elif piece.alphabet is Alphabet.PINYIN:
            yield from _by_script(held, by_script=by_script)
            yield ScriptRun(piece.written, _PINYIN)
            held = ""
        else:
            held += in_brackets(ipa_of(piece.written) if piece.alphabet is Alphabet.ARPABET else piece.written)
    yield from _by_script(held, by_script=by_script)


def _by_script(text: str, *, by_script: bool) -> list[ScriptRun]:
    if not text:
        return []
    return script_runs(text) if by_script else [ScriptRun(text, None)]


def _streamed(espeak: Espeak, utterance: _Utterance, rate: int) -> Generator[Samples]:
    """Yield samples while eSpeak NG synthesizes them.

    The synthesis runs in its own thread to the end of the text, so that a slow consumer does not block the library.
    """
    made: queue.SimpleQueue[Samples | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def take(samples: Samples) -> bool:
        made.put(samples)
        return not closed.is_set()

    def work() -> None:
        try:
            espeak.speak(
                utterance.text,
                utterance.voice,
                rate,
                take,
                end_pause=utterance.end_pause,
                phonemes=utterance.phonemes,
            )
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
