"""From the names people use for a language or a voice to the voices of eSpeak NG."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from voxcli.engines.espeak.library import Espeak, EspeakVoice
from voxcli.errors import NotFound, did_you_mean

_ALIASES = {
    "zh": "cmn",
    "zh-cn": "cmn",
    "zh-tw": "cmn",
    "zh-hans": "cmn",
    "zh-hant": "cmn",
    "zh-hk": "yue",
    "en": "en-us",
}


def find_language(language: str, voices: Mapping[str, EspeakVoice]) -> EspeakVoice:
    """Find who reads a language, given as "zh", "en-GB" or by its name in eSpeak NG.

    A region that eSpeak NG does not know falls back to the language itself: "de-AT" is read as "de".

    Raises:
        NotFound: with the list of all languages.
    """
    wanted = language.strip().lower().replace("_", "-")
    for name in (wanted, wanted.partition("-")[0]):
        name = _ALIASES.get(name, name)
        if found := voices.get(name) or _find_tag(name, voices):
            return found
    names = language_names(voices)
    raise NotFound(
        f"The built-in voice does not speak {language!r}.{did_you_mean(wanted, names)} It speaks: {', '.join(names)}."
    )


def _find_tag(tag: str, voices: Mapping[str, EspeakVoice]) -> EspeakVoice | None:
    """Find the first voice with this tag; several may have it."""
    return next((voice for voice in voices.values() if voice.language == tag), None)


def language_names(voices: Mapping[str, EspeakVoice]) -> list[str]:
    """List every name that `find_language` takes, but for regions."""
    return sorted({*voices, *_ALIASES})


def find_voice(name: str, espeak: Espeak) -> tuple[str | None, str]:
    """Take apart a voice given as "en-us", "en-us+f3" or "+f3", where f3 is one of eSpeak NG's variants.

    Returns:
        The identifier of the voice, None if the name has none; and the variant with its plus sign, or "".

    Raises:
        NotFound: with the list of all voices, or of all variants.
    """
    base, plus, variant = name.partition("+")
    if plus and variant not in espeak.variants:
        # The library would take any variant and speak without it.
        variants = sorted(espeak.variants)
        raise NotFound(
            f"eSpeak NG has no variant {variant!r}.{did_you_mean(variant, variants)} It has: {', '.join(variants)}."
        )
    voice = espeak.voices.get(base.lower())
    if base and voice is None:
        names = sorted(espeak.voices)
        raise NotFound(
            f"There is no voice {name!r}.{did_you_mean(base, names)} The built-in voice has: {', '.join(names)}."
        )
    return voice.identifier if voice else None, plus + variant


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
