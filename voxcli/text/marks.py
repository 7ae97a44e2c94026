"""Marks in square brackets: `[pause 0.5s]` is silence; other tags, such as `[laugh]`, are instructions to a voice."""

import re
import string
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

DEFAULT_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 60.0
MAX_TAG_LENGTH = 40
"""In characters, including the brackets."""

# The first words of an editorial remark, as in "he [the author] said". Remarks are read aloud.
_REMARKS = (
    "a|an|the|this|that|these|those|his|her|its|my|our|their|your|he|she|it|they|we|you|in|on|of|to|for|from|by|"
    "with|and|or|but|not|no|is|are|was|were|as|at|if|so|see|who|which"
)
_TAG = re.compile(
    rf"""
    \[ (?=[^\[\]\n]{{0,{MAX_TAG_LENGTH - 2}}}\])
    (?:
        [ ]* pause [ :=]* (?: (?P<amount> [-+]?\d+(?:[.,]\d+)? ) [ ]* (?P<unit>ms|s)? )? [ ]* \]
      |
        # [i] and [1] are not tags, and [text](address) is a link.
        (?! (?:{_REMARKS}) [ \]] )
        [A-Za-z][A-Za-z'-]+ (?: (?: [ ]?:[ ]? | [ =] ) [-+]?\w+(?:[.'%-]\w+)*%? ){{0,2}} \]
        (?!\()
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NO_SPACE_BEFORE = re.compile(r"[\s,.;:!?…]|\Z")
# Characters before an index, as in `array[first]` and `rows[1][last]`.
_BEFORE_INDEX = frozenset(string.ascii_letters + string.digits + "_])")


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence requested by a mark."""

    seconds: float


Part: TypeAlias = str | Pause


class Marked(NamedTuple):
    """A text split at its marks."""

    parts: list[Part]
    """Text to speak, and pauses."""
    unknown: list[str]
    """Unknown tags as written. They are not in `parts`; callers should warn about them."""


def parse_marks(text: str) -> Marked:
    """Split a text at its marks.

    A tag is a bracket with one to three short words or values, separated by spaces or a colon: `[laugh]`,
    `[whisper softly]`, `[music:jazz]`. It begins with an ASCII word, has no sentence punctuation, and does not
    directly follow a word unless it is a pause. All other brackets are text: `[1]`, `[注]`, `array[i]`,
    `[the author]`, `[Figure 2 shows how it works]`.
    """
    parts: list[Part] = []
    unknown: list[str] = []
    pending = ""
    end = 0
    for tag in _TAG.finditer(text):
        seconds = _pause_seconds(tag)
        is_index = tag.start() > end and text[tag.start() - 1] in _BEFORE_INDEX
        if is_index and seconds is None:
            continue
        pending += text[end : tag.start()]
        end = tag.end()
        if seconds is None:
            unknown.append(tag[0])
            # Avoid a space before the comma in "Oh [laugh], no".
            if pending.endswith(" ") and _NO_SPACE_BEFORE.match(text, end):
                pending = pending[:-1]
        else:
            parts += [pending, Pause(seconds)] if pending else [Pause(seconds)]
            pending = ""
    pending += text[end:]
    if pending:
        parts.append(pending)
    return Marked(parts, unknown)


def _pause_seconds(tag: re.Match[str]) -> float | None:
    if not tag[0].strip("[ ").lower().startswith("pause"):
        return None
    if tag["amount"] is None:
        return DEFAULT_PAUSE_SECONDS if tag[0].strip("[ ]:=").lower() == "pause" else None
    seconds = float(tag["amount"].replace(",", "."))
    if (tag["unit"] or "").lower() == "ms":
        seconds /= 1000
    return seconds if 0 <= seconds <= MAX_PAUSE_SECONDS else None
