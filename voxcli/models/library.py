"""Model library: the installed models, found by name, listed and removed."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from voxcli.errors import DeviceError, NotFound, RequestError, did_you_mean
from voxcli.models.cache import Cache, Repository
from voxcli.models.catalog import (
    HUB_ID,
    KNOWN,
    HubName,
    find_known,
    rank,
    short_name,
    split_revision,
)
from voxcli.models.checkpoint import CODEC, CONFIG, missing_parts
from voxcli.models.hubs import remove_from_shared_cache


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that is installed completely or in part."""

    name: str
    model_id: str
    """On its hub."""
    hub: HubName
    folder: Path
    """Of the checkpoint; if that is incomplete, of the repository."""
    revision: str | None
    """Commit of the checkpoint; None if it is incomplete."""
    missing: tuple[str, ...]
    size: int
    """Bytes of the checkpoint; if that is incomplete, of everything downloaded."""
    leftovers: int
    """Bytes of older revisions, partial downloads and files that no checkpoint needs."""


@dataclass(frozen=True, slots=True)
class ModelLibrary:
    """The models in Hugging Face's cache, which other programs share, and in voxcli's own."""

    shared: Path
    own: Path

    @property
    def caches(self) -> Mapping[HubName, Cache]:
        return {"huggingface": Cache(self.shared), "modelscope": Cache(self.own)}

    def find(self, name: str) -> Path | None:
        """Find the folder of a complete checkpoint, without using the network.

        Args:
            name: a short name or an id on a hub, optionally with "@revision", or a folder.
        """
        if folder := _find_folder(name):
            return None if missing_parts(folder) else folder
        _, revision = split_revision(name)
        checkpoints = (repository.find_complete(revision) for repository in self._repositories(name))
        return next((checkpoint for checkpoint in checkpoints if checkpoint), None)

    def load(self, name: str) -> Path:
        """Find the folder of a complete checkpoint, or say how to get it.

        Raises:
            NotFound: the model is not installed, or is incomplete.
        """
        if found := self.find(name):
            return found
        if folder := _find_folder(name):
            raise NotFound(f"{folder} is not a complete checkpoint. Missing: {', '.join(missing_parts(folder))}.")
        check_name(name)
        present = sum(repository.bytes_held() for repository in self._repositories(name))
        if present:
            state, verb = f"is only partly downloaded ({decimal(present)})", "Complete"
        else:
            state, verb = "is not installed", "Install"
        raise NotFound(f"Model {name} {state}.", on_command_line=f"{verb} it with: voxcli models pull {name}")

    def best(self) -> str | None:
        """Return the best installed VoxCPM model, which is the default."""
        return next((known.name for known in KNOWN if not known.files and self.find(known.name)), None)

    def installed(self) -> list[InstalledModel]:
        """List the installed models: complete ones first, the best of them first."""
        models = list(self._installed())
        return sorted(models, key=lambda model: (bool(model.missing), rank(model.model_id), model.model_id))

    def removable(self, name: str) -> list[Repository]:
        """List what `remove` would delete: a model with all its revisions, complete or not, from every hub.

        Raises:
            RequestError: the name is that of a user's folder, or of a single revision.
            NotFound: the model is not installed.
        """
        if folder := _find_folder(name):
            raise RequestError(
                f"{folder} is a folder of your own; voxcli removes only models that it manages. Delete it yourself."
            )
        model, revision = split_revision(name)
        if revision is not None:
            raise RequestError(
                "Only a whole model with all its revisions can be removed.",
                on_command_line=f"Remove it with: voxcli models rm {model}",
            )
        repositories = [repository for repository in self._repositories(name) if repository.folder.is_dir()]
        if not repositories:
            check_name(name)
            raise NotFound(
                f"Model {name} is not installed.", on_command_line="`voxcli models` lists the installed ones."
            )
        return repositories

    def remove(self, name: str) -> None:
        """Delete what `removable` lists.

        Raises:
            DeviceError: a file cannot be removed.
        """
        for repository in self.removable(name):
            try:
                if repository.folder.parent == self.shared:
                    remove_from_shared_cache(self.shared, repository.model_id)
                if repository.folder.exists():  # Hugging Face's library leaves partial downloads
                    shutil.rmtree(repository.folder)
            except OSError as error:
                raise DeviceError(f"Cannot remove {repository.folder}: {error}.") from error

    def repository(self, name: str, hub: HubName) -> Repository:
        """Return the repository of a model from a hub, whether or not it exists.

        Raises:
            NotFound: the name is not that of a model.
        """
        check_name(name)
        model_id, _ = split_revision(name)
        known = find_known(model_id)
        return self.caches[hub].repository(known.ids[hub] if known else model_id)

    def origin(self, checkpoint: Path) -> tuple[HubName, str] | None:
        """Return the hub of a checkpoint and its id there; None for a user's folder."""
        repository = Repository(checkpoint.parent.parent)
        hubs = [hub for hub, cache in self.caches.items() if repository.folder.parent == cache.folder]
        return (hubs[0], repository.model_id) if hubs else None

    def _repositories(self, name: str) -> list[Repository]:
        try:
            return [self.repository(name, hub) for hub in self.caches]
        except NotFound:
            return []

    def _installed(self) -> Iterator[InstalledModel]:
        for hub, cache in self.caches.items():
            for repository in cache.repositories():
                if find_known(repository.model_id) or any(map(_looks_like_voxcpm, repository.snapshots())):
                    yield _describe(repository, hub)


def check_name(name: str) -> None:
    """Check that a name could be that of a model.

    Raises:
        NotFound: it could not; the message lists the known names.
    """
    model, _ = split_revision(name)
    if not find_known(model) and not HUB_ID.fullmatch(model):
        names = [known.name for known in KNOWN]
        raise NotFound(
            f"There is no model {name!r}.{did_you_mean(model, names)} Known: {', '.join(names)}; "
            "also accepted: the id of a model on a hub, such as openbmb/VoxCPM2, or a folder with a checkpoint."
        )


def _find_folder(name: str) -> Path | None:
    """Find the folder of that name, unless it is the name of a published model."""
    if not name or find_known(split_revision(name)[0]):
        return None
    with suppress(OSError, RuntimeError):  # for example, the name is too long or its ~user is unknown
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    return None


def _looks_like_voxcpm(snapshot: Path) -> bool:
    """Return whether this is a VoxCPM model; a shared cache holds many others."""
    if any((snapshot / name).exists() for name in CODEC):
        return True
    try:
        architecture = json.loads((snapshot / CONFIG).read_text("utf-8"))["architecture"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return str(architecture).lower().startswith("voxcpm")


def _describe(repository: Repository, hub: HubName) -> InstalledModel:
    held, snapshots = repository.bytes_held(), repository.snapshots()
    folder = repository.find_complete()
    missing = () if folder else tuple(repository.missing_in(snapshots[0]) if snapshots else ["all files"])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else held
    return InstalledModel(
        name=short_name(repository.model_id),
        model_id=repository.model_id,
        hub=hub,
        folder=folder or repository.folder,
        revision=folder.name if folder else None,
        missing=missing,
        size=size,
        leftovers=held - size,
    )
