"""Look-alike characters: folded to the letters, digits and signs that they stand for, in text that may still arrive.

Unicode's compatibility forms (NFKC) say what most of them stand for. They are applied to one character at a time,
because some would change what is meant: m² would become m2, and the ， of a Chinese sentence a comma. Signs without a
compatibility form, such as negative squared letters and small capitals, are in tables.
"""

import re
import unicodedata
from collections.abc import Callable

from voxcli.text.characters import properties_of

_MAX_MARKS = 30
"""Combining marks in a row; more say nothing. The number is that of Unicode's Stream-Safe Text Format (UAX 15)."""

_FULL_WIDTH = 0xFEE0
"""Distance from an ASCII character to its full-width form."""

_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffc"
    "\U000e0000-\U000e0fff"
)
"""Soft hyphens, zero-width spaces, directional marks, variation selectors, tags: not seen, and not heard."""
_OVERLAYS = "\u0305\u0332-\u0338\u20d0-\u20f0"
"""Lines through and below letters, and shapes around them."""

_SPECIAL = re.compile(
    f"[{_IGNORABLE}{_OVERLAYS}\u00b4\u02b0-\u02b8\u02bc\u02e0-\u02e4\u0132\u0133\u0149\u017f\u01c4-\u01cc\u01f1-\u01f3"
    "\u1d00-\u1d6a\u1d9c-\u1dbf\u200c\u200d\u2010-\u2012\u2015\u2071\u207f-\u209c\u2100-\u214f\u2160-\u217f\u22ef"
    "\u2460-\u24ff\u2776-\u2793\u2800\u2e80-\u2fd5\u3164\u3200-\u33ff\ua730\ua731\u0262\u026a\u0274\u0280\u028f\u0299"
    "\u029c\u029f\u01eb\ufb00-\ufb4f\ufb50-\ufdff\ufe10-\ufe19\ufe30-\ufe6b\ufe70-\ufefc\uff01-\uffee"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f251\U0001fbf0-\U0001fbf9]"
)
_IGNORED = re.compile(f"[{_IGNORABLE}{_OVERLAYS}]")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3|[#*]\ufe0f?\u20e3|[\u2190-\u21ff\u2139\u2934\u2935]\ufe0f")
_STACKED = re.compile("([\u0300-\u036f]{2})[\u0300-\u036f]+")
_CLOSED = frozenset(" \t\r\n\f.,;:!?()[]{}\"'-_/\\|@&%$+^~。、！？；“”‘’「」『』《》（）—…")
"""Characters that nothing after them changes. They need not be held back."""

# From U+2E81. What a radical stands for is in Unicode's EquivalentUnifiedIdeograph.txt; a component stands for itself.
_RADICALS = (
    "厂乛乚乙亻冂几刀刂卜卩小小兀尣尢尢巳幺彑彐忄心扌攵 旡日月歺母民氵氺灬爫爫丬牛犭王疋目示礻竹糹纟罓罒网网网"
    "羊羊羊耂肀聿肉臼艹艹艹虎衤覀西见角角讠贝足车辶辶辶邑钅長镸长门阜阝雨青韦页风飞食食飠饣首马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))
_SQUARED_WORDS = {
    "\U0001f18e": "AB", "\U0001f18f": "WC", "\U0001f191": "CL", "\U0001f192": "COOL", "\U0001f193": "FREE",
    "\U0001f194": "ID", "\U0001f195": "NEW", "\U0001f196": "NG", "\U0001f197": "OK", "\U0001f198": "SOS",
    "\U0001f199": "UP!", "\U0001f19a": "VS",
}  # fmt: skip
_REPLACED = {
    **_SMALL_CAPITALS,
    **{chr(0x2E81 + index): char for index, char in enumerate(_RADICALS) if char != " "},
    **dict.fromkeys("\u2010\u2011\u2012\ufe63", "-"),
    **dict.fromkeys("\u2015\ufe58", "—"),
    **dict.fromkeys("\u2116\u2122\u2126\u2135", None),  # № ™ Ω ℵ are read as they are
    **dict.fromkeys("\u2800\u3164\uffa0", " "),
    **dict.fromkeys("\u00a8\u00af\uffe3\uffe2\uffe4\ufe49\ufe4a\ufe4b\ufe4c", None),
    "\u22ef": "…",
    "\uff5e": None,  # ～ joins the ends of a range in Chinese
}
_FULL_WIDTH_SIGNS = frozenset("％＄＆＋－＝＠／＂")
_FULL_WIDTH_BETWEEN = frozenset("＃＊＜＞＾＿＼｜")
_VERTICAL_MARKS = frozenset(",.;:!?()")
_APOSTROPHES = frozenset("´ʼ＇")


class CharacterFolder:
    """Folds look-alike characters of a text that may still be arriving.

    The result does not depend on how the text was cut on its way: a letter is held back until the next character is
    there, because that may be its accent.
    """

    def __init__(self) -> None:
        self.held = ""
        """The letter that an accent may follow."""
        self._before = ""
        self._marks = 0

    def feed(self, text: str) -> str:
        """Take more text; return what is certain."""
        if not text:
            return ""
        buffer = self.held + self._without_excess(text)
        cut = _open_from(buffer)
        self.held = buffer[cut:]
        return self._folded(buffer[:cut], self.held[:1])

    def flush(self) -> str:
        """Return the rest, because the writer has paused or the text has ended."""
        held, self.held = self.held, ""
        return self._folded(held, "")

    def _folded(self, text: str, after: str) -> str:
        before = self._before
        self._before = text[-1:] or before
        return text if text.isascii() and after.isascii() else _fold(text, before, after)

    def _without_excess(self, text: str) -> str:
        """Leave out combining marks beyond a limit, which bounds the text that is held back."""
        if text.isascii():
            self._marks = 0
            return text
        kept = []
        for char in text:
            self._marks = self._marks + 1 if _attaches(char) else 0
            if self._marks <= _MAX_MARKS:
                kept.append(char)
        return "".join(kept)


def folded(text: str) -> str:
    """Return a whole text with its look-alike characters folded."""
    folder = CharacterFolder()
    return folder.feed(text) + folder.flush()


def _open_from(buffer: str) -> int:
    """Return the index from which later characters may change the result."""
    index = len(buffer) - 1
    if index < 0 or buffer[index] in _CLOSED:
        return index + 1
    while index > 0 and _attaches(buffer[index]):
        index -= 1
    return index


def _attaches(char: str) -> bool:
    """Whether this character may change the one before it: an accent, a vowel of Hangul, a voiced sound mark."""
    return char > "\x7f" and (
        properties_of(char).attaches or "\u1160" <= char <= "\u11ff" or "\ufe00" <= char <= "\ufe0f" or char in "ﾞﾟ"
    )


def _fold(text: str, before: str, after: str) -> str:
    """Fold a text, given the characters before and after it."""
    text = _KEYCAP.sub(r"\1", unicodedata.normalize("NFC", text))
    if not _SPECIAL.search(text):
        return text if text.isascii() else _STACKED.sub(r"\1", text)
    around = before + text + after
    pieces: list[str] = []
    end = len(before)
    for found in _SPECIAL.finditer(around, end, end + len(text)):
        start = found.start()
        pieces += (
            around[end:start],
            _fold_one(found[0], around[start - 1 : start] if start else "", _next(around, start)),
        )
        end = start + 1
    pieces.append(around[end : len(before) + len(text)])
    return _STACKED.sub(r"\1", unicodedata.normalize("NFC", "".join(pieces)))


def _next(text: str, index: int) -> str:
    return text[index + 1 : index + 2]


def _fold_one(char: str, before: str, after: str) -> str:
    """Fold one character, given its neighbours."""
    if _IGNORED.match(char):
        return ""
    if char in "\u200c\u200d":  # meant in Persian, in the scripts of India, and between emoji
        return "" if before.isascii() else char
    if char in _APOSTROPHES:
        return "’" if before.isalpha() and after.isalpha() else "'" if char == "＇" else char
    if char in _REPLACED:
        return _REPLACED[char] or char
    for last, fold in _BLOCKS:
        if char <= last:
            return fold(char, before, after)
    return char


def _compatible(char: str, before: str, after: str) -> str:
    return unicodedata.normalize("NFKC", char).lstrip(" ") or char


def _roman(char: str, before: str, after: str) -> str:
    """Ⅷ is VIII, but 8 between Chinese characters, which letters would interrupt."""
    if _is_wide_letter(before) or _is_wide_letter(after):
        return str(int(unicodedata.numeric(char)))
    return _compatible(char, before, after)


def _enclosed(char: str, before: str, after: str) -> str:
    """Numbers and letters in circles, squares and parentheses."""
    if "\U0001f1e6" <= char <= "\U0001f1ff":
        alone = not any("\U0001f1e6" <= other <= "\U0001f1ff" for other in (before, after))
        return chr(ord(char) - 0x1F1E6 + ord("A")) if alone else char  # two are a flag
    if char in _SQUARED_WORDS:
        return _apart(_SQUARED_WORDS[char], before, after)
    for first in ("\U0001f150", "\U0001f170"):  # negative, circled and squared
        if first <= char <= chr(ord(first) + 25):
            return chr(ord(char) - ord(first) + ord("A"))
    value = unicodedata.numeric(char, None) if unicodedata.category(char) == "No" else None
    plain = unicodedata.normalize("NFKC", char)
    if value is None:
        return plain
    if plain == char:
        plain = str(int(value))
    if plain.isdigit() and _is_wide_letter(after) and not _is_wide_letter(before):
        return plain + "、"  # the number of an item: 1打 would be a dozen
    return _apart(plain, before, after)


def _squared(char: str, before: str, after: str) -> str:
    """Units and words in one square. The 2 of ㎡ is a square and not a number."""
    plain = unicodedata.normalize("NFKC", char).replace("\u2215", "/")
    if char >= "\u3371":
        plain = plain if "日" in plain else plain.replace("2", "²").replace("3", "³")
    return plain + " " if properties_of(after or " ").plain and plain[-1].isascii() else plain


def _presentation(char: str, before: str, after: str) -> str:
    """Vertical and small forms, which Chinese uses; so their marks are those of Chinese."""
    plain = _compatible(char, before, after)
    return chr(ord(plain) + _FULL_WIDTH) if plain in _VERTICAL_MARKS else plain


def _full_width(char: str, before: str, after: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    if char > "\uff5e":
        return plain if char not in "ﾞﾟ" or "\u30a1" <= before <= "\u30fa" or "\uff66" <= before <= "\uff9d" else char
    if char == "－" and ("\u30a1" <= before <= "\u30fa" or "\uff66" <= before <= "\uff9d"):
        return "ー"
    if plain.isalnum() or char in _FULL_WIDTH_SIGNS:
        return plain
    if char in "．，：":
        inside = _is_full_width_letter(before) and _is_full_width_letter(after)
        return plain if inside and (char == "．" or (before + after).isdigit()) else char
    if char == "＃":
        return plain if properties_of(before or " ").plain or after.isdigit() else char
    if char in _FULL_WIDTH_BETWEEN:
        return plain if properties_of(before or " ").plain and properties_of(after or " ").plain else char
    return char


def _is_full_width_letter(char: str) -> bool:
    return "\uff01" <= char <= "\uff5e" and char.isalnum()


def _is_wide_letter(char: str) -> bool:
    return bool(char) and properties_of(char).unspaced


def _apart(word: str, before: str, after: str) -> str:
    """Keep a word from running into its neighbours."""
    left = " " if properties_of(before or " ").plain and word[0].isalnum() else ""
    right = " " if properties_of(after or " ").plain else ""
    return left + word + right


_Fold = Callable[[str, str, str], str]
_BLOCKS: tuple[tuple[str, _Fold], ...] = (
    ("\u214f", _compatible),
    ("\u217f", _roman),
    ("\u2793", _enclosed),
    ("\u2fd5", _compatible),
    ("\u32ff", _enclosed),
    ("\u33ff", _squared),
    ("\ufdff", _compatible),
    ("\ufe6b", _presentation),
    ("\ufefc", _compatible),
    ("\uffee", _full_width),
    ("\U0001d7ff", _compatible),
    ("\U0001f251", _enclosed),
    ("\U0001fbf9", _compatible),
)
"""The last character of each block, and how the block is folded."""
