"""Comparison of a sound with the same one made again, and the reasons why they may differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxcli.audio.decode import decode
from voxcli.audio.tags.reading import read_tagged
from voxcli.audio.tags.seal import SoundHash, read_seal
from voxcli.errors import VoxError
from voxcli.synthesis.marking import Marking, read_marking
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.verification import Integrity

_END_BYTES = 2**13
"""With which an encoder ends a sound that was stopped."""
_AUDIBLE_DB = -10.0
"""A difference as loud as this is another sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remake:
    """How a sound differs from one that was made again."""

    equal: bool
    """To the byte: as far as the first one goes, if it was stopped before the end."""
    same_file: bool
    """Whether the tags are equal too."""
    in_words: str
    difference_db: float | None = None
    """Level of the difference of the samples against the sound; None if the lengths differ, or nothing differs."""
    reasons: tuple[str, ...] = ()


def compare(first: Path, second: Path, verdict: Integrity) -> Remake:
    """Compare a file with one that was made again from it.

    What was written counts: a file that was changed since is compared by its seal.

    verdict: on the first one.
    """
    with first.open("rb") as one, second.open("rb") as other:
        old, new = read_tagged(one), read_tagged(other)
        assert old, "it has been verified"
        assert new, "it has just been written"
        before, after = read_marking(old.tags), read_marking(new.tags)
        seal = read_seal(before.seal or "")
        digest, size = (seal.digest, seal.size) if seal else _hashed(old.sound(one))
        again = SoundHash()
        for block in new.blocks(other):
            again.update(block[: size - again.size])
        whole = sum(end - begin for begin, end in new.spans)
        stopped = verdict is Integrity.STOPPED and size <= whole
        equal = again.seal(done=True).split()[0] == f"sha256:{digest}" and (stopped or size == whole)
        if stopped and not equal:
            equal = size - _equal_bytes(old.blocks(one), new.blocks(other)) <= min(_END_BYTES, size // 2)
    reasons = tuple(_reasons(before, after))
    if equal:
        same = first.read_bytes() == second.read_bytes()
        return Remake(equal=True, same_file=same, in_words=_equal(verdict, same=same), reasons=())
    level = _difference_db(first, second)
    return Remake(
        equal=False,
        same_file=False,
        in_words=_different(level),
        difference_db=level,
        reasons=reasons or ("Nothing that the file says is different. Its model may not repeat itself here.",),
    )


def _equal_bytes(old: Iterator[bytes], new: Iterator[bytes]) -> int:
    """Return how many bytes two sounds have in common at their beginning."""
    count = 0
    for one, other in zip(old, new, strict=False):  # blocks of one size
        if not other.startswith(one):
            length = min(len(one), len(other))
            differ = np.frombuffer(one[:length], np.uint8) != np.frombuffer(other[:length], np.uint8)
            return count + (int(differ.argmax()) if differ.any() else length)
        count += len(one)
    return count


def _hashed(sound: SoundHash) -> tuple[str, int]:
    return sound.seal(done=True).split()[0].removeprefix("sha256:"), sound.size


def _equal(verdict: Integrity, *, same: bool) -> str:
    if verdict is Integrity.STOPPED:
        return "the sound made again is equal, as far as this one goes before it was stopped"
    if verdict in (Integrity.CUT, Integrity.CHANGED, Integrity.ENCODED_AGAIN):
        return "the sound made again is equal to the byte to the one that was written, which the file no longer holds"
    return "made again, equal to the byte" + (" with all its tags" if same else "; its tags differ")


def _different(level: float | None) -> str:
    if level is None or level > _AUDIBLE_DB:
        return "the sound made again is another one"
    return f"the sound made again differs a little: by {-level:.0f} dB less than the sound itself"


def _difference_db(first: Path, second: Path) -> float | None:
    try:
        one, other = (decode(path.read_bytes(), name=path.name) for path in (first, second))
    except VoxError:
        return None
    if one.sample_rate != other.sample_rate or len(one.samples) != len(other.samples) or not len(one.samples):
        return None
    sound, difference = np.square(one.samples).mean(), np.square(one.samples - other.samples).mean()
    return float(10 * np.log10(difference / sound)) if sound and difference else None


def _reasons(before: Marking, after: Marking) -> Iterator[str]:
    """Yield what is different between two makings, in sentences."""
    old, new = before.provenance, after.provenance
    if not old or not new:
        return
    yield from _reasons_of_model(old, new)
    if old.voice.deciding != new.voice.deciding:
        yield "The voice is another one."
    if old.speakers.keys() != new.speakers.keys() or any(
        old.speakers[name].voice.deciding != new.speakers[name].voice.deciding for name in old.speakers
    ):
        yield "The voices of the speakers are others."
    if old.settings.get("steps") == "auto":
        yield "The solver steps followed the speed of the machine, which is never quite the same."
    if old.settings.get("arriving"):
        yield "The text arrived piece by piece, and where it was split depended on its writer."
    left_out = {"arriving"}
    for name in sorted({*old.settings, *new.settings} - left_out):
        if old.settings.get(name) != new.settings.get(name):
            yield f"The setting {name} is {new.settings.get(name)!r} here, and was {old.settings.get(name)!r}."
    if old.voxcli != new.voxcli:
        yield f"It was made by voxcli {old.voxcli}, and this is {new.voxcli}."


def _reasons_of_model(old: Provenance, new: Provenance) -> Iterator[str]:
    one, other = old.model, new.model
    if one.weights != other.weights:
        yield (
            f"This is another revision of the model: {_named(other.weights or other.revision)}, and it was "
            f"{_named(one.weights or one.revision)}."
        )
    elif one.weights is None and (one.name, one.revision) != (other.name, other.revision):
        yield f"The model is {other.name} {_named(other.revision)}, and was {one.name} {_named(one.revision)}."
    if one.lora != other.lora:
        yield "The LoRA is another one."
    if (one.precision, one.device) != (other.precision, other.device):
        yield (
            f"It was computed in {one.precision} on {one.device}, and here in {other.precision} on {other.device}, "
            "which gives slightly different samples."
        )


def _named(digest: str | None) -> str:
    return digest[:12] if digest else "unknown"
