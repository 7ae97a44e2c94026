"""Bringing a model here: what is to come, whether there is room, and then file by file."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich.filesize import decimal

from voxcli.errors import DeviceError, NotFound, RequestError
from voxcli.models.cache import UNFINISHED, Repository
from voxcli.models.catalog import HUB_TITLES, find_known, split_revision
from voxcli.models.checkpoint import needed_files
from voxcli.models.hub import Hub, Listing, RemoteFile
from voxcli.models.library import ModelLibrary
from voxcli.models.transfer import WAITS_SECONDS, Arrived, fetch, open_client


@dataclass(frozen=True, slots=True)
class Pull:
    """A checkpoint on a hub, and where it will be here."""

    listing: Listing
    repository: Repository

    @property
    def size(self) -> int:
        """Bytes of the whole checkpoint."""
        return sum(file.size for file in self.listing.files)

    @property
    def present(self) -> int:
        """Bytes that are here already."""
        return sum(self._present(file) for file in self.listing.files)

    @property
    def folder(self) -> Path:
        """Of the checkpoint, once it is here."""
        return self.repository.snapshot(self.listing.commit)

    def check_room(self) -> None:
        """Raise DeviceError unless the disk has room for what is missing."""
        missing, free = self.size - self.present, free_bytes(self.repository.folder)
        if missing > free:
            raise DeviceError(
                f"{self.listing.model_id} needs {decimal(missing)} more, but {self.repository.folder.parent} has only "
                f"{decimal(free)} free. Make room, or move the models to a larger disk: HF_HOME and VOXCLI_HOME say "
                "where they are."
            )

    def run(self, arrived: Arrived, waits: Sequence[float] = WAITS_SECONDS) -> Path:
        """Bring what is missing and return the folder of the checkpoint. It counts as new only when it is whole.

        Raises:
            RemoteError: it does not all come, or comes damaged. What has come is kept.
            DeviceError: the disk refuses.
        """
        try:
            self.repository.blobs.mkdir(parents=True, exist_ok=True)
            with open_client(self.listing.headers) as client:
                # Small files first: they tell what this is, should it be cut.
                for file in sorted(self.listing.files, key=lambda file: file.size):
                    if not self._has(file):
                        fetch(client, file, self._partial(file), arrived, waits)
                    if not self._has(file):
                        self._partial(file).replace(self._blob(file))
                    self.repository.link(file.digest, self.listing.commit, file.name)
            self.repository.set_commit(self.listing.revision, self.listing.commit)
        except OSError as error:
            raise DeviceError(f"{self.repository.folder} cannot be written: {error}. What has come is kept.") from error
        return self.folder

    def _blob(self, file: RemoteFile) -> Path:
        return self.repository.blobs / file.digest

    def _partial(self, file: RemoteFile) -> Path:
        return self._blob(file).with_name(file.digest + UNFINISHED)

    def _has(self, file: RemoteFile) -> bool:
        # Where links are not allowed, the snapshot has the file itself.
        return any(_size_of(path) == file.size for path in (self._blob(file), self.folder / file.name))

    def _present(self, file: RemoteFile) -> int:
        if self._has(file):
            return file.size
        begun = _size_of(self._partial(file)) or 0
        return begun if begun <= file.size else 0


def plan_pull(library: ModelLibrary, name: str, hub: Hub, revision: str | None = None) -> Pull:
    """Ask a hub what a model takes.

    Args:
        name: a short name or an id, perhaps with "@revision".

    Raises:
        NotFound: no such model, or it is none of ours.
        RemoteError: the hub cannot be reached, or refuses.
    """
    repository = library.repository(name, hub.name)
    model, revision_in_name = split_revision(name)
    known = find_known(model)
    if revision and revision_in_name and revision != revision_in_name:
        raise RequestError(f"Which revision of {model} is meant: {revision_in_name!r} or {revision!r}?")
    wanted = revision or revision_in_name or hub.main_branch
    if ".." in PurePosixPath(wanted).parts or wanted.startswith("/"):
        raise RequestError(f"{wanted!r} cannot be a revision.")
    listing = hub.read_listing(known.ids[hub.name] if known else model, wanted)
    names, missing = needed_files({file.name for file in listing.files})
    if missing:
        raise NotFound(
            f"{listing.model_id} on {HUB_TITLES[hub.name]} is no VoxCPM checkpoint. It lacks: {', '.join(missing)}."
        )
    return Pull(listing.only(names), repository)


def free_bytes(folder: Path) -> int:
    """Say how much room there is where a folder is, or would be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
