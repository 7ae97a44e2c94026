"""What a language model reads before it speaks: ids and encoded clips, joined segment by segment."""

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

AUDIO_START = 101
"""Ends the text: what follows is speech. The ids are those of the published checkpoints."""
REFERENCE_START, REFERENCE_END = 103, 104


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Positions that are ids."""

    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class AudioSegment:
    """Positions that are speech."""

    patches: Tensor
    """(N, P, D), of latents."""
    heard: Tensor
    """(N, hidden): what the local encoder makes of each patch."""

    def __len__(self) -> int:
        return len(self.patches)


Segment: TypeAlias = TextSegment | AudioSegment
Sequence: TypeAlias = tuple[Segment, ...]


def split_shared(sequence: Sequence) -> tuple[Sequence, Sequence]:
    """Part what is the same for every text in one voice, which is the reference, from the rest."""
    begun = 3 if sequence[0] == TextSegment((REFERENCE_START,)) else 0
    return sequence[:begun], sequence[begun:]


def build_sequence(ids: list[int], prompt: AudioSegment | None, reference: AudioSegment | None) -> Sequence:
    """Join what is given.

    Args:
        ids: of the text; for a continuation those of the prompt's transcript and the text, read as one.
        prompt: the speech to carry on from.
        reference: the speech whose voice to imitate.
    """
    segments: list[Segment] = []
    if reference is not None:
        segments += [TextSegment((REFERENCE_START,)), reference, TextSegment((REFERENCE_END,))]
    segments.append(TextSegment((*ids, AUDIO_START)))
    if prompt is not None:
        segments.append(prompt)
    return tuple(segments)


def length_of(sequence: Sequence) -> int:
    """Count its positions."""
    return sum(map(len, sequence))
