"""A folder of named voices: each a folder with its clips and a description beside them.

The description is what makes a voice: it appears, changes and goes in one step, and names the clips that belong to
it. So a reader, who takes no lock, sees the voice as it was before a change or after it, whatever ends the writer.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import DeviceError, ModelError, NotFound, RequestError, did_you_mean
from voxcli.synthesis.request import Voice
from voxcli.voices.description import (
    CLIP_ROLES,
    DESCRIPTION,
    NO_NOTES,
    NewerVersion,
    Notes,
    from_files,
    to_files,
)
from voxcli.voices.lock import locked
from voxcli.voices.names import check_name, folded, is_name

_LOCK = ".lock"
_STAGED = ".new-"


@dataclass(frozen=True, slots=True)
class VoiceLibrary:
    """The voices kept in one folder. Several processes may read and change it at once."""

    folder: Path

    def names(self) -> list[str]:
        try:
            return sorted(
                path.name for path in self.folder.iterdir() if is_name(path.name) and (path / DESCRIPTION).is_file()
            )
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise DeviceError(f"The voices in {self.folder} cannot be read: {error.strerror or error}.") from error

    def find_spelling(self, name: str) -> str | None:
        """Find how a name is written here, upper and lower case alike."""
        return next((known for known in self.names() if folded(known) == folded(name)), None)

    def spelling(self, name: str) -> str:
        """Return how the name of a voice that must be there is written.

        Raises:
            NotFound: with the list of those that are.
        """
        if known := self.find_spelling(name):
            return known
        raise self._not_found(name)

    def find(self, name: str) -> Voice | None:
        """Read a voice by its name, upper and lower case alike.

        Raises:
            ModelError: the voice is there, but damaged.
        """
        found = self._find(name)
        return found[0] if found else None

    def load(self, name: str) -> Voice:
        """Read a voice that must be there.

        Raises:
            NotFound: with the list of those that are.
            ModelError: it is damaged.
        """
        return self.load_noted(name)[0]

    def load_noted(self, name: str) -> tuple[Voice, Notes]:
        """Read a voice that must be there, and the notes on it. Raises as `load` does."""
        if found := self._find(name):
            return found
        raise self._not_found(name)

    def describe(self, name: str) -> tuple[Voice, Notes] | None:
        """Read the description of a voice and its notes, but not its clips, whose data is left empty.

        Args:
            name: as `names` returns it.

        Returns:
            None if the voice has been removed meanwhile or is damaged, so that one bad voice does not break a listing.
        """
        if not is_name(name):
            return None
        try:
            return from_files((self.folder / name / DESCRIPTION).read_bytes(), lambda clip: b"")
        except (OSError, ValueError):
            return None

    def check_free(self, name: str) -> None:
        """Find out whether a new voice may be called so.

        Raises:
            RequestError: the name cannot be a folder, or is taken.
        """
        if taken := self.find_spelling(check_name(name)):
            raise RequestError(
                f"There is a voice {taken!r} already. Use --force to replace it, or choose another name."
            )

    def save(self, name: str, voice: Voice, notes: Notes = NO_NOTES, *, overwrite: bool = False) -> str:
        """Keep a voice with copies of its clips, and return its name as it is written here.

        Raises:
            RequestError: the name cannot be a folder, or is taken.
        """
        name = check_name(name)
        files = to_files(voice, notes, secrets.token_hex(4))
        with self._changing(f"The voice {name!r} cannot be kept in {self.folder}"):
            if not overwrite:
                self.check_free(name)
            if taken := self.find_spelling(name):
                _replace(self.folder / taken, files)
                if taken != name:
                    (self.folder / taken).rename(self.folder / name)
            else:
                with self._staged() as staged:
                    _write(staged, files)
                    staged.rename(self.folder / name)
        return name

    def rename(self, old: str, new: str) -> tuple[str, str]:
        """Give a voice another name, and return both as they are written here.

        Raises:
            NotFound: there is no such voice.
            RequestError: the new name cannot be a folder, or is taken.
        """
        new, old = check_name(new), self.spelling(old)
        with self._changing(f"The voice {old!r} cannot be renamed"):
            old, taken = self.spelling(old), self.find_spelling(new)
            if taken not in (None, old):
                raise RequestError(f"There is a voice {taken!r} already. Choose another name.")
            (self.folder / old).rename(self.folder / new)
        return old, new

    def remove(self, name: str) -> str:
        """Delete a voice, and return its name as it was written here.

        Raises:
            NotFound: there is no such voice.
        """
        known = self.spelling(name)
        with self._changing(f"The voice {known!r} cannot be removed"):
            known = self.spelling(known)
            with self._staged() as staged:
                (self.folder / known).rename(staged / known)
        return known

    def _find(self, name: str) -> tuple[Voice, Notes] | None:
        while known := self.find_spelling(name):
            path = self.folder / known / DESCRIPTION
            try:
                if (description := _read_if_there(path)) is not None:
                    return self._read(known, description)
            except FileNotFoundError as error:
                # A clip is gone. If the voice has changed meanwhile, look again: no description is written twice.
                if description == _read_if_there(path):
                    raise self._damaged(known, error) from error
            except OSError as error:
                raise DeviceError(f"The voice {known!r} cannot be read: {error}.") from error
        return None

    def _read(self, name: str, description: bytes) -> tuple[Voice, Notes]:
        try:
            return from_files(description, lambda clip: (self.folder / name / clip).read_bytes())
        except NewerVersion:
            raise ModelError(f"The voice {name!r} was written by a newer voxcli. Upgrade this one to use it.") from None
        except ValueError as error:
            raise self._damaged(name, error) from error

    def _not_found(self, name: str) -> NotFound:
        names = self.names()
        listing = f"You have: {', '.join(names)}." if names else "You have none yet."
        return NotFound(f"There is no voice {name!r}.{did_you_mean(name, names)} {listing}")

    def _damaged(self, name: str, error: Exception) -> ModelError:
        return ModelError(
            f"The voice {name!r} is damaged ({error}). Delete {self.folder / name} and add the voice again."
        )

    @contextmanager
    def _changing(self, failure: str) -> Iterator[None]:
        """Be the only one who changes the library. What somebody who was killed has left behind is swept."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / _LOCK):
                for stale in self.folder.glob(_STAGED + "*"):
                    shutil.rmtree(stale, ignore_errors=True)
                yield
        except OSError as error:
            raise DeviceError(f"{failure}: {error}.") from error

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """Make a folder where nobody looks. What is left in it is deleted."""
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self.folder))
        try:
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _read_if_there(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Put a voice in the place of another. The description is the turning point."""
    clips = {name: data for name, data in files.items() if name != DESCRIPTION}
    staged = f".{DESCRIPTION}"
    _write(folder, {**clips, staged: files[DESCRIPTION]})
    (folder / staged).replace(folder / DESCRIPTION)
    for path in folder.iterdir():
        if path.name.startswith(CLIP_ROLES) and path.name not in clips:
            with suppress(OSError):  # a reader on Windows still holds it
                path.unlink()
