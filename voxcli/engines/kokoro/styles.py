"""Style vectors of the voices of Kokoro, which `styles.bin` holds.

A style is 510 vectors of 256 numbers: the model is given the vector that belongs to the number of phonemes. NOTICE,
beside this file, says where the numbers come from; `tests/benchmarks/rebuild_kokoro_styles.py` writes the file again.

Neighbouring vectors hardly differ. A style is therefore stored as float16, number after number as its place in the
order of all float16, and as the difference to the vector before; low bytes, then high bytes, compressed by zlib.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voxcli.errors import ModelError
from voxcli.files import write_atomically

Floats: TypeAlias = npt.NDArray[np.float32]

STYLES = Path(__file__).with_name("styles.bin")
VECTORS, WIDTH = 510, 256

_LENGTH_BYTES = 4
_SIGN = 0x8000


@dataclass(frozen=True, slots=True)
class Styles(Mapping[str, Floats]):
    """Style vectors by the name of a voice, (510, 256) each; read from the file when they are asked for."""

    path: Path
    places: Mapping[str, tuple[int, int]]
    """Of each voice in the file: where it begins, and its length."""
    _read: dict[str, Floats] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Floats:
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def _load(self, name: str) -> Floats:
        offset, length = self.places[name]
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return decode_style(file.read(length))
        except (OSError, ValueError, zlib.error) as error:
            raise _damaged(self.path, error) from error


def load_styles(path: Path = STYLES) -> Styles:
    """Read what the file holds; the vectors themselves are read when a voice is asked for.

    Raises:
        ModelError: the file is missing or damaged. Reading a voice may raise it as well.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            lengths = json.loads(file.read(length))
        offset, places = _LENGTH_BYTES + length, {}
        for name, size in lengths.items():
            places[str(name)] = (offset, int(size))
            offset += size
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    return Styles(path, places)


def write_styles(path: Path, styles: Mapping[str, Floats]) -> None:
    """Write the vectors of the voices, rounded to float16, in the format that `load_styles` reads."""
    encoded = {name: encode_style(style) for name, style in styles.items()}
    header = json.dumps({name: len(data) for name, data in encoded.items()}).encode()
    write_atomically(path, b"".join([len(header).to_bytes(_LENGTH_BYTES, "little"), header, *encoded.values()]))


def encode_style(style: Floats) -> bytes:
    """Compress vectors, (510, 256), rounded to float16."""
    bits = style.astype("<f2").view("<u2")
    order = np.where(bits & _SIGN, ~bits, bits | _SIGN)  # grows with the value
    steps = np.diff(order, axis=0, prepend=np.zeros((1, WIDTH), "<u2")).view("<i2")
    folded = ((steps << 1) ^ (steps >> 15)).astype("<u2")  # 0, -1, 1, -2 … are 0, 1, 2, 3 …
    return zlib.compress(folded.T.reshape(-1, 1).view(np.uint8).T.tobytes(), level=9)


def decode_style(data: bytes) -> Floats:
    """Return vectors, (510, 256), from what `encode_style` has written.

    Raises:
        zlib.error: the data is damaged.
        ValueError: it has another length.
    """
    planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, WIDTH * VECTORS)
    folded = np.ascontiguousarray(planes.T).view("<u2").reshape(WIDTH, VECTORS).T
    steps = (folded >> 1) ^ (0 - (folded & 1))
    order = np.cumsum(steps, axis=0, dtype=np.uint16)
    bits = np.where(order & _SIGN, order ^ _SIGN, ~order)
    return np.ascontiguousarray(bits).view(np.float16).astype(np.float32)


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path} is damaged or missing ({error}). Reinstall voxcli.")
