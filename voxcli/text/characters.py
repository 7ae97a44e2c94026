"""Character properties that matter for reading text aloud."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

ZERO_WIDTH_JOINER = "\u200d"

SOFT_ENDS = ".!?…‥⁇⁈⁉‼．"
"""End a sentence only if what follows looks like a new one."""
HARD_ENDS = "。！？｡।॥؟۔։።፧။།"
"""End a sentence regardless of what follows, with or without a space."""
CLAUSE_MARKS = ",;:،؛—–，、；：﹐､"
TIGHT_CLAUSE_MARKS = "，、；：﹐､—"
"""Clause marks that are not followed by a space."""
CLOSERS = "」』”’）)]\"'»›】》〉〕］｝}〗〞*_~"
OPENERS = "「『“‘（([«‹【《〈〔［｛{〖„‚¿¡"
BULLETS = "-–—*+•‣◦▪⁃·#>"
"""Of lists, headings and quotes; also the dash that opens a line of dialogue."""

_SPOKEN_SYMBOLS = frozenset("%‰&+=@<>±×÷√∞≈≠≤≥°©®™№℃℉§µ")
_TRAILING = frozenset(SOFT_ENDS + HARD_ENDS + CLAUSE_MARKS + CLOSERS)

# Thai to Khmer, kana, bopomofo and Han. Hangul is left out: Korean puts spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff"
    "\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class CharacterProperties:
    """Properties of a character; cached by `properties_of`."""

    columns: int
    """Width in a terminal: 2 for a wide character, 0 for a combining one."""
    space: bool
    attaches: bool
    """Combines with the previous character: an accent, a joiner, a variation selector, a skin tone."""
    unspaced: bool
    """A letter of a script without spaces between words."""
    plain: bool
    """A letter or digit of a script with spaces between words."""
    speakable: bool
    emoji: bool
    trailing: bool
    """May end a word: punctuation, a closing quote or bracket, an emoji."""


@lru_cache(maxsize=8192)
def properties_of(char: str) -> CharacterProperties:
    """Return the properties of a single character."""
    category = unicodedata.category(char)
    attaches = (
        category in ("Mn", "Mc", "Me")
        or char in (ZERO_WIDTH_JOINER, "\u200c")
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )
    wide = unicodedata.east_asian_width(char) in ("W", "F")
    unspaced = category[0] in "LN" and _UNSPACED.match(char) is not None
    spoken = char.isalnum() or category == "Sc" or char in _SPOKEN_SYMBOLS
    emoji = category == "So" and not spoken
    return CharacterProperties(
        columns=0 if attaches else 2 if wide else 1,
        space=char.isspace(),
        attaches=attaches,
        unspaced=unspaced,
        plain=char.isalnum() and not unspaced,
        speakable=spoken,
        emoji=emoji,
        trailing=emoji or char in _TRAILING,
    )


def is_cjk(char: str) -> bool:
    """Whether a line that ends or begins with this character is joined to the next one without a space."""
    properties = properties_of(char)
    # Wide punctuation counts, wide Hangul and emoji do not.
    return properties.unspaced or (properties.columns == 2 and unicodedata.category(char)[0] == "P")


def is_right_to_left(text: str) -> bool:
    """Whether the first letter of a text is of a script that is written from right to left."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    return not text.isascii() and next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def is_speakable(text: str) -> bool:
    """Whether the text has anything to read aloud: a letter, a digit, or a symbol such as % or €."""
    return any(properties_of(char).speakable for char in text)


_EMOJI = "😀"
"""Stands for any emoji."""
_EMOJI_AT_END = re.compile(rf" ?(?:{_EMOJI} ?)+(?=[,.;:!?，。；：、！？)）]|\Z)")
_EMOJI_RUN = re.compile(f"{_EMOJI}+")


def without_emoji(text: str) -> str:
    """Leave out emoji, which are seen and not said, with the space before them at the end of a sentence."""
    if text.isascii():
        return text
    chars: list[str] = []
    emoji = False
    for char in text:
        properties = properties_of(char)
        emoji = properties.emoji or (emoji and properties.attaches)
        chars.append(_EMOJI if emoji else char)
    return _EMOJI_RUN.sub(_between_words, _EMOJI_AT_END.sub("", "".join(chars)))


def _between_words(emoji: re.Match[str]) -> str:
    text, start, end = emoji.string, emoji.start(), emoji.end()
    return " " if start and properties_of(text[start - 1]).plain and properties_of(text[end]).plain else ""
