"""Choice of eSpeak NG's voices: by language, by name, and by the script of a text."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from voxcli.engines.espeak.library import Espeak, EspeakVoice
from voxcli.errors import NotFound, did_you_mean
from voxcli.text.language_names import language_code
from voxcli.text.language_names import language_names as spoken_names
from voxcli.voices.named import find_named

_ALIASES = {
    "zh": "cmn",
    "zh-cn": "cmn",
    "zh-tw": "cmn",
    "zh-hans": "cmn",
    "zh-hant": "cmn",
    "zh-hk": "yue",
    "en": "en-us",
}
"""Names of languages that eSpeak NG calls otherwise."""
_VARIANTS = {
    "ash": "m3",
    "ballad": "m4",
    "cedar": "m7",
    "coral": "f2",
    "echo": "m1",
    "fable": "m5",
    "marin": "f5",
    "nova": "f3",
    "onyx": "m8",
    "sage": "f4",
    "shimmer": "f1",
    "verse": "m6",
}
"""eSpeak NG's variants for the names of OpenAI's voices. "alloy" and "default" are its plain voice."""
_SOME = "en-us, cmn, de, es, fr and ja"
"""Of its languages, which are too many for a message."""
_SOME_VARIANTS = ("f1", "f2", "m1", "m3", "whisper")
_ALL = "To list them all: voxcli voices --all"
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
"""By the first word of a character's Unicode name. For scripts of several languages, the most widely spoken one."""

SCRIPT_LANGUAGES = frozenset(_LANGUAGE_BY_SCRIPT.values()) - {"en-us"} | {"zh"}
"""Languages that are told by their script, other than Latin."""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """A part of a text in one script, with the punctuation and spaces that follow it."""

    text: str
    language: str | None
    """Name of an eSpeak NG voice; None if the text has no letters."""


def find_language(language: str, voices: Mapping[str, EspeakVoice]) -> EspeakVoice:
    """Return the voice for a language, given as "zh", "en-GB", "German" or by its name in eSpeak NG.

    An unknown region falls back to the language: "de-AT" is read as "de".

    Raises:
        NotFound: the language is unknown.
    """
    wanted = (language_code(language) or language).strip().lower().replace("_", "-")
    for name in (wanted, wanted.partition("-")[0]):
        name = _ALIASES.get(name, name)
        if found := voices.get(name) or _find_tag(name, voices):
            return found
    names = language_names(voices)
    near = did_you_mean(wanted, [*names, *spoken_names()])
    raise NotFound(
        f"The built-in voice does not speak {language!r}.{near} It speaks {len(names)} languages, such as {_SOME}.",
        on_command_line=_ALL,
    )


def _find_tag(tag: str, voices: Mapping[str, EspeakVoice]) -> EspeakVoice | None:
    """Return the first voice with this language tag; several may have it."""
    return next((voice for voice in voices.values() if voice.language == tag), None)


def language_names(voices: Mapping[str, EspeakVoice]) -> list[str]:
    """Return all names that `find_language` accepts, without further regions."""
    return sorted({*voices, *_ALIASES})


def find_voice(name: str, espeak: Espeak) -> tuple[str | None, str]:
    """Parse the name of a voice, such as "en-us", "en-us+f3" or "+f3", where f3 is one of eSpeak NG's variants.

    Returns:
        The identifier of the voice, None if the name has none; and the variant with its plus sign, or "".

    Raises:
        NotFound: the voice or variant is unknown.
    """
    base, plus, variant = name.partition("+")
    if plus and variant not in espeak.variants:
        # The library would silently ignore an unknown variant.
        variants = sorted(espeak.variants)
        raise NotFound(
            f"eSpeak NG has no variant {variant!r}.{did_you_mean(variant, variants)} "
            f"It has {len(variants)}, such as {', '.join(_SOME_VARIANTS)}."
        )
    voice = espeak.voices.get(base.lower()) or espeak.voices.get(_ALIASES.get(base.lower(), ""))
    if base and voice is None:
        names = sorted(espeak.voices)
        raise NotFound(
            f"There is no voice {name!r}.{did_you_mean(base, names)} "
            f"The built-in model has {len(names)}, such as {_SOME}.",
            on_command_line=_ALL,
        )
    return voice.identifier if voice else None, plus + variant


def knows_voice(name: str, espeak: Espeak) -> bool:
    """Whether a name is that of a voice, with or without a variant, or one of the names that every engine knows."""
    if find_named(name):
        return True
    try:
        find_voice(name, espeak)
    except NotFound:
        return False
    return True


def voice_for(name: str, espeak: Espeak) -> tuple[str | None, str]:
    """Parse the name of a voice as `find_voice` does, or return the variant that stands for a named voice."""
    if not find_named(name):
        return find_voice(name, espeak)
    variant = _VARIANTS.get(name.strip().lower(), "")
    return None, f"+{variant}" if variant in espeak.variants else ""


def script_runs(text: str) -> list[ScriptRun]:
    """Split a text where its script changes. Digits, punctuation and spaces belong to the run before them."""
    runs: list[ScriptRun] = []
    start, language = 0, None
    for index, character in enumerate(text):
        found = _language_of(character)
        if found is None or found == language:
            continue
        if language is not None:
            runs.append(ScriptRun(text[start:index], language))
            start = index
        language = found
    runs.append(ScriptRun(text[start:], language))
    return runs


def has_kana(text: str) -> bool:
    """Whether a text contains kana, and so is Japanese."""
    return any(_language_of(character) == "ja" for character in text)


def _language_of(character: str) -> str | None:
    category = unicodedata.category(character)
    if category[0] != "L" and character != "〇":  # combining marks follow their letter; the rest is neutral
        return None
    words = unicodedata.name(character, "").split(maxsplit=2)
    if words and words[0] in ("FULLWIDTH", "HALFWIDTH"):
        words = words[1:]
    return _LANGUAGE_BY_SCRIPT.get(words[0]) if words else None
