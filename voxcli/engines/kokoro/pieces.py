"""Pieces of phonemes: how much the model is given at a time.

The first piece is short, so that sound starts early. Each of the next may be longer, as the model works on it while
the one before is played: a piece takes at most half the time that it sounds, and a constant third of a second.
"""

import re
from collections.abc import Iterator

from voxcli.engines.kokoro.mandarin import BREAK

MOST = 509
"""Phonemes that the model takes at once."""
FIRST = 45
"""A longer text is cut at a clause, if there is one."""
_LEAST = 15
"""A shorter piece would be over before the next one is ready."""
_LONGEST = 220
_GROWTH = 2.0
_STRETCH = 2.0
"""A piece may be this much longer than it should, if it then ends with a clause."""

_CLAUSE_END = re.compile(r"""[;:,.!?—…]+["”)]*(?:\s+|(?=["“(])|\Z)""")
_WORD_END = re.compile(rf"\s+|{re.escape(BREAK)}")


def pieces_of(phonemes: str) -> Iterator[str]:
    """Cut phonemes at clauses, else between words or syllables. The pieces have all phonemes, in their order."""
    limit = FIRST
    while phonemes:
        end = _end_of_piece(phonemes, limit)
        piece = phonemes[:end].replace(BREAK, "").strip()
        phonemes = phonemes[end:].lstrip()
        if piece:
            yield piece
        limit = min(max(round(_GROWTH * len(piece)), FIRST), _LONGEST)


def _end_of_piece(phonemes: str, limit: int) -> int:
    if _size(phonemes) <= limit:
        return len(phonemes)
    most = min(round(_STRETCH * limit), MOST)
    clauses = [match.end() for match in _CLAUSE_END.finditer(phonemes)]
    if clauses[-1:] != [len(phonemes)]:
        clauses.append(len(phonemes))
    fitting = [end for end in clauses if _LEAST <= _size(phonemes[:end]) <= limit and _fills(phonemes[end:])]
    if fitting:
        return fitting[-1]
    longer = next((end for end in clauses if _size(phonemes[:end]) >= _LEAST and _fills(phonemes[end:])), 0)
    if longer and _size(phonemes[:longer]) <= most:
        return longer
    words = [match.end() for match in _WORD_END.finditer(phonemes)]
    return max((end for end in words if 0 < _size(phonemes[:end]) <= limit), default=min(limit, len(phonemes)))


def _fills(rest: str) -> bool:
    """Whether a rest is nothing, or enough for a piece of its own."""
    return not rest.strip() or _size(rest) >= _LEAST


def _size(phonemes: str) -> int:
    return len(phonemes) - phonemes.count(BREAK)
