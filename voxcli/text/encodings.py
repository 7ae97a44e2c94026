"""Encodings of text files that are not UTF-8: found by their byte order mark, or by how common the characters are.

Bytes decoded with the wrong table become rare characters. So every table that fits is tried, and the one whose
characters are most often among the common ones of its language is taken. A general detector took three of four texts in
Shift JIS, EUC-JP and KOI8-R for Korean or Japanese.
"""

import codecs
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

_SAMPLE_BYTES = 65536
_LEAST_SCORE, _LEAST_OF_LETTERS = 0.2, 0.6
"""Share of common characters below which an encoding is not believed; the second one where they are letters."""
_LEAST_ZEROS = 0.3
"""Share of bytes that are zero on one side of the pairs in UTF-16 of a Latin script."""
_LONGEST_WORD = 24
"""Letters. Chinese taken for Cyrillic has no spaces."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ISO_2022_JP = (b"\x1b$B", b"\x1b$@")

_PUNCTUATION = "，。、！？：；“”‘’《》「」『』（）…—　"
_CHINESE = (
    "的一是不了在人有我他这这個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那得于着著下自之年过過"
    "发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動面起看定天分还還进進好小部其些主样樣理心她本前开開"
    "但因只从從想实實日军軍者意无無力它与與长長把机機十民第公此已工使情明性知全三又关關点點正业業外将將两兩高间間由问問很最重并"
)
_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7), 0x30FC)))
_HANGUL = "이다는을를에의가은로하고지한도서기사리나어아시인자라대정들그수해보일구있것게만니요면했었부주전오여러까거안말"
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфіїєёъ"
_GREEK = "αοιετσνηυρπκμλςωδγχθφβξζψάέήίόύώ"
_WESTERN = "äöüßÄÖÜéèêëàâáåãçîïíìñôóòõûúùøæœÉÈÀÇÅØÆ«»„“”‘’–—…£€°§©·¿¡ºª´"
_CENTRAL = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽőűŐŰäöüßÄÖÜăâîşţșț«»„“”‘’–—…"


def _alone(text: str, at: int) -> bool:
    """Whether a letter stands among ASCII, as accented letters do. Double bytes taken for letters come in rows."""
    return (at == 0 or text[at - 1].isascii()) or (at + 1 == len(text) or text[at + 1].isascii())


def _in_words(text: str, at: int) -> bool:
    """Whether a letter stands beside another one of its script, in words with spaces between them."""
    neighbours = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    around = text[max(0, at - _LONGEST_WORD) : at + _LONGEST_WORD]
    spaced = any(char in " \n" for char in around) or len(around) < _LONGEST_WORD
    return spaced and any(not char.isascii() and char.isalpha() for char in neighbours)


def _anywhere(text: str, at: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Encoding:
    name: str
    codec: str
    common: frozenset[str]
    least: float = _LEAST_SCORE
    counts: Callable[[str, int], bool] = _anywhere


_CANDIDATES = (
    _Encoding("GB18030", "gb18030", frozenset(_CHINESE + _PUNCTUATION)),
    _Encoding("Shift JIS", "cp932", frozenset(_KANA + _PUNCTUATION)),
    _Encoding("EUC-JP", "euc_jp", frozenset(_KANA + _PUNCTUATION)),
    _Encoding("Big5", "cp950", frozenset(_CHINESE + _PUNCTUATION)),
    _Encoding("EUC-KR", "cp949", frozenset(_HANGUL)),
    _Encoding("Windows-1251", "cp1251", frozenset(_CYRILLIC), _LEAST_OF_LETTERS, _in_words),
    _Encoding("KOI8-R", "koi8_r", frozenset(_CYRILLIC), _LEAST_OF_LETTERS, _in_words),
    _Encoding("Windows-1253", "cp1253", frozenset(_GREEK), _LEAST_OF_LETTERS, _in_words),
    _Encoding("Windows-1252", "cp1252", frozenset(_WESTERN), _LEAST_OF_LETTERS, _alone),
    _Encoding("Windows-1250", "cp1250", frozenset(_CENTRAL), _LEAST_OF_LETTERS, _alone),
    _Encoding("Latin-1", "latin_1", frozenset(_WESTERN), _LEAST_OF_LETTERS, _alone),
)
_WIDE = (_Encoding("UTF-16", "utf-16-le", frozenset()), _Encoding("UTF-16", "utf-16-be", frozenset()))
_WIDE_COMMON = frozenset(_CHINESE + _PUNCTUATION + _KANA + _HANGUL + _CYRILLIC + _GREEK)


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and what it was encoded in."""

    text: str
    encoding: str
    """Its name for messages."""


def decode_text(data: bytes) -> DecodedText | None:
    """Decode a whole text in UTF-8, or in the encoding that fits best; None if none does, as for a binary file."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], codec, codec.upper().removesuffix("-LE").removesuffix("-BE"))
    if any(escape in data[:_SAMPLE_BYTES] for escape in _ISO_2022_JP):
        return _decoded(data, "iso2022_jp", "ISO-2022-JP")
    if b"\0" in data[:_SAMPLE_BYTES]:
        return _decoded_wide(data)
    if found := _decoded(data, "utf-8", "UTF-8"):
        return found
    scores = [(_score(data, candidate), -at, candidate) for at, candidate in enumerate(_CANDIDATES)]
    for score, _, candidate in sorted(scores, reverse=True, key=lambda entry: entry[:2]):
        if score >= candidate.least and (found := _decoded(data, candidate.codec, candidate.name)):
            return found
    # UTF-16 of Chinese or Korean may have no zero byte.
    return _decoded_wide(data)


def _decoded(data: bytes, codec: str, name: str) -> DecodedText | None:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else DecodedText(text, name)


def _decoded_wide(data: bytes) -> DecodedText | None:
    """Decode UTF-16 without a byte order mark."""
    sample = data[:_SAMPLE_BYTES]
    low, high = sample[0::2], sample[1::2]
    for candidate, zeros in zip(_WIDE, (high, low), strict=True):
        looks_latin = zeros.count(0) >= _LEAST_ZEROS * len(zeros) > 0
        if len(data) % 2 == 0 and (looks_latin or _wide_score(sample, candidate.codec) >= _LEAST_SCORE):
            found = _decoded(data, candidate.codec, candidate.name)
            if found and not _has_controls(found.text[:_SAMPLE_BYTES]):
                return found
    return None


def _wide_score(sample: bytes, codec: str) -> float:
    text = _partly(sample, codec)
    return sum(char in _WIDE_COMMON for char in text) / len(text) if text else 0.0


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(char) == "Cc" and char not in "\t\n\r\f\x1a\x1b" for char in text)


def _score(data: bytes, candidate: _Encoding) -> float:
    """Return the share of characters beyond ASCII that are common in the texts for which an encoding was made."""
    text = _partly(data[:_SAMPLE_BYTES], candidate.codec)
    if text is None or _has_controls(text):
        return 0.0
    foreign = [at for at, char in enumerate(text) if not char.isascii()]
    if len(foreign) > 2 and len({text[at] for at in foreign}) == 1:
        return 0.0  # padding
    common = sum(text[at] in candidate.common and candidate.counts(text, at) for at in foreign)
    return common / len(foreign) if foreign else 0.0


def _partly(sample: bytes, codec: str) -> str | None:
    """Decode the start of a text, which may end within a character."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeDecodeError:
        return None
