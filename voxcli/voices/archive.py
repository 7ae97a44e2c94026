"""Voice archives: the folder of a voice as one ZIP file, for export and import.

The same voice gives the same bytes. Archives are read in memory and never extracted to disk.
"""

import stat
import zipfile
import zlib
from io import BytesIO

from voxcli.audio.format import MAX_BYTES
from voxcli.errors import RequestError
from voxcli.synthesis.request import Voice
from voxcli.voices.description import DESCRIPTION, NO_NOTES, NewerVersion, Notes, check_name, from_files, to_files

SUFFIX = ".voxvoice"

_DIRECTORY_BYTES = 1 << 16
"""Limit of the central directory, which holds three entries."""
_DESCRIPTION_BYTES = 1 << 20
MAX_ARCHIVE_BYTES = 2 * MAX_BYTES + _DESCRIPTION_BYTES + _DIRECTORY_BYTES
"""Two clips and their description."""

_END, _END_BYTES, _LOCATOR, _LOCATOR_BYTES = b"PK\5\6", 22, b"PK\6\7", 20
"""Records at the end of a ZIP archive, the second one of ZIP64 only (APPNOTE.TXT, 4.3.15 and 4.3.16)."""


def pack(name: str, voice: Voice, notes: Notes = NO_NOTES) -> bytes:
    """Return a voice, its name and its notes as one file."""
    name = check_name(name)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, data in to_files(voice, notes).items():
            entry = zipfile.ZipInfo(f"{name}/{file}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # always Unix, for the same bytes on every system
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def unpack(data: bytes, *, label: str = "the file") -> tuple[str, Voice, Notes]:
    """Return the name, the voice and the notes in a file from `pack`.

    Args:
        label: name of the file in messages.

    Raises:
        RequestError: the file is not an exported voice, is damaged, or is too large.
    """
    _check_directory(data, label)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _read_archive(archive, label)
    except NewerVersion:
        raise RequestError(f"{label} was exported by a newer version of voxcli. Upgrade voxcli to import it.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError: it is encrypted, or needs a later version of ZIP.
        raise RequestError(f"{label} is damaged ({error}). Export or download it again.") from error


def _check_directory(data: bytes, label: str) -> None:
    """Check the size of the central directory before `zipfile` reads all of it."""
    end = data[-_END_BYTES:]
    if not (len(end) == _END_BYTES and end.startswith(_END) and end.endswith(b"\0\0")):
        raise RequestError(
            f"{label} is not an exported voice.", on_command_line="Export one with: voxcli voices export NAME"
        )
    before = data[-_END_BYTES - _LOCATOR_BYTES : -_END_BYTES]
    if int.from_bytes(end[12:16], "little") > _DIRECTORY_BYTES or before.startswith(_LOCATOR):
        raise RequestError(f"{label} is not an exported voice: it contains too many files.")


def _read_archive(archive: zipfile.ZipFile, label: str) -> tuple[str, Voice, Notes]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    description = next((name for name in entries if name.endswith(f"/{DESCRIPTION}")), None)
    if description is None:
        raise RequestError(f"{label} is not an exported voice: it contains no {DESCRIPTION}.")
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
        raise RequestError(f"{label} is not an exported voice: it contains other files.")
    return name, voice, notes


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """Read one file, up to a limit that does not depend on the size in its header."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ValueError(f"{entry.filename} is a symbolic link")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} uses an unsupported compression method")
    with archive.open(entry) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise RequestError(f"{entry.filename} is larger than the limit of {most / 2**20:g} MiB.")
    return data
