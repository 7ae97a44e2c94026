"""Model library: finds the folder of a complete checkpoint by the name of a model."""

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
    """A model that is here, or that has begun to come."""

    name: str
    model_id: str
    """On its hub."""
    hub: HubName
    folder: Path
    """Of the checkpoint; if it is not whole, of what there is."""
    revision: str | None
    """The commit that the checkpoint is of."""
    missing: tuple[str, ...]
    size: int
    """Bytes of the checkpoint; if it is not whole, of all that has come."""
    leftovers: int
    """Bytes of older revisions, cut downloads and files that no checkpoint needs."""


@dataclass(frozen=True, slots=True)
class ModelLibrary:
    """The models in Hugging Face's cache, which other programs share, and those that only voxcli knows of."""

    shared: Path
    own: Path

    @property
    def caches(self) -> Mapping[HubName, Cache]:
        return {"huggingface": Cache(self.shared), "modelscope": Cache(self.own)}

    def find(self, name: str) -> Path | None:
        """Find the folder of a whole checkpoint. Asks no hub.

        Args:
            name: a short name, the id on a hub, either with "@revision", or a folder.
        """
        if folder := _find_folder(name):
            return None if missing_parts(folder) else folder
        _, revision = split_revision(name)
        wholes = (repository.find_whole(revision) for repository in self._repositories(name))
        return next((whole for whole in wholes if whole), None)

    def load(self, name: str) -> Path:
        """Find a checkpoint that must be there.

        Raises:
            NotFound: with the command that brings it, or what is missing.
        """
        if found := self.find(name):
            return found
        if folder := _find_folder(name):
            raise NotFound(f"{folder} holds no whole checkpoint. It lacks: {', '.join(missing_parts(folder))}.")
        check_name(name)
        here = sum(repository.bytes_held() for repository in self._repositories(name))
        state = f"is here only in part ({decimal(here)})" if here else "is not on this machine"
        raise NotFound(f"The model {name!r} {state}. Bring it here with: voxcli models pull {name}")

    def best(self) -> str | None:
        """Name the published model that speaks unless another is asked for."""
        return next((known.name for known in KNOWN if self.find(known.name)), None)

    def installed(self) -> list[InstalledModel]:
        """List what is here, the best first, and behind it what is only here in part."""
        models = list(self._installed())
        return sorted(models, key=lambda model: (bool(model.missing), rank(model.model_id), model.model_id))

    def removable(self, name: str) -> list[Repository]:
        """List what `remove` would delete: a model with all its revisions, whole or not, from whichever hub.

        Raises:
            RequestError: it is a folder of the user's own, or a single revision.
            NotFound: nothing of it is here.
        """
        if folder := _find_folder(name):
            raise RequestError(
                f"{folder} is a folder of your own; voxcli removes only what it pulled. Delete it yourself."
            )
        model, revision = split_revision(name)
        if revision is not None:
            raise RequestError(f"A model is removed with all its revisions. If that is meant: voxcli models rm {model}")
        repositories = [repository for repository in self._repositories(name) if repository.folder.is_dir()]
        if not repositories:
            check_name(name)
            raise NotFound(f"Nothing of the model {name!r} is on this machine; `voxcli models` lists what is.")
        return repositories

    def remove(self, name: str) -> None:
        """Delete what `removable` lists.

        Raises:
            DeviceError: the disk refuses.
        """
        for repository in self.removable(name):
            try:
                if repository.folder.parent == self.shared:
                    remove_from_shared_cache(self.shared, repository.model_id)
                if repository.folder.exists():  # the library of the cache leaves what has only begun to come
                    shutil.rmtree(repository.folder)
            except OSError as error:
                raise DeviceError(f"{repository.folder} cannot be removed: {error}.") from error

    def repository(self, name: str, hub: HubName) -> Repository:
        """Return where a model from that hub belongs, whether or not it is there.

        Raises:
            NotFound: this names no model.
        """
        check_name(name)
        model_id, _ = split_revision(name)
        known = find_known(model_id)
        return self.caches[hub].repository(known.ids[hub] if known else model_id)

    def origin(self, checkpoint: Path) -> tuple[HubName, str] | None:
        """Tell which hub a checkpoint is from, and its id there; None for a folder of the user's own."""
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
                    yield _look_at(repository, hub)


def check_name(name: str) -> None:
    """Refuse what names no model.

    Raises:
        NotFound: with the names that there are.
    """
    model, _ = split_revision(name)
    if not find_known(model) and not HUB_ID.fullmatch(model):
        names = [known.name for known in KNOWN]
        raise NotFound(
            f"There is no model {name!r}.{did_you_mean(model, names)} There are: {', '.join(names)}; "
            "the id of a model on a hub, such as openbmb/VoxCPM2; or a folder with a checkpoint."
        )


def _find_folder(name: str) -> Path | None:
    """Find the folder that a name means; a published model is meant first."""
    if not name or find_known(split_revision(name)[0]):
        return None
    with suppress(OSError, RuntimeError):  # such as a name too long for a folder, or an unknown ~user
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    return None


def _looks_like_voxcpm(snapshot: Path) -> bool:
    """Tell our models from the many others that a shared cache holds."""
    if any((snapshot / name).exists() for name in CODEC):
        return True
    try:
        architecture = json.loads((snapshot / CONFIG).read_text("utf-8"))["architecture"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return str(architecture).lower().startswith("voxcpm")


def _look_at(repository: Repository, hub: HubName) -> InstalledModel:
    held, snapshots = repository.bytes_held(), repository.snapshots()
    folder = repository.find_whole()
    missing = () if folder else tuple(missing_parts(snapshots[0]) if snapshots else ["all of it"])
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder else held
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
