"""Named voices: one fixed speaker for "default" and for each voice name of OpenAI, on models that draw their voices."""

from dataclasses import dataclass

from voxcli.text.language import CHINESE, ENGLISH, base_language, language_of

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class NamedVoice:
    """A speaker that a model draws from a seed, and that is described to a model that follows descriptions."""

    name: str
    seed: int
    description: str


_DESCRIPTIONS = {
    DEFAULT: "a friendly woman, clear voice",
    "alloy": "a young woman, neutral voice",
    "ash": "a man in his thirties, warm",
    "ballad": "a gentle man, melodious voice",
    "cedar": "a mature man, deep and calm",
    "coral": "a cheerful young woman, bright",
    "echo": "a young man, clear and steady",
    "fable": "a British storyteller, lively",
    "marin": "a woman in her thirties, fresh",
    "nova": "an energetic young woman",
    "onyx": "a man with a very deep voice",
    "sage": "an older woman, calm and slow",
    "shimmer": "a young woman, light and soft",
    "verse": "an expressive man, rhythmic",
}
"""As the names promise. Short enough for a table of 50 columns."""

_FIRST_SEED = 20_251
"""The seeds are part of what a voice is: they never change, and a new name is appended below with a seed of its own."""
_BY_SEED = (
    *(DEFAULT, "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse"),
    *("marin", "cedar"),
)

NAMED_VOICES = {
    name: NamedVoice(name, _FIRST_SEED + 100 * _BY_SEED.index(name), description)
    for name, description in _DESCRIPTIONS.items()
}
"""By name, "default" first."""

EVERY_MODEL_HAS_IT = "every model has a voice of that name"
"""Why a voice that is added cannot have the name of one of these."""

FIRST_LANGUAGE = ENGLISH
"""A voice is drawn in this language; in any other one it continues what it said in this one."""
ANCHOR_TEXTS = {
    ENGLISH: "The morning was quiet, and a light rain fell on the garden. "
    "I opened the window and listened to it for a while.",
    CHINESE: "清晨很安静，细雨轻轻落在院子里。我打开窗户，听了一会儿雨声。",
}
"""What a voice says to be known by, by language: some six seconds, with most sounds of the language."""


def find_named(name: str) -> NamedVoice | None:
    """Find a named voice, ignoring case."""
    return NAMED_VOICES.get(name.strip().lower())


def anchor_language(text: str, language: str | None = None, around: str | None = None) -> str | None:
    """Return the language of `ANCHOR_TEXTS` that a sentence is in; None if it is in another one.

    Args:
        language: as the request names it; None detects it.
        around: the language of the whole text, which tells more of a short sentence in Latin letters than its words.
    """
    found = base_language(language) or language_of(text)
    if not language and found != CHINESE and around not in (None, CHINESE):
        found = around
    found = found or base_language(around) or FIRST_LANGUAGE
    return found if found in ANCHOR_TEXTS else None
