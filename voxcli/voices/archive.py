"""A voice as one file to pass on: its folder as a ZIP archive.

The same voice gives the same bytes. An archive from elsewhere is only ever read, never unpacked to the disk.
"""

import stat
import zipfile
import zlib
from io import BytesIO

from voxcli.audio.decode import MAX_BYTES
from voxcli.errors import RequestError
from voxcli.synthesis.request import Voice
from voxcli.voices.description import DESCRIPTION, NO_NOTES, NewerVersion, Notes, from_files, to_files
from voxcli.voices.names import check_name

SUFFIX = ".voxvoice"

_DIRECTORY_BYTES = 1 << 16
"""For a table of contents with three entries. Millions of them would keep us busy."""
_DESCRIPTION_BYTES = 1 << 20
MAX_ARCHIVE_BYTES = 2 * MAX_BYTES + _DESCRIPTION_BYTES + _DIRECTORY_BYTES
"""Of two clips and their description."""

_END, _END_BYTES, _LOCATOR, _LOCATOR_BYTES = b"PK\5\6", 22, b"PK\6\7", 20
"""How a ZIP archive ends, and what stands before that where sizes take 64 bits (APPNOTE.TXT, 4.3.15 and 4.3.16)."""


def pack(name: str, voice: Voice, notes: Notes = NO_NOTES) -> bytes:
    """Return a voice, its name and the notes on it as one file."""
    name = check_name(name)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, data in to_files(voice, notes).items():
            entry = zipfile.ZipInfo(f"{name}/{file}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def unpack(data: bytes, *, label: str = "the file") -> tuple[str, Voice, Notes]:
    """Return the name, the voice and the notes in a file from `pack`.

    Args:
        label: what messages call the file.

    Raises:
        RequestError: it is something else, or damaged, or too large.
    """
    _check_directory(data, label)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _read_archive(archive, label)
    except NewerVersion:
        raise RequestError(f"{label} was written by a newer voxcli. Upgrade this one to use it.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError: it asks for a password, or for a later version of ZIP.
        raise RequestError(f"{label} is damaged ({error}). Ask for it once more.") from error


def _check_directory(data: bytes, label: str) -> None:
    """Look at the end before `zipfile` reads as many entries as it promises."""
    end = data[-_END_BYTES:]
    if not (len(end) == _END_BYTES and end.startswith(_END) and end.endswith(b"\0\0")):
        raise RequestError(f"{label} is no exported voice. Make one with: voxcli voices export NAME")
    before = data[-_END_BYTES - _LOCATOR_BYTES : -_END_BYTES]
    if int.from_bytes(end[12:16], "little") > _DIRECTORY_BYTES or before.startswith(_LOCATOR):
        raise RequestError(f"{label} is no exported voice: it holds far too many files.")


def _read_archive(archive: zipfile.ZipFile, label: str) -> tuple[str, Voice, Notes]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    description = next((name for name in entries if name.endswith(f"/{DESCRIPTION}")), None)
    if description is None:
        raise RequestError(f"{label} is no exported voice: there is no {DESCRIPTION} in it.")
    folder = description.removesuffix(DESCRIPTION)
    name = check_name(folder.removesuffix("/"))
    used = {description}

    def read_clip(file: str) -> bytes:
        used.add(folder + file)
        if folder + file not in entries:
            raise ValueError(f"{file} is missing")
        return _read_entry(archive, entries[folder + file], MAX_BYTES)

    voice, notes = from_files(_read_entry(archive, entries[description], _DESCRIPTION_BYTES), read_clip)
    if set(entries) - used - {folder} or len(entries) < len(archive.infolist()):
        raise RequestError(f"{label} is no exported voice: there is more in it than a voice.")
    return name, voice, notes


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """Read one file, no further than it may go whatever its header says."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ValueError(f"{entry.filename} is a link")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is compressed in a way not read here")
    with archive.open(entry) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RequestError(f"{entry.filename} is larger than the {most / 2**20:g} MiB allowed.")
    return data
