"""Phonemes in braces: pinyin `{ni3}`, ARPAbet `{HH AH0 L OW1}` and IPA `{/həˈloʊ/}`, and how one is written in another.

VoxCPM reads the first two; the form of the third is our own. The tables are those of the CMU Pronouncing Dictionary
and of the International Phonetic Association for General American.
"""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from voxcli.text.marks import Part, Replacement, Sentence

_log = logging.getLogger(__name__)


class Alphabet(StrEnum):
    """What phonemes are written in."""

    PINYIN = "pinyin"
    ARPABET = "arpabet"
    IPA = "ipa"


class Phonemes(NamedTuple):
    """Phonemes in a text, without their braces."""

    alphabet: Alphabet
    written: str


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in pairs.split())


_VOWELS = _table("""
    AA:ɑ AE:æ AH:ʌ AO:ɔ AW:aʊ AY:aɪ EH:ɛ ER:ɜɹ EY:eɪ IH:ɪ IY:i OW:oʊ OY:ɔɪ UH:ʊ UW:u
""")
_CONSONANTS = _table("""
    B:b CH:tʃ D:d DH:ð F:f G:ɡ HH:h JH:dʒ K:k L:l M:m N:n NG:ŋ P:p R:ɹ S:s SH:ʃ T:t TH:θ V:v W:w Y:j Z:z ZH:ʒ
""")
_REDUCED = {"AH": "ə", "ER": "ɚ"}
"""Without stress."""
_STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}

_FROM_IPA = {ipa: name for name, ipa in (*_CONSONANTS.items(), *_VOWELS.items())} | _table("""
    ɒ:AA ɑː:AA ɔː:AO iː:IY uː:UW ɜː:ER ɝ:ER ɚ:ER əɹ:ER ə:AH ɐ:AH əʊ:OW o:OW e:EH a:AA ɡ:G g:G r:R ɾ:T ɫ:L ʔ:T ᵻ:IH
    t͡ʃ:CH d͡ʒ:JH
""")
_IPA_VOWELS = "aeiouyɑæɐɒɔəɚɛɜɝɪʊʌʉɨɯɤøœɶɘɵɞʏᵻ"
_IPA_SIGN = re.compile("|".join(sorted(map(re.escape, _FROM_IPA), key=len, reverse=True)))

_BRACES = re.compile(r"\{\s*([^{}\n]{1,200}?)\s*\}")
_PINYIN = re.compile(r"[a-zü]{1,7}[1-5]")
_SYLLABLES = re.compile(
    r"(?:[bpmfdtnlgkhjqxrzcsyw]|zh|ch|sh)?(?:[aeiouvü]{1,3})(?:n|ng|r)?|m|n|ng|hm|hng", re.IGNORECASE
)
_ARPABET_SIGN = re.compile(r"([A-Z]{1,2})([012]?)")
_IPA_LETTER = re.compile(r"[\w\u0250-\u02ff\u0300-\u036f ‿.]")
_STRESSED_ONSET = re.compile(rf"([ˈˌ])([^{_IPA_VOWELS}ˈˌ\s]+)(?=[{_IPA_VOWELS}])")


def alphabet_of(written: str) -> Alphabet | None:
    """Return what phonemes are written in; None if the text is none."""
    if len(written) > 2 and written[0] == written[-1] == "/":
        return Alphabet.IPA if all(map(_IPA_LETTER.fullmatch, written[1:-1])) else None
    if _PINYIN.fullmatch(written) and _SYLLABLES.fullmatch(written[:-1]):
        return Alphabet.PINYIN
    signs = [_ARPABET_SIGN.fullmatch(sign) for sign in written.split()]
    if signs and all(sign and (sign[1] in _VOWELS or (sign[1] in _CONSONANTS and not sign[2])) for sign in signs):
        # One sign alone, as in {A} or {K}, is more likely to be something else.
        return Alphabet.ARPABET if len(signs) > 1 or any(sign and sign[2] for sign in signs) else None
    return None


def split_phonemes(text: str) -> Iterator[str | Phonemes]:
    """Yield a text and the phonemes in its braces, in order. Syllables of pinyin that touch come together."""
    end = 0
    syllables: list[str] = []
    for braces in _BRACES.finditer(text):
        alphabet = alphabet_of(braces[1])
        if alphabet is None:
            continue
        before = text[end : braces.start()]
        if syllables and (before or alphabet is not Alphabet.PINYIN):
            yield Phonemes(Alphabet.PINYIN, " ".join(syllables))
            syllables = []
        if before:
            yield before
        if alphabet is Alphabet.PINYIN:
            syllables.append(braces[1])
        else:
            yield Phonemes(alphabet, braces[1].strip("/"))
        end = braces.end()
    if syllables:
        yield Phonemes(Alphabet.PINYIN, " ".join(syllables))
    if text[end:]:
        yield text[end:]


def outside_phonemes(text: str, changed: Callable[[str], str]) -> str:
    """Return a text that is changed everywhere but in its phonemes."""
    pieces, end = [], 0
    for braces in _BRACES.finditer(text):
        if alphabet_of(braces[1]):
            pieces += [changed(text[end : braces.start()]), braces[0]]
            end = braces.end()
    return "".join([*pieces, changed(text[end:])])


def alphabets_in(text: str) -> set[Alphabet]:
    """Return what the phonemes of a text are written in."""
    return {piece.alphabet for piece in split_phonemes(text) if isinstance(piece, Phonemes)}


def ipa_of(arpabet: str) -> str:
    """Return ARPAbet in IPA, with each mark of stress before its vowel."""
    signs = []
    for sign in arpabet.split():
        found = _ARPABET_SIGN.fullmatch(sign)
        assert found, "checked by `alphabet_of`"
        name, stress = found.groups()
        if name in _CONSONANTS:
            signs.append(_CONSONANTS[name])
        else:
            plain = _REDUCED.get(name) if stress == "0" else None
            signs.append(_STRESS.get(stress, "") + (plain or _VOWELS[name]))
    return "".join(signs)


def arpabet_of(ipa: str) -> str | None:
    """Return the IPA of an English word in ARPAbet; None if it has other sounds."""
    signs, stress, place = [], "0", 0
    ipa = stress_at_vowels(ipa)
    while place < len(ipa):
        if ipa[place] in "ˈˌ":
            stress = "1" if ipa[place] == "ˈ" else "2"
            place += 1
        elif ipa[place] in " ː‿":
            place += 1
        elif sign := _IPA_SIGN.match(ipa, place):
            name = _FROM_IPA[sign[0]]
            signs.append(f"{name}{stress}" if name in _VOWELS else name)
            stress = "0" if name in _VOWELS else stress
            place = sign.end()
        else:
            return None
    return " ".join(signs) or None


def stress_at_vowels(ipa: str) -> str:
    """Return IPA without dots between syllables, and with the marks of stress at vowels and not at syllables."""
    plain = unicodedata.normalize("NFC", ipa).replace(".", "").replace("'", "ˈ")
    return _STRESSED_ONSET.sub(r"\2\1", plain)


def readable(parts: Iterable[Part], alphabets: frozenset[Alphabet], warned: set[str]) -> Iterator[Part]:
    """Yield the parts of a text for a model that reads phonemes in some alphabets.

    Other phonemes are written in one of these, or else left out: the word is spoken as it is written.

    Args:
        warned: of what is left out. That is warned of once, if the set was empty.
    """
    for part in parts:
        if not isinstance(part, Sentence) or not part.replacements:
            yield part
            continue
        kept = []
        for at, said, why in part.replacements:
            if (spoken := _readable(said, alphabets)) is not None:
                kept.append(Replacement(at, spoken, why))
            elif not warned:
                warned.add(said)
                _log.warning("The phonemes of %s are left out: this model does not read them.", part[slice(*at)])
        yield part.with_replacements(kept)


def _readable(spoken: str, alphabets: frozenset[Alphabet]) -> str | None:
    """Return what is spoken as a model can read it; None if it cannot."""
    if alphabets_in(spoken) <= alphabets:
        return spoken
    pieces = []
    for piece in split_phonemes(spoken):
        if not isinstance(piece, Phonemes):
            pieces.append(piece)
        elif piece.alphabet is Alphabet.PINYIN:
            pieces += [f"{{{syllable}}}" for syllable in piece.written.split()]
        elif piece.alphabet in alphabets:
            pieces.append(f"{{{piece.written}}}")
        elif Alphabet.ARPABET in alphabets and (signs := arpabet_of(piece.written)):
            pieces.append(f"{{{signs}}}")
        else:
            return None
    return "".join(pieces) if alphabets_in("".join(pieces)) <= alphabets else None
