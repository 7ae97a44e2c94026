"""Sequences: the text ids and encoded clips that the language models read before they generate speech."""

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

AUDIO_START = 101
"""Ends the text; speech follows. These ids are fixed by the published checkpoints."""
REFERENCE_START, REFERENCE_END = 103, 104


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Positions that hold text ids."""

    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class AudioSegment:
    """Positions that hold speech, one patch each."""

    patches: Tensor
    """(N, P, D): latents."""
    embeddings: Tensor
    """(N, hidden): output of the local encoder for each patch, projected to the width of the language models."""

    def __len__(self) -> int:
        return len(self.patches)


Segment: TypeAlias = TextSegment | AudioSegment
Sequence: TypeAlias = tuple[Segment, ...]


def split_shared(sequence: Sequence) -> tuple[Sequence, Sequence]:
    """Split a sequence into the reference, which all texts in one voice have in common, and the rest."""
    shared = 3 if sequence[0] == TextSegment((REFERENCE_START,)) else 0
    return sequence[:shared], sequence[shared:]


def build_sequence(ids: list[int], prompt: AudioSegment | None, reference: AudioSegment | None) -> Sequence:
    """Lay out the positions of one request.

    Args:
        ids: the text; for a continuation, the prompt's transcript and the text tokenized as one string.
        prompt: the speech to continue.
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
    """Count the positions of a sequence."""
    return sum(map(len, sequence))
