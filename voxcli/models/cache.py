"""Model cache in the layout of Hugging Face, read and written without its library.

The layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache. A repository has `blobs/`, files named by
their hash; `snapshots/`, a folder per commit with links to blobs; and `refs/`, the commit of each branch and tag.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from voxcli.models.catalog import find_known
from voxcli.models.checkpoint import missing_parts

UNFINISHED = ".incomplete"
_PREFIX, _SEPARATOR = "models--", "--"
_BRANCHES = ("main", "master")
SNAPSHOTS = "snapshots"
"""Folder of a repository with a folder for each commit."""


@dataclass(frozen=True, slots=True)
class Repository:
    """One model in a cache. Its folder need not exist yet."""

    folder: Path

    @property
    def model_id(self) -> str:
        return self.folder.name.removeprefix(_PREFIX).replace(_SEPARATOR, "/")

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def snapshot(self, commit: str) -> Path:
        return self.folder / SNAPSHOTS / commit

    def snapshots(self) -> list[Path]:
        """List the snapshots: that of the main branch first, then the newest."""
        folders = [path for path in _children(self.folder / SNAPSHOTS) if path.is_dir()]
        current = {self._commit_at(branch) for branch in _BRANCHES}
        return sorted(folders, key=lambda path: (path.name in current, path.stat().st_mtime), reverse=True)

    def find_complete(self, revision: str | None = None) -> Path | None:
        """Find a complete checkpoint: of a branch, tag or commit, or else the first in the order of `snapshots`."""
        snapshots = self.snapshots()
        if revision is not None:
            commit = self._commit_at(revision) or revision
            snapshots = [path for path in snapshots if path.name.startswith(commit)]
        return next((path for path in snapshots if not self.missing_in(path)), None)

    def missing_in(self, snapshot: Path) -> list[str]:
        """List the files that a snapshot of this model lacks."""
        known = find_known(self.model_id)
        return missing_parts(snapshot, known.files if known else ())

    def bytes_held(self) -> int:
        """Return the bytes on disk. Partial downloads count, and a file that snapshots share counts once."""
        snapshots = [path for folder in self.snapshots() for path in folder.rglob("*")]
        files = {path.resolve() for path in [*_children(self.blobs), *snapshots] if path.is_file()}
        return sum(path.stat().st_size for path in files)

    def link(self, digest: str, commit: str, name: str) -> None:
        """Link a file of a snapshot to its blob. Where links are not allowed, the blob is moved there instead."""
        blob, file = self.blobs / digest, self.snapshot(commit) / name
        if not blob.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        try:
            file.symlink_to(os.path.relpath(blob, file.parent))
        except OSError:
            blob.replace(file)

    def set_commit(self, revision: str, commit: str) -> None:
        """Record the commit of a branch or tag, atomically."""
        if revision == commit:
            return
        path = self.folder / "refs" / revision
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(commit, "utf-8")
        temporary.replace(path)

    def _commit_at(self, revision: str) -> str | None:
        with suppress(OSError, ValueError):
            return (self.folder / "refs" / revision).read_text("utf-8").strip()
        return None


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of downloaded models."""

    folder: Path

    def repository(self, model_id: str) -> Repository:
        return Repository(self.folder / (_PREFIX + model_id.replace("/", _SEPARATOR)))

    def repositories(self) -> Iterator[Repository]:
        """Yield the models whose download has at least begun."""
        for path in sorted(_children(self.folder)):
            if path.name.startswith(_PREFIX) and path.is_dir():
                yield Repository(path)


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
