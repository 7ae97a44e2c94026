"""Marks in square brackets: `[pause 0.5s]` is silence, `[laugh]` is for voices that can."""

import re
import string
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

DEFAULT_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_TAG = 40
"""In characters, with its brackets."""

# What a remark of an editor begins with: "he [the author] said". These are read.
_REMARKS = (
    "a|an|the|this|that|these|those|his|her|its|my|our|their|your|he|she|it|they|we|you|in|on|of|to|for|from|by|"
    "with|and|or|but|not|no|is|are|was|were|as|at|if|so|see|who|which"
)
_TAG = re.compile(
    rf"""
    \[ (?=[^\[\]\n]{{0,{LONGEST_TAG - 2}}}\])
    (?:
        [ ]* pause [ :=]* (?: (?P<amount> [-+]?\d+(?:[.,]\d+)? ) [ ]* (?P<unit>ms|s)? )? [ ]* \]
      |
        # [i] and [1] are no words, and [text](address) is a link.
        (?! (?:{_REMARKS}) [ \]] )
        [A-Za-z][A-Za-z'-]+ (?: (?: [ ]?:[ ]? | [ =] ) [-+]?\w+(?:[.'%-]\w+)*%? ){{0,2}} \]
        (?!\()
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NEEDS_NO_BLANK = re.compile(r"[\s,.;:!?…]|\Z")
# What stands before an index, as in `array[first]` and `rows[1][last]`.
_GLUE = frozenset(string.ascii_letters + string.digits + "_])")


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence that was asked for."""

    seconds: float


Part: TypeAlias = str | Pause


class Marked(NamedTuple):
    """A piece of text, taken apart at its marks."""

    parts: list[Part]
    """What to say, and the silences between."""
    unknown: list[str]
    """Tags that mean nothing here, as they were written. They are not in `parts`, and worth a warning."""


def parse_marks(text: str) -> Marked:
    """Take a piece of text apart at the marks in it.

    A tag is a bracket with one to three short words or values in it, parted by spaces or a colon: `[laugh]`,
    `[whisper softly]`, `[music:jazz]`. It begins with an ASCII word, has no sentence punctuation, and is
    not glued to a word before it unless it is a pause. All other brackets are text: `[1]`, `[注]`, `array[i]`,
    `[the author]`, `[Figure 2 shows how it works]`.
    """
    parts: list[Part] = []
    unknown: list[str] = []
    said = ""
    end = 0
    for tag in _TAG.finditer(text):
        seconds = _pause_seconds(tag)
        glued = tag.start() > end and text[tag.start() - 1] in _GLUE
        if glued and seconds is None:
            continue
        said += text[end : tag.start()]
        end = tag.end()
        if seconds is None:
            unknown.append(tag[0])
            # "Oh [laugh], no" would leave a blank too many.
            if said.endswith(" ") and _NEEDS_NO_BLANK.match(text, end):
                said = said[:-1]
        else:
            parts += [said, Pause(seconds)] if said else [Pause(seconds)]
            said = ""
    said += text[end:]
    if said:
        parts.append(said)
    return Marked(parts, unknown)


def _pause_seconds(tag: re.Match[str]) -> float | None:
    if not tag[0].strip("[ ").lower().startswith("pause"):
        return None
    if tag["amount"] is None:
        return DEFAULT_PAUSE_SECONDS if tag[0].strip("[ ]:=").lower() == "pause" else None
    seconds = float(tag["amount"].replace(",", "."))
    if (tag["unit"] or "").lower() == "ms":
        seconds /= 1000
    return seconds if 0 <= seconds <= LONGEST_PAUSE_SECONDS else None
