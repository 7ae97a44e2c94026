"""Voice library: a folder of named voices, each a folder with a description and its clips.

A voice exists through its description, which is created, replaced and removed in one step and names the clips that
belong to it. Readers therefore need no lock: they see a voice as it was before a change or after it, even if the
writer is killed. Writers hold one lock file, which stays in the folder.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import DeviceError, ModelError, NotFound, RequestError, did_you_mean
from voxcli.files import write_atomically
from voxcli.synthesis.request import Voice
from voxcli.voices.description import (
    CLIP_ROLES,
    DESCRIPTION,
    NO_NOTES,
    NewerVersion,
    Notes,
    check_name,
    folded,
    from_files,
    is_name,
    to_files,
    voice_id,
)

_LOCK = ".lock"
_POLL_SECONDS = 0.01
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
            raise DeviceError(f"Cannot read the voices in {self.folder}: {error.strerror or error}.") from error

    def find_spelling(self, name: str) -> str | None:
        """Return the name of a voice as it is stored, ignoring case; None if there is no such voice.

        name: or its id. A voice that cannot be kept under its name is kept under its id.
        """
        names, id = self.names(), voice_id(name)
        same = (known for known in names if folded(known) == folded(name.strip()))
        return next(same, None) or next(
            (known for known in names if known == id or voice_id(known) == name.strip()), None
        )

    def spelling(self, name: str) -> str:
        """Return the name of an existing voice as it is stored, ignoring case.

        Raises:
            NotFound: there is no such voice; the message lists the existing ones.
        """
        if known := self.find_spelling(name):
            return known
        raise self._not_found(name)

    def find(self, name: str) -> Voice | None:
        """Read a voice by its name, ignoring case; None if there is no such voice.

        Raises:
            ModelError: the voice is damaged.
        """
        found = self._find(name)
        return found[0] if found else None

    def load(self, name: str) -> Voice:
        """Read an existing voice.

        Raises:
            NotFound: there is no such voice; the message lists the existing ones.
            ModelError: the voice is damaged.
        """
        return self.load_noted(name)[0]

    def load_noted(self, name: str) -> tuple[Voice, Notes]:
        """Read an existing voice and its notes. Raises as `load` does."""
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
        """Check that a new voice can have this name.

        Raises:
            RequestError: the name is not valid or is taken.
        """
        if taken := self.find_spelling(check_name(name)):
            raise RequestError(
                f"Voice {taken!r} already exists.",
                on_command_line="Pass --force to replace it, or choose another name.",
            )

    def save(self, name: str, voice: Voice, notes: Notes = NO_NOTES, *, overwrite: bool = False) -> str:
        """Store a voice with copies of its clips, and return its name as it is stored.

        Raises:
            RequestError: the name is not valid or is taken.
            DeviceError: the folder cannot be written.
        """
        name = check_name(name)
        files = to_files(voice, notes, secrets.token_hex(4))
        with self._changing(f"Cannot save the voice {name!r} in {self.folder}"):
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
        """Rename a voice, and return the old and the new name as they are stored.

        Raises:
            NotFound: there is no such voice.
            RequestError: the new name is not valid or is taken.
            DeviceError: the folder cannot be written.
        """
        new, old = check_name(new), self.spelling(old)
        with self._changing(f"Cannot rename the voice {old!r}"):
            old, taken = self.spelling(old), self.find_spelling(new)
            if taken not in (None, old):
                raise RequestError(f"Voice {taken!r} already exists; choose another name.")
            (self.folder / old).rename(self.folder / new)
        return old, new

    def remove(self, name: str) -> str:
        """Delete a voice, and return its name as it was stored.

        Raises:
            NotFound: there is no such voice.
            DeviceError: the folder cannot be written.
        """
        known = self.spelling(name)
        with self._changing(f"Cannot remove the voice {known!r}"):
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
                # A clip is missing. If the description changed meanwhile, read the new one: every save writes a
                # different description, because the names of the clips are random.
                if description == _read_if_there(path):
                    raise self._damaged(known, error) from error
            except OSError as error:
                raise DeviceError(f"Cannot read the voice {known!r}: {error}.") from error
        return None

    def _read(self, name: str, description: bytes) -> tuple[Voice, Notes]:
        try:
            return from_files(description, lambda clip: (self.folder / name / clip).read_bytes())
        except NewerVersion:
            raise ModelError(f"The voice {name!r} was saved by a newer version of voxcli. Upgrade yours.") from None
        except ValueError as error:
            raise self._damaged(name, error) from error

    def _not_found(self, name: str) -> NotFound:
        names = self.names()
        listing = f"Saved voices: {', '.join(names)}." if names else "No voices are saved yet."
        return NotFound(f"There is no voice {name!r}.{did_you_mean(name, names)} {listing}")

    def _damaged(self, name: str, error: Exception) -> ModelError:
        return ModelError(
            f"The voice {name!r} is damaged ({error}). Delete {self.folder / name} and add the voice again."
        )

    @contextmanager
    def _changing(self, failure: str) -> Iterator[None]:
        """Hold the writers' lock. Folders left behind by a killed writer are deleted.

        Raises:
            DeviceError: `failure`, with the reason.
        """
        from filelock import FileLock  # which those who only read need not load

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, poll_interval=_POLL_SECONDS):
                for stale in self.folder.glob(_STAGED + "*"):
                    shutil.rmtree(stale, ignore_errors=True)
                yield
        except (OSError, NotImplementedError) as error:  # NotImplementedError: the file system has no locks
            raise DeviceError(f"{failure}: {error}.") from error

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """Make a hidden folder, which is deleted at the end with what is left in it."""
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


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        write_atomically(folder / name, data)


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace a voice: write the new clips, then the description; delete the old clips and what killed writers left."""
    clips = {name: data for name, data in files.items() if name != DESCRIPTION}
    _write(folder, {**clips, DESCRIPTION: files[DESCRIPTION]})
    for path in folder.iterdir():
        if path.name.startswith((*CLIP_ROLES, ".")) and path.name not in clips:
            with suppress(OSError):  # a reader on Windows still has it open
                path.unlink()
