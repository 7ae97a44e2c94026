"""Model downloads: planning, check for disk space, and transfer with resume and checksum."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias
from urllib.parse import urlsplit

import httpx
from filelock import FileLock, Timeout
from rich.filesize import decimal

from voxcli.backoff import Backoff, RetryableError, is_retryable, with_retries
from voxcli.connections import explain_failure, find_proxy
from voxcli.errors import DeviceError, NotFound, RemoteCut, RemoteError, RemoteRefused, RequestError
from voxcli.models.cache import UNFINISHED, Repository
from voxcli.models.catalog import HUB_TITLES, find_known, split_revision
from voxcli.models.checkpoint import needed_files
from voxcli.models.hub import Hub, Listing, RemoteFile
from voxcli.models.library import ModelLibrary

Arrived: TypeAlias = Callable[[RemoteFile, int], None]
"""Called with the number of further bytes of a file that are on disk."""

WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Delays between attempts that make no progress."""

_CONNECT_SECONDS, _READ_SECONDS = 15.0, 30.0
_BUFFER = 1 << 20
_LOCK = ".lock"
_RANGE = re.compile(r"bytes (\d+)-")


class _Interrupted(Exception):
    """An attempt failed with a temporary error."""


class _Partial:
    """The beginning of a file on disk, hashed as it grows."""

    def __init__(self, stream: IO[bytes], file: RemoteFile) -> None:
        self.file, self.size = file, 0
        self._stream, self._hash = stream, file.new_hash()
        if stream.seek(0, 2) > file.size:
            stream.truncate(0)
        stream.seek(0)
        while data := stream.read(_BUFFER):
            self._count(data)

    def append(self, data: bytes) -> None:
        self._stream.write(data)
        self._count(data)

    def is_intact(self) -> bool:
        """Whether the content has the expected hash."""
        return self._hash.hexdigest() == self.file.digest

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)


def open_client(headers: Mapping[str, str], url: str) -> httpx.Client:
    """Open a client that reuses connections between files. The caller closes it.

    Args:
        url: of a file, which tells the proxy.

    Raises:
        RemoteError: the setting for the proxy is not valid.
    """
    proxy = find_proxy(url)
    return httpx.Client(
        # A compressed transfer could not be resumed by byte range.
        headers={**headers, "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        follow_redirects=True,
        verify=httpx.create_ssl_context(),
        proxy=proxy.url if proxy else None,
        trust_env=False,
    )


def fetch(
    client: httpx.Client, file: RemoteFile, path: Path, arrived: Arrived, waits: Sequence[float] = WAITS_SECONDS
) -> None:
    """Download a file to `path`, continuing a partial download that is already there.

    A partial download is always kept, unless it is complete and its hash is wrong.

    Args:
        arrived: reports progress.
        waits: seconds between attempts that make no progress.

    Raises:
        RemoteError: the download fails, or its hash is wrong.
        DeviceError: the file cannot be written, or another process is downloading it.
    """
    try:
        with _locked(path.parent), path.open("a+b", buffering=0) as stream:
            partial = _Partial(stream, file)
            _complete(client, partial, arrived, waits)
            intact = partial.is_intact()
        if not intact:
            path.unlink()
    except OSError as error:
        raise DeviceError(f"Cannot write {path}: {error}. What was downloaded is kept.") from error
    if not intact:
        raise RemoteError(f"{file.name} is damaged: its hash is wrong. It was deleted; pull the model again.")


def _complete(client: httpx.Client, partial: _Partial, arrived: Arrived, waits: Sequence[float]) -> None:
    backoff = Backoff(waits)

    def attempt() -> None:
        while partial.size < partial.file.size:
            before = partial.size
            try:
                _receive(client, partial, arrived)
            except (_Interrupted, httpx.TransportError) as error:
                if partial.size == before:
                    reason = explain_failure(error, urlsplit(partial.file.url).hostname or "").reason
                    failure = f"Cannot download {partial.file.name}: {reason}. What was downloaded is kept."
                    raise RetryableError(RemoteCut(failure)) from error
                backoff.reset()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RemoteError(f"Cannot request {partial.file.name}: {error}.") from error

    with_retries(attempt, backoff)


def _receive(client: httpx.Client, partial: _Partial, arrived: Arrived) -> None:
    """Request the missing rest once, and append what arrives."""
    file = partial.file
    headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
    with client.stream("GET", file.url, headers=headers) as response:
        _raise_for_status(response, file)
        known = partial.size - _start_of(response)
        if known < 0:
            raise RemoteError(f"The server sent the wrong range of {file.name}: {response.headers['Content-Range']}.")
        for data in response.iter_bytes():
            fresh = data[known:][: file.size - partial.size]
            known = max(0, known - len(data))
            partial.append(fresh)
            arrived(file, len(fresh))
    if partial.size < file.size:
        raise _Interrupted("the server closed the connection too early")


def _start_of(response: httpx.Response) -> int:
    """Return the offset of a response in the file. The status does not tell: ModelScope sends 200 with ranges."""
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    return int(found[1]) if found else 0


def _raise_for_status(response: httpx.Response, file: RemoteFile) -> None:
    if response.is_success:
        return
    reason = f"{response.url.host} answered {response.status_code} ({response.reason_phrase})"
    if is_retryable(response.status_code):
        raise _Interrupted(reason)
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(f"{file.name} no longer exists: {reason}. Pull the model again.")
    raise RemoteRefused(f"Cannot download {file.name}: {reason}.", response.status_code)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder of downloads against other processes. The lock file is not removed."""
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise DeviceError(f"Another voxcli is downloading to {folder}. Wait for it, or stop it.") from error


@dataclass(frozen=True, slots=True)
class Pull:
    """A checkpoint on a hub, and its folder on this machine."""

    listing: Listing
    repository: Repository

    @property
    def size(self) -> int:
        """Bytes of the whole checkpoint."""
        return sum(file.size for file in self.listing.files)

    @property
    def present(self) -> int:
        """Bytes that are on disk already."""
        return sum(self._present(file) for file in self.listing.files)

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint, once it is complete."""
        return self.repository.snapshot(self.listing.commit)

    def check_room(self) -> None:
        """Raise DeviceError if the missing files do not fit on the disk."""
        missing, free = self.size - self.present, free_bytes(self.repository.folder)
        if missing > free:
            raise DeviceError(
                f"{self.listing.model_id} needs {decimal(missing)} more, but {self.repository.folder.parent} has only "
                f"{decimal(free)} free. Free some space, or store models on a larger disk with HF_HOME or VOXCLI_HOME."
            )

    def run(self, arrived: Arrived, waits: Sequence[float] = WAITS_SECONDS) -> Path:
        """Download what is missing, and return the folder of the checkpoint.

        The revision points to the new checkpoint only when it is complete.

        Raises:
            RemoteError: a download fails or is damaged. Complete and partial files are kept.
            DeviceError: a file cannot be written.
        """
        try:
            self.repository.blobs.mkdir(parents=True, exist_ok=True)
            with open_client(self.listing.headers, self.listing.files[0].url) as client:
                # Small files first: they identify the model if the download is interrupted.
                for file in sorted(self.listing.files, key=lambda file: file.size):
                    if not self._has(file):
                        fetch(client, file, self._partial(file), arrived, waits)
                    if not self._has(file):
                        self._partial(file).replace(self._blob(file))
                    self.repository.link(file.digest, self.listing.commit, file.name)
            self.repository.set_commit(self.listing.revision, self.listing.commit)
        except OSError as error:
            raise DeviceError(
                f"Cannot write to {self.repository.folder}: {error}. What was downloaded is kept."
            ) from error
        return self.folder

    def _blob(self, file: RemoteFile) -> Path:
        return self.repository.blobs / file.digest

    def _partial(self, file: RemoteFile) -> Path:
        return self._blob(file).with_name(file.digest + UNFINISHED)

    def _has(self, file: RemoteFile) -> bool:
        # Where links are not allowed, the snapshot holds the file itself.
        return any(_size_of(path) == file.size for path in (self._blob(file), self.folder / file.name))

    def _present(self, file: RemoteFile) -> int:
        if self._has(file):
            return file.size
        begun = _size_of(self._partial(file)) or 0
        return begun if begun <= file.size else 0


def plan_pull(library: ModelLibrary, name: str, hub: Hub, revision: str | None = None) -> Pull:
    """Ask a hub which files a model needs.

    Args:
        name: a short name or an id, perhaps with "@revision".

    Raises:
        NotFound: there is no such model, or it is not a VoxCPM model.
        RemoteError: the hub cannot be reached, or rejects the request.
    """
    repository = library.repository(name, hub.name)
    model, revision_in_name = split_revision(name)
    known = find_known(model)
    if revision and revision_in_name and revision != revision_in_name:
        raise RequestError(f"Two revisions of {model} are given: {revision_in_name!r} and {revision!r}. Give one.")
    pinned = known.revisions.get(hub.name) if known else None
    wanted = revision or revision_in_name or pinned or hub.main_branch
    if ".." in PurePosixPath(wanted).parts or wanted.startswith("/"):
        raise RequestError(f"Not a valid revision: {wanted!r}.")
    listing = hub.read_listing(known.ids[hub.name] if known else model, wanted)
    exactly = known.files if known else {}
    names, missing = needed_files({file.name for file in listing.files}, exactly)
    where = f"{listing.model_id} on {HUB_TITLES[hub.name]}"
    if missing:
        what = known.name if known and exactly else "a VoxCPM checkpoint"
        raise NotFound(f"{where} is not {what}. Missing: {', '.join(missing)}.")
    if other := [file.name for file in listing.files if file.digest != exactly.get(file.name, file.digest)]:
        raise RemoteError(f"{where} has another {', '.join(other)} than the one that voxcli knows how to run.")
    return Pull(listing.only(names), repository)


def free_bytes(folder: Path) -> int:
    """Return the free space, in bytes, on the disk of a folder that need not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
