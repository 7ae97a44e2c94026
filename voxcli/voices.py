"""Named voices on disk: a folder each, with the clips and a description beside them."""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.errors import DeviceError, ModelError, NotFound, RequestError, did_you_mean
from voxcli.speech import Clip, Prompt, Voice

_DESCRIPTION = "voice.json"
_VERSION = 1

# A name becomes a folder: letters of any script, digits and " ._-", with a letter or digit at both ends.
_NAME = re.compile(r"\w(?:[\w .-]{0,62}\w)?")


@dataclass(frozen=True, slots=True)
class VoiceLibrary:
    """The voices kept in one folder."""

    folder: Path

    def names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(path.parent.name for path in self.folder.glob(f"*/{_DESCRIPTION}"))

    def find(self, name: str) -> Voice | None:
        """Read a voice by its name, upper and lower case alike.

        Raises:
            ModelError: the voice is there, but damaged.
        """
        known = self._find_spelling(name)
        return _read_voice(self.folder / known) if known else None

    def load(self, name: str) -> Voice:
        """Read a voice that must be there.

        Raises:
            NotFound: with the list of those that are.
        """
        if voice := self.find(name):
            return voice
        names = self.names()
        listing = f"You have: {', '.join(names)}." if names else "You have none yet."
        raise NotFound(f"There is no voice {name!r}.{did_you_mean(name, names)} {listing}")

    def save(self, name: str, voice: Voice, *, overwrite: bool = False) -> None:
        """Keep a voice with copies of its clips. It appears whole or not at all.

        Raises:
            RequestError: the name cannot be a folder, or is taken.
        """
        if not _NAME.fullmatch(name):
            raise RequestError(
                f"A voice cannot be called {name!r}: use letters, digits, spaces, '.', '_' and '-', "
                "with a letter or digit at both ends, 64 characters at most."
            )
        taken = self._find_spelling(name)
        if taken and not overwrite:
            raise RequestError(f"There is a voice {taken!r} already.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
            _write_voice(staged, voice)
            if taken:
                shutil.rmtree(self.folder / taken)
            staged.rename(self.folder / name)
        except OSError as error:
            raise DeviceError(f"The voice {name!r} cannot be kept in {self.folder}: {error}.") from error

    def _find_spelling(self, name: str) -> str | None:
        """Find how a name is written here, upper and lower case alike."""
        return next((known for known in self.names() if known.casefold() == name.casefold()), None)


def _write_voice(folder: Path, voice: Voice) -> None:
    description: dict[str, Any] = {"version": _VERSION, "name": voice.name, "style": voice.style}
    if voice.reference:
        description["reference"] = _write_clip(folder, "reference", voice.reference)
    if voice.prompt:
        description["prompt"] = _write_clip(folder, "prompt", voice.prompt.clip)
        description["transcript"] = voice.prompt.transcript
    (folder / _DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1), "utf-8")


def _write_clip(folder: Path, stem: str, clip: Clip) -> str:
    name = stem + Path(clip.name).suffix.lower()
    (folder / name).write_bytes(clip.data)
    return name


def _read_voice(folder: Path) -> Voice:
    try:
        description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        if description["version"] != _VERSION:
            raise ModelError(f"The voice {folder.name!r} was written by a newer voxcli. Upgrade this one to use it.")
        reference, prompt = description.get("reference"), description.get("prompt")
        return Voice(
            name=description.get("name"),
            style=description.get("style"),
            reference=_read_clip(folder, reference) if reference else None,
            prompt=Prompt(_read_clip(folder, prompt), description["transcript"]) if prompt else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The voice {folder.name!r} is damaged ({error}). Delete {folder} and add the voice again."
        ) from error


def _read_clip(folder: Path, name: str) -> Clip:
    # Only the last part: a description from elsewhere must not reach out of its folder.
    path = folder / Path(name).name
    return Clip(path.read_bytes(), path.name)
