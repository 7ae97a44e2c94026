"""Phonemes of the languages that eSpeak NG reads for Kokoro, in Kokoro's alphabet.

Kokoro was trained on phonemes that misaki (hexgrad, Apache-2.0) made, for most languages with eSpeak NG. The tables say
how misaki writes eSpeak NG's phonemes.
"""

import re

from voxcli.engines.espeak.library import TIE, Clause, Espeak
from voxcli.engines.kokoro.alphabet import in_alphabet
from voxcli.text.characters import CLOSERS
from voxcli.text.phonemes import stress_at_vowels

ESPEAK_VOICES = {
    "en-us": "gmw/en-US",
    "en-gb": "gmw/en",
    "es": "roa/es",
    "fr": "roa/fr",
    "it": "roa/it",
    "pt-br": "roa/pt-BR",
    "hi": "inc/hi",
}
"""By the language tag of a voice of Kokoro."""

_MARKS = {
    **{mark: mark for mark in ";:,.!?—…"},
    **dict(zip("，、،；؛：。．।॥！？؟‼⁇⁈⁉–-‥", ",,,;;:....!??!???——…", strict=True)),
}

_SHARED = {"a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y"}
_OTHERS = {**_SHARED, "d^z": "ʣ", "o^ʊ": "O", "ə^ʊ": "Q", "s^s": "S", "t^s": "ʦ", "-": ""}
_ENGLISH = _SHARED | {
    "ʔˌn\u0329": "ʔn",
    "ʔn\u0329": "ʔn",
    "ə^l": "ᵊl",
    "ʲo": "jo",
    "ʲə": "jə",
    "ʲ": "",
    "ɚ": "əɹ",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "\u0303": "",
}
_AMERICAN = (("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_BRITISH = (("e^ə", "ɛː"), ("i^ə", "ɪə"), ("iə", "ɪə"), ("ə^ʊ", "Q"))
_FLAPS = (("ɾ", "T"), ("ʔ", "t"))
_DOUBLE = re.compile("([aeɔoə](?=[ɪʊ])|[td](?=[ʃʒ]))(.)")
"""Two letters that are one phoneme."""
_SYLLABIC = re.compile("(\\S)\u0329")


def _pattern(table: dict[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(key) for key in sorted(table, key=len, reverse=True)))


_OTHER_PHONEMES, _ENGLISH_PHONEMES = _pattern(_OTHERS), _pattern(_ENGLISH)


def european_phonemes(text: str, language: str, espeak: Espeak) -> str:
    """Return the phonemes of a text in one of `ESPEAK_VOICES`, with its punctuation.

    Raises:
        ModelError: eSpeak NG cannot load the language.
    """
    clauses = espeak.phonemes(text, ESPEAK_VOICES[language])
    parts = []
    for number, clause in enumerate(clauses, start=1):
        parts.append(_written(clause.phonemes, language) + _mark(clause, last=number == len(clauses)))
    return " ".join(part for part in parts if part)


def phonemes_of_ipa(ipa: str, language: str) -> str:
    """Return IPA in Kokoro's alphabet, as it writes one of `ESPEAK_VOICES`."""
    plain = stress_at_vowels(ipa).replace("\u0361", "")
    return _written(_DOUBLE.sub(rf"\1{TIE}\2", plain), language)


def _mark(clause: Clause, *, last: bool) -> str:
    """Return the mark that ends a clause. A full stop inside a sentence ends an abbreviation, and is not heard."""
    mark = _MARKS.get(clause.text.rstrip().rstrip(CLOSERS + " ")[-1:], "")
    return "" if mark == "." and not last else mark


def _written(phonemes: str, language: str) -> str:
    if not language.startswith("en"):
        written = _OTHER_PHONEMES.sub(lambda match: _OTHERS[match[0]], phonemes)
    else:
        written = _ENGLISH_PHONEMES.sub(lambda match: _ENGLISH[match[0]], phonemes)
        written = _SYLLABIC.sub(r"ᵊ\1", written)
        for old, new in (*(_BRITISH if language == "en-gb" else _AMERICAN), *_FLAPS):
            written = written.replace(old, new)
        written = written.replace("o", "ɔ").replace("e", "A")
    return in_alphabet(written.replace(TIE, ""))
