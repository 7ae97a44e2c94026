"""Letters of eSpeak NG's own for phonemes, by those of IPA.

From the documentation of eSpeak NG, "Phonemes" (docs/phonemes.md): the same letters mean about the same in all voices.
"""

import re

from voxcli.text.phonemes import stress_at_vowels


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split("~") for pair in pairs.split())


_LETTERS = _table("""
    p~p b~b t~t d~d k~k g~g ɡ~g f~f v~v θ~T ð~D s~s z~z ʃ~S ʒ~Z h~h m~m n~n ŋ~N l~l ɫ~l ɹ~r r~r ɾ~t# w~w j~j ʔ~?
    tʃ~tS dʒ~dZ t͡ʃ~tS d͡ʒ~dZ x~x ç~C ɣ~Q ɲ~n^ ʎ~l^ ʁ~r β~B ʋ~v# ɬ~l pʰ~p tʰ~t kʰ~k
    iː~i: i~i ɪ~I eɪ~eI ɛ~E e~e æ~a a~a aː~a: ɑː~A: ɑ~A: ɒ~0 ɔː~O: ɔ~O: oʊ~oU əʊ~oU o~o oː~o: ʊ~U uː~u: u~u: ʌ~V
    ə~@ ɐ~a# ɜː~3: ɜ~3: ɝ~3: ɚ~3 ɜɹ~3: aɪ~aI aʊ~aU ɔɪ~OI ɪə~i@ eə~e@ ʊə~U@ ᵻ~I2 y~y yː~y: ø~Y øː~Y: œ~W ɨ~i"
    ˈ~' ˌ~,
""")
_SIGN = re.compile("|".join(sorted(map(re.escape, _LETTERS), key=len, reverse=True)))


def in_brackets(ipa: str) -> str:
    """Return IPA as the library reads it within a text, between spaces. Signs without a letter are left out."""
    words = stress_at_vowels(ipa).split()
    return f" [[{' '.join(''.join(_LETTERS[sign] for sign in _SIGN.findall(word)) for word in words)}]] "
