"""Description of a model by its hub, read before a download."""

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
    """Hexadecimal: SHA-256 of the file or, if that is 40 digits long, SHA-1 of the file as a blob of git."""
    url: str

    @property
    def verifiable(self) -> bool:
        return bool(_DIGEST.fullmatch(self.digest))

    def new_hash(self) -> "_Hash":
        """Start the hash that the digest is one of."""
        if len(self.digest) == _SHA256_DIGITS:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """One revision of a model on a hub."""

    model_id: str
    revision: str
    """As it was asked for: a branch, a tag or a commit."""
    commit: str
    files: tuple[RemoteFile, ...]
    headers: Mapping[str, str] = field(repr=False)
    """To be sent along when a file is asked for. They may hold a secret."""

    def only(self, names: Collection[str]) -> "Listing":
        """Keep these files. The commit and the digests become names on disk, so here they must look like what they are.

        Raises:
            RemoteError: they do not.
        """
        files = tuple(file for file in self.files if file.name in names)
        if not _COMMIT.fullmatch(self.commit) or not all(file.verifiable for file in files):
            raise RemoteError(f"The hub gives no hashes for {self.model_id}, so it could not be verified.")
        return replace(self, files=files)


class Hub(Protocol):
    """Somewhere models are published."""

    name: HubName
    main_branch: str

    def read_listing(self, model_id: str, revision: str) -> Listing:
        """Ask what files a revision has.

        Raises:
            NotFound: no such model or revision, as far as we are allowed to know.
            RemoteError: the hub cannot be reached, or refuses.
        """
