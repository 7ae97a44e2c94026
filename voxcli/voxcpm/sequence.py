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


@dataclass(frozen=True, slots=True, eq=False)
class AudioSegment:
    """Positions that are patches of latents, (N, P, D)."""

    patches: Tensor

    def __len__(self) -> int:
        return len(self.patches)


Segment: TypeAlias = TextSegment | AudioSegment
Sequence: TypeAlias = tuple[Segment, ...]


def build_sequence(ids: list[int], prompt: Tensor | None, reference: Tensor | None) -> Sequence:
    """Join what is given.

    Args:
        ids: of the text; for a continuation those of the prompt's transcript and the text, read as one.
        prompt: the patches to carry on from, (N, P, D).
        reference: the patches whose voice to imitate, (N, P, D).
    """
    segments: list[Segment] = []
    if reference is not None:
        segments += [TextSegment((REFERENCE_START,)), AudioSegment(reference), TextSegment((REFERENCE_END,))]
    segments.append(TextSegment((*ids, AUDIO_START)))
    if prompt is not None:
        segments.append(AudioSegment(prompt))
    return tuple(segments)


def length_of(sequence: Sequence) -> int:
    """Count its positions."""
    return sum(map(len, sequence))
