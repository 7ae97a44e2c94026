"""Numbers, dates and signs in the words of the language that each sentence, or stretch of a sentence, is in."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter

from voxcli.text.characters import is_speakable, without_emoji
from voxcli.text.language import CHINESE, ENGLISH, JAPANESE, KOREAN, base_language, language_of, latin_language
from voxcli.text.normalization.chinese import HAN, spelled_in_chinese, with_named_signs
from voxcli.text.normalization.english import spelled_in_english
from voxcli.text.normalization.expansions import expanded
from voxcli.text.sentences.splitter import COLUMNS, SentenceSplitter

_STYLE = re.compile(r"\s*(\((?:[^()]|\([^()]*\))*\))")
_DESCRIPTION = re.compile(r"[^\W\d_]{2}")
"""Letters, without which a bracket describes no voice: (1), (2024)."""
_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)|[^\S\u00a0\u202f\u2009]+|\s{2,}")
"""White space, but for a single no-break or thin space between digits, which parts thousands."""
_THOUSANDS = re.compile(
    r"(?<![\d.,:/+])(?<!\d )\d{1,3}(?:(?:[\u00a0\u202f\u2009'’]\d{3})+|(?: \d{3}){2,}|(?: \d{3})(?= ?(?:km|kg|m|mm|"
    r"g|t|W|kW|V|Hz|€|£|公里|千米|米|公斤|千克|吨|元|人|个|dollars|euros|people|miles|meters|metres|years)(?![A-Za-z])))"
    r"(?![\d'’]| \d)|(?<=[$€£])\d{1,3}(?: \d{3})+(?! ?\d)"
)
"""Thousands parted as in SI, French and Swiss writing."""
_PHONEMES = re.compile(r"(\{[A-Za-z/][^{}]*\}|\[[A-Za-z][A-Za-z_-]*\])")
"""Phonemes in braces, and tags in square brackets."""

_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_KANA = re.compile("[\u3041-\u309f\u30a1-\u30ff\uff66-\uff9f]")
_HAN = re.compile(f"[{HAN}]")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_OTHER_LETTER = re.compile(rf"[^\W\d_{_LATIN}]")
_LATIN_WORD = re.compile(f"[{_LATIN}]+")

# A comma or a colon between two digits belongs to a number.
_STRETCH = re.compile(rf"[{HAN}]+|(?:[^{HAN},;:，。；：、！？（）()]|(?<=\d)[,:](?=\d))+|.", re.DOTALL)
# In Chinese, capitals and letters after a number are names and units, not English: A4纸, 5G网络, 3.5 kg.
_ENGLISH_WORD = re.compile(
    rf"(?<![{_LATIN}])(?:(?<!\d)(?<!\d )[{_LATIN}]{{3,}}|[{_LATIN}]{{5,}})(?<=[a-zß-öø-ÿ])(?![{_LATIN}])"
)

_SQUARE_UNIT = re.compile("[\u3371-\u33df]")
_PRESENTATION = str.maketrans("", "", "\ufe0e\ufe0f\u20e3")
"""Variation selectors and the enclosing keycap."""
_COUNTED_WORD = re.compile(rf"(?<![{_LATIN}\d/])(?<!\d )[{_LATIN}]*[a-zß-öø-ÿ](?![{_LATIN}])")
"""A word that makes a sentence English: no unit after a number, and no name in capitals."""


def in_words(
    text: str,
    *,
    language: str | None = None,
    text_language: str | None = None,
    polished: Callable[[str], str] = with_named_signs,
) -> str:
    """Return the text with its numbers, dates, money, units and telephone numbers in words.

    Chinese and English are spelled out, also within one text. Unchanged: sentences with kana or Hangul, sentences in
    other scripts and languages, phonemes in braces, and a description in parentheses before the text. Emoji are
    removed, white space becomes single spaces.

    Args:
        language: such as "zh" or "en", in which the text is spoken; None detects it for each sentence.
        text_language: the language of the whole text, if this is a sentence of one. It decides where the sentence
            itself does not tell its language: a number alone, a name.
        polished: applied to each sentence with Chinese in it, once its numbers are in words.
    """
    style = _STYLE.match(text)
    if style and not (is_speakable(text[style.end() :]) and _DESCRIPTION.search(style[1])):
        style = None
    parts = _PHONEMES.split(text[style.end() :] if style else text)
    plain = [_SPACES.sub(" ", without_emoji(_plain_signs(part))) for part in parts[::2]]
    languages = _Languages("".join(plain), base_language(language), base_language(text_language), polished)
    for index, part in enumerate(plain):
        spelled = map(languages.spelled, _sentences(expanded(part) if languages.expandable else part))
        parts[2 * index] = _SPACES.sub(" ", "".join(spelled))
    body = "".join(parts)
    return style[1] + body.rstrip() if style else body.strip() or " ".join(text.split())


def _sentences(text: str) -> list[str]:
    splitter = SentenceSplitter(first_columns=COLUMNS)
    return splitter.feed(text) + splitter.finish()


def _plain_signs(text: str) -> str:
    """Write square units such as ㎏ in letters, and leave out marks that only change how a sign looks."""
    return text if text.isascii() else _SQUARE_UNIT.sub(_unit_in_letters, text.translate(_PRESENTATION))


def _unit_in_letters(square: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", square[0]).replace("2", "²").replace("3", "³")


class _Languages:
    """The languages of a text, which help to tell the language of each sentence."""

    def __init__(self, text: str, spoken: str | None, context: str | None, polished: Callable[[str], str]) -> None:
        """
        Args:
            spoken: language that was asked for.
            context: language of the whole text, of which this is a sentence.
        """
        own = language_of(text)
        self._polished = polished
        self._spoken = spoken
        self._text = spoken or own or context or ENGLISH
        if own == CHINESE and context == JAPANESE and not spoken:
            self._text = JAPANESE
        # A word or two in Latin letters may be a name or a unit in a Chinese text.
        if context and not spoken and not latin_language(text, least_words=2) and not _OTHER_LETTER.search(text):
            self._text = context
        self._latin = self._text if self._text not in (CHINESE, JAPANESE, KOREAN) else ENGLISH
        self._japanese = JAPANESE in (self._text, own)
        han, words = len(_HAN.findall(text)), _LATIN_WORD.findall(text)
        self.expandable = (
            self._is_spelled(text, han, words) and (latin_language(text, least_words=2) or self._latin) == ENGLISH
        )

    def spelled(self, sentence: str) -> str:
        han, words = len(_HAN.findall(sentence)), _LATIN_WORD.findall(sentence)
        if not self._is_spelled(sentence, han, words) or (han and self._japanese):
            return sentence
        latin = self._latin_language(sentence)
        if not words and not han:
            return _spelled(self._text, sentence)
        if not han and (self._text != CHINESE or latin_language(sentence) or _ENGLISH_WORD.search(sentence)):
            return _spelled(latin, sentence)
        chinese = not han or han >= len(_COUNTED_WORD.findall(sentence))
        by_language = groupby(_stretches(sentence, chinese=chinese), itemgetter(1))
        return self._polished(
            "".join(
                _spelled(latin if language == ENGLISH else language, "".join(map(itemgetter(0), some)))
                for language, some in by_language
            )
        )

    def _latin_language(self, sentence: str) -> str:
        """Return the language of the words of a sentence that are written in Latin letters."""
        if self._spoken not in (None, CHINESE, JAPANESE, KOREAN):
            return self._spoken or ENGLISH
        return latin_language(sentence, least_words=2) or self._latin

    @staticmethod
    def _is_spelled(text: str, han: int, words: list[str]) -> bool:
        return not _KANA.search(text) and not _HANGUL.search(text) and _is_readable(text, han, words)


def _spelled(language: str, text: str) -> str:
    """Spell out Chinese and English; other languages are left to the model, which is not to read English numbers."""
    if language not in _SPELLED:
        return text
    return _SPELLED[language](_THOUSANDS.sub(lambda number: re.sub(r"\D", ",", number[0]), text))


def _is_readable(text: str, han: int, words: list[str]) -> bool:
    """Whether Latin and Han make up at least half of the letters of a text."""
    return 2 * (han + sum(map(len, words))) >= sum(map(str.isalpha, text))


def _stretches(sentence: str, *, chinese: bool) -> Iterator[tuple[str, str]]:
    """Yield the stretches of a bilingual sentence, each with its language; `chinese` is the main one."""
    language = "zh" if chinese else "en"
    for stretch in _STRETCH.findall(sentence):
        if _HAN.match(stretch):
            language = "zh"
        elif (_ENGLISH_WORD if chinese else _LATIN_WORD).search(stretch):
            language = "en"
        elif chinese:
            language = "zh"
        yield stretch, language


_SPELLED = {"zh": spelled_in_chinese, "en": spelled_in_english}
