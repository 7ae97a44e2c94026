"""Verification of a file: what it says of itself, and whether its sound is the one that was written."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from voxcli.audio.format import AudioFormat, find_format
from voxcli.audio.tags.reading import TaggedFile, read_tagged
from voxcli.audio.tags.seal import SEAL, Seal, SoundHash, read_seal
from voxcli.errors import RequestError
from voxcli.synthesis.marking import Marking, read_marking

_OWN = "voxcli "


class Integrity(StrEnum):
    """What became of a sound since it was written."""

    INTACT = "intact"
    STOPPED = "stopped"
    """Intact, but its writer was stopped before the end."""
    CUT = "cut"
    CHANGED = "changed"
    ENCODED_AGAIN = "encoded again"
    UNSEALED = "no hash"
    """The file tells what made it, and has no hash of its sound."""
    ONLY_MARKED = "only marked"
    UNMARKED = "not marked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a file says of itself, and what was found."""

    container: str
    marking: Marking
    verdict: Integrity
    explanation: str
    """In a sentence."""

    @property
    def is_intact(self) -> bool:
        return self.verdict is Integrity.INTACT


def verify(path: Path) -> Verification:
    """Verify one file.

    Raises:
        RequestError: it cannot be read, or holds no sound in a known container.
    """
    try:
        with path.open("rb") as file:
            tagged = read_tagged(file)
            if tagged is None:
                raise RequestError(_no_container(path))
            marking = read_marking(tagged.tags)
            seal = read_seal(marking.seal or "")
            sound = tagged.sound(file) if seal else None
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error
    verdict, explanation = _judge(tagged, marking, seal, sound)
    return Verification(container=tagged.container, marking=marking, verdict=verdict, explanation=explanation)


def _no_container(path: Path) -> str:
    if find_format(path) is AudioFormat.PCM:
        return f"{path} holds raw samples, which have no room for a mark. Nothing tells what made them."
    return f"{path} is not a WAV, FLAC, MP3, Opus, AAC or MP4 file."


def _judge(tagged: TaggedFile, marking: Marking, seal: Seal | None, sound: SoundHash | None) -> tuple[Integrity, str]:
    if seal is None or sound is None:
        return _judge_unsealed(tagged, marking)
    if sound.size == seal.size and sound.seal(done=seal.done) == marking.seal:
        if seal.done:
            return Integrity.INTACT, "it is the sound that was written, to the byte"
        return Integrity.STOPPED, "it is as it was written, but the writer was stopped before the end"
    if program := _other_program(marking):
        return Integrity.ENCODED_AGAIN, f"{program} wrote the file, and the sound is not the one that voxcli wrote"
    if missing := max(tagged.missing, seal.size - sound.size):
        return Integrity.CUT, f"about {max(1, round(100 * missing / max(seal.size, missing)))} % of it is missing"
    return Integrity.CHANGED, "it is not the sound that was written"


def _other_program(marking: Marking) -> str | None:
    """Return the program that wrote the file, if it is not voxcli."""
    return None if not marking.software or marking.software.startswith(_OWN) else marking.software


def _judge_unsealed(tagged: TaggedFile, marking: Marking) -> tuple[Integrity, str]:
    if marking.problem:
        return Integrity.CHANGED, f"what it says of its making cannot be read: {marking.problem}"
    if marking.provenance is None:
        if marking.in_words and (program := _other_program(marking)):
            return Integrity.ENCODED_AGAIN, f"{program} wrote the file, and left out what made it"
        if marking.source_type is None and not marking.in_words:
            by = f" Its writer calls itself {marking.software}." if marking.software else ""
            return Integrity.UNMARKED, f"nothing tells whether a machine made it.{by}"
        return Integrity.ONLY_MARKED, "it is marked, and says nothing else"
    if SEAL in tagged.tags:
        return Integrity.STOPPED, "the writer was stopped before it could write the hash of the sound"
    return Integrity.UNSEALED, "it has no hash of the sound: it was written to a pipe, or sent by a server"
