"""Interface of a hub, and the file listings it returns."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from voxcli.errors import RemoteError
from voxcli.models.catalog import HubName

if TYPE_CHECKING:
    from hashlib import _Hash

_SHA256_DIGITS = 64
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a hub."""

    name: str
    size: int
    """In bytes."""
    digest: str
    """Hexadecimal: SHA-256 of the file (64 digits), or SHA-1 of the file as a git blob (40 digits)."""
    url: str

    @property
    def verifiable(self) -> bool:
        return bool(_DIGEST.fullmatch(self.digest))

    def new_hash(self) -> "_Hash":
        """Return an empty hash of the kind of `digest`."""
        if len(self.digest) == _SHA256_DIGITS:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """One revision of a model on a hub."""

    model_id: str
    revision: str
    """As requested: a branch, a tag or a commit."""
    commit: str
    files: tuple[RemoteFile, ...]
    headers: Mapping[str, str] = field(repr=False)
    """To be sent with requests for files. They may contain a token."""

    def only(self, names: Collection[str]) -> "Listing":
        """Return a listing of these files only.

        The commit and the digests become file names on disk, so their form is checked.

        Raises:
            RemoteError: the commit or a digest is malformed.
        """
        files = tuple(file for file in self.files if file.name in names)
        if not _COMMIT.fullmatch(self.commit) or not all(file.verifiable for file in files):
            raise RemoteError(f"The hub sends no valid hashes for {self.model_id}, so a download cannot be verified.")
        return replace(self, files=files)


class Hub(Protocol):
    """A service on which models are published."""

    name: HubName
    main_branch: str

    def read_listing(self, model_id: str, revision: str) -> Listing:
        """Request the list of files of a revision.

        Raises:
            NotFound: the model or revision does not exist, or is private.
            RemoteError: the hub cannot be reached, or rejects the request.
        """
