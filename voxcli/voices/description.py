"""A voice as files: its clips, and a description that names them and holds the notes."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice

DESCRIPTION = "voice.json"
CLIP_ROLES = ("reference", "prompt")
"""What the names of clips begin with."""

_VERSION = 1
_CLIP_FILE = re.compile(r"(?:reference|prompt)(?:-[0-9a-f]+)?(\.[a-z0-9]{1,8})?")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is known about a voice and needed by nobody who speaks with it."""

    consent: str | None = None
    """Who allowed it, in words."""
    created: str | None = None
    """The day, as in 2025-12-31."""
    voxcli: str | None = None
    """The version that made it."""
    model: str | None = None
    """Which it was made for, or drawn by."""


NO_NOTES = Notes()


def note_of_model(name: str) -> str:
    """Return what is noted of a model: of a folder only its name, for a voice may go elsewhere."""
    return Path(name).resolve().name if Path(name).is_dir() else name


class NewerVersion(ValueError):
    """A description was written by a newer voxcli."""


def to_files(voice: Voice, notes: Notes = NO_NOTES, mark: str = "") -> dict[str, bytes]:
    """Return the files of a voice by their names, the description last.

    Args:
        mark: hexadecimal digits for the names of the clips, which tell them from those of another version.

    Raises:
        RequestError: a text in it is missing, or is not Unicode.
    """
    files: dict[str, bytes] = {}

    def add_clip(role: str, clip: Clip) -> str:
        suffix = _SUFFIX.search(clip.name.lower())
        name = role + (f"-{mark}" if mark else "") + (suffix[0] if suffix else "")
        files[name] = clip.data
        return name

    description: dict[str, Any] = {"version": _VERSION, "name": voice.name, "style": voice.style}
    if voice.reference:
        description["reference"] = add_clip("reference", voice.reference)
    if voice.prompt:
        if not voice.prompt.transcript.strip():
            raise RequestError("The words of the prompt are missing.")
        description["prompt"] = add_clip("prompt", voice.prompt.clip)
        description["transcript"] = voice.prompt.transcript
    description |= {key: note for key, note in asdict(notes).items() if note is not None}
    try:
        files[DESCRIPTION] = json.dumps(description, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError as error:
        raise RequestError("A text of this voice is not valid Unicode: it holds half of a character.") from error
    return files


def from_files(description: bytes, read: Callable[[str], bytes]) -> tuple[Voice, Notes]:
    """Build the voice that a description stands for, and the notes on it.

    Args:
        read: returns the content of a clip by its name, which never leads to another folder.

    Raises:
        NewerVersion: it cannot be understood yet.
        ValueError: it is damaged, and how. What `read` raises passes through.
    """
    try:
        known = json.loads(description)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(known, dict):
        raise ValueError("it is no JSON object")
    _check_version(known.get("version"))

    def read_clip(role: str) -> Clip | None:
        name = _text(known, role)
        if name is None:
            return None
        match = _CLIP_FILE.fullmatch(name)
        if not match:
            raise ValueError(f"no clip can be called {name!r}")
        return Clip(read(name), role + (match[1] or ""))

    reference, prompt, transcript = read_clip("reference"), read_clip("prompt"), _text(known, "transcript")
    if prompt and not (transcript and transcript.strip()):
        raise ValueError("the words of the prompt are missing")
    voice = Voice(
        name=_text(known, "name"),
        style=_text(known, "style"),
        reference=reference,
        prompt=Prompt(prompt, transcript) if prompt and transcript else None,
    )
    return voice, Notes(**{note.name: _text(known, note.name) for note in fields(Notes)})


def _check_version(version: object) -> None:
    if isinstance(version, int) and version > _VERSION:
        raise NewerVersion(f"version {version}")
    if version != _VERSION:
        raise ValueError(f"{version!r} is no version")


def _text(description: dict[str, Any], key: str) -> str | None:
    value = description.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is no text")
    value.encode()  # half of a character is a ValueError
    return value
