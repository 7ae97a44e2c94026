"""Which language reads which run of a text, by the script it is written in."""

import unicodedata
from dataclasses import dataclass

# The first word of a character's Unicode name is its script. Where a script serves many languages, the most spoken
# of them stands here; --language says otherwise.
_LANGUAGE_BY_SCRIPT = {
    "LATIN": "en-us",
    "CJK": "cmn",
    "BOPOMOFO": "cmn",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "KATAKANA-HIRAGANA": "ja",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "MYANMAR": "my",
    "ETHIOPIC": "am",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "CHEROKEE": "chr",
}


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one script, with the signs and spaces that follow it."""

    text: str
    language: str | None
    """The name of an eSpeak NG voice; None if no character says."""


def script_runs(text: str) -> list[Run]:
    """Cut a text wherever its script changes. Digits, signs and spaces stay with what stands before them."""
    runs: list[Run] = []
    start, language = 0, None
    for index, character in enumerate(text):
        found = _language_of(character)
        if found is None or found == language:
            continue
        if language is not None:
            runs.append(Run(text[start:index], language))
            start = index
        language = found
    runs.append(Run(text[start:], language))
    return runs


def has_kana(text: str) -> bool:
    """Tell whether a text is Japanese: no other language is written with kana."""
    return any(_language_of(character) == "ja" for character in text)


def _language_of(character: str) -> str | None:
    category = unicodedata.category(character)
    if category[0] != "L" and character != "〇":  # marks follow their letter, all else is neutral
        return None
    words = unicodedata.name(character, "").split(maxsplit=2)
    if words and words[0] in ("FULLWIDTH", "HALFWIDTH"):
        words = words[1:]
    return _LANGUAGE_BY_SCRIPT.get(words[0]) if words else None
