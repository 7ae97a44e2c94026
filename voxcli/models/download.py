"""Bringing a model here: what is to come, whether there is room, and then file by file."""

import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

import httpx
from rich.filesize import decimal

from voxcli.errors import DeviceError, NotFound, RemoteCut, RemoteError, RemoteRefused, RequestError
from voxcli.models.cache import UNFINISHED, Repository
from voxcli.models.catalog import HUB_TITLES, find_known, split_revision
from voxcli.models.checkpoint import needed_files
from voxcli.models.hub import Hub, Listing, RemoteFile
from voxcli.models.library import ModelLibrary

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_log = logging.getLogger(__name__)

Arrived: TypeAlias = Callable[[RemoteFile, int], None]
"""Hears how many more bytes of a file are on disk."""

WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Before each further try, after a try that brought nothing."""

_CONNECT_SECONDS, _READ_SECONDS = 15.0, 30.0
_BUFFER = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-")
_FOR_NOW = {408, 425, 429, 500, 502, 503, 504}
"""Answers that a server may take back a moment later."""


class _TryAgain(Exception):
    """What went wrong may go right the next time."""


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

    def is_true(self) -> bool:
        return self._hash.hexdigest() == self.file.digest

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)


def open_client(headers: Mapping[str, str]) -> httpx.Client:
    """Open what keeps connections between files. The caller closes it."""
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    # Compressed on the way, a file could not be asked for from its middle on.
    return httpx.Client(headers={**headers, "Accept-Encoding": "identity"}, timeout=timeout, follow_redirects=True)


def fetch(
    client: httpx.Client, file: RemoteFile, path: Path, arrived: Arrived, waits: Sequence[float] = WAITS_SECONDS
) -> None:
    """Bring the rest of a file to `path`, where its beginning may lie. What came stays there, whatever happens.

    Raises:
        RemoteError: it does not come, or what came is something else; that is deleted.
        DeviceError: the disk refuses, or somebody else is at it.
    """
    try:
        with _opened_alone(path) as stream:
            partial = _Partial(stream, file)
            _complete(client, partial, arrived, waits)
            whole = partial.is_true()
        if not whole:
            path.unlink()
    except OSError as error:
        raise DeviceError(f"{path} cannot be written: {error}. What has come is kept.") from error
    if not whole:
        raise RemoteError(f"{file.name} arrived damaged: its hash is wrong. It is deleted; pull again.")


def _complete(client: httpx.Client, partial: _Partial, arrived: Arrived, waits: Sequence[float]) -> None:
    left = list(waits)
    while partial.size < partial.file.size:
        before = partial.size
        try:
            _receive(client, partial, arrived)
        except (_TryAgain, httpx.TransportError) as error:
            trouble = str(error) or type(error).__name__
            if partial.size > before:
                left = list(waits)
                continue
            if not left:
                raise RemoteCut(f"{partial.file.name} does not come: {trouble}. What has come is kept.") from error
            _log.warning("%s: %s; trying again in %g s", partial.file.name, trouble, left[0])
            time.sleep(left.pop(0))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(f"{partial.file.name} cannot be asked for: {error}.") from error


def _receive(client: httpx.Client, partial: _Partial, arrived: Arrived) -> None:
    """Ask once for what is still missing, and keep what comes."""
    file = partial.file
    headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
    with client.stream("GET", file.url, headers=headers) as response:
        _refuse_unless_fine(response, file)
        known = partial.size - _start_of(response)
        if known < 0:
            raise RemoteError(f"{file.name} comes from the wrong place on: {response.headers['Content-Range']}.")
        for data in response.iter_bytes():
            fresh = data[known:][: file.size - partial.size]
            known = max(0, known - len(data))
            partial.append(fresh)
            arrived(file, len(fresh))
    if partial.size < file.size:
        raise _TryAgain("the server stopped before the end")


def _start_of(response: httpx.Response) -> int:
    """Say where in the file an answer begins. ModelScope sends a range with status 200, so the status says nothing."""
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    return int(found[1]) if found else 0


def _refuse_unless_fine(response: httpx.Response, file: RemoteFile) -> None:
    if response.is_success:
        return
    trouble = f"{response.url.host} answers {response.status_code} ({response.reason_phrase})"
    if response.status_code in _FOR_NOW:
        raise _TryAgain(trouble)
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(f"{file.name} is not there any more: {trouble}. Pull again.")
    raise RemoteRefused(f"{file.name} is refused: {trouble}.", response.status_code)


@contextmanager
def _opened_alone(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading and appending as long as no other process does, without a buffer to lose."""
    with path.open("a+b", buffering=0) as stream:
        try:
            if sys.platform == "win32":
                stream.seek(0)
                msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DeviceError(f"{path} is being written by another voxcli. Wait for it, or end it.") from error
        yield stream


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
