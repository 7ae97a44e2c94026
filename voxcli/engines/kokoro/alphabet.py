"""Alphabet of Kokoro: the characters that stand for phonemes, and the punctuation that the model reads.

The numbers are those of the model's configuration (hexgrad/Kokoro-82M, `config.json`, "vocab"). hibari has the same.
"""

import unicodedata

_MARKS = {mark: number for number, mark in enumerate(";:,.!?", start=1)} | {
    mark: number for number, mark in enumerate('—…"()“” \u0303', start=9)
}
_LETTERS = """
    ʣ:18 ʥ:19 ʦ:20 ʨ:21 ᵝ:22 ꭧ:23 A:24 I:25 O:31 Q:33 S:35 T:36 W:39 Y:41 ᵊ:42 a:43 b:44 c:45 d:46 e:47 f:48 h:50
    i:51 j:52 k:53 l:54 m:55 n:56 o:57 p:58 q:59 r:60 s:61 t:62 u:63 v:64 w:65 x:66 y:67 z:68 ɑ:69 ɐ:70 ɒ:71 æ:72
    β:75 ɔ:76 ɕ:77 ç:78 ɖ:80 ð:81 ʤ:82 ə:83 ɚ:85 ɛ:86 ɜ:87 ɟ:90 ɡ:92 ɥ:99 ɨ:101 ɪ:102 ʝ:103 ɯ:110 ɰ:111 ŋ:112 ɳ:113
    ɲ:114 ɴ:115 ø:116 ɸ:118 θ:119 œ:120 ɹ:123 ɾ:125 ɻ:126 ʁ:128 ɽ:129 ʂ:130 ʃ:131 ʈ:132 ʧ:133 ʊ:135 ʋ:136 ʌ:138
    ɣ:139 ɤ:140 χ:142 ʎ:143 ʒ:147 ʔ:148 ˈ:156 ˌ:157 ː:158 ʰ:162 ʲ:164 ↓:169 →:171 ↗:172 ↘:173 ᵻ:177
"""
_NUMBERS = _MARKS | {pair[0]: int(pair[2:]) for pair in _LETTERS.split()}

_SILENT = frozenset(';:,.!?—…"()“” ˈˌː')

_NEAREST_LETTERS = """
    ɦ:h ħ:h ʕ:ʔ ɧ:ʃ ʍ:w ɫ:l ɭ:l ɬ:l ɮ:l ʟ:l ʀ:ʁ ʐ:ɻ ʑ:ʒ ɱ:m ʏ:y ʉ:u ɵ:ø ɘ:ə ɞ:ɜ ɶ:œ ɝ:ɜɹ g:ɡ ʱ:ʰ ʷ:w ɓ:b ɗ:d ɠ:ɡ ʄ:ɟ
    ʛ:ɡ ɢ:ɡ ʙ:b ⱱ:v ʡ:ʔ ɺ:ɾ ˀ:ʔ ˤ: ˑ: ᵐ:m ⁿ:n ᵑ:ŋ ˠ: ʴ:ɹ ɩ:ɪ ɷ:ʊ
"""
_NEAREST = {pair[0]: pair[2:] for pair in _NEAREST_LETTERS.split()}
"""For phonemes that are not in the alphabet, one that sounds alike."""


def is_sound(phonemes: str) -> bool:
    """Whether there is more in a text of the alphabet than punctuation."""
    return not _SILENT.issuperset(phonemes)


def tokens_of(phonemes: str) -> list[int]:
    """Return the model's numbers for phonemes of the alphabet. KeyError for any other character."""
    return [_NUMBERS[character] for character in phonemes]


def in_alphabet(phonemes: str) -> str:
    """Write IPA in the alphabet: what is missing is replaced by what sounds alike, and marks of detail are left out."""
    if all(character in _NUMBERS for character in phonemes):
        return phonemes
    parts = unicodedata.normalize("NFD", phonemes).replace("c\u0327", "ç")
    known = "".join(_NEAREST.get(character, character) for character in parts)
    return "".join(character for character in known if character in _NUMBERS)
