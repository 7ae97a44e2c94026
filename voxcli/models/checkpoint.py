"""Files of a checkpoint: which are needed, and whether they are complete.

Only headers are read, and no library is needed. The format: https://github.com/huggingface/safetensors#format.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import ModelError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CODEC = ("audiovae.safetensors", "audiovae.pth")

TOKENIZER = "tokenizer.json"

_PARTS = ((CONFIG,), WEIGHTS, CODEC, (TOKENIZER,))
"""Each part is one file: the first of its names that exists."""

_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json")
"""Not needed by voxcli, but by other programs that share the files."""

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # bytes, the limit of the format


@dataclass(frozen=True, slots=True)
class TensorIndex:
    """Summary of the tensors in a file."""

    numbers: Counter[str]
    """Number of values of each type, such as "BF16"."""
    file_size: int
    """Size in bytes of the complete file."""


def read_index(path: Path) -> TensorIndex:
    """Read the header of a safetensors file.

    Raises:
        ModelError: the header is missing or invalid.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > _LONGEST_HEADER:
                raise ModelError(f"{path} is damaged: it does not begin like a safetensors file. Pull the model again.")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        numbers: Counter[str] = Counter()
        for tensor in header.values():
            numbers[tensor["dtype"]] += math.prod(tensor["shape"])
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        return TensorIndex(numbers, _LENGTH_BYTES + length + end)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path} is damaged: {error}. Pull the model again.") from error


def needed_files(names: Collection[str], exactly: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """Return which of these files belong to a checkpoint, and which parts are missing.

    exactly: the files of a model that is no checkpoint of VoxCPM.
    """
    if exactly:
        return [name for name in exactly if name in names], [name for name in exactly if name not in names]
    chosen, missing = [], []
    for part in _PARTS:
        name = next((name for name in part if name in names), None)
        chosen += [name] if name else []
        missing += [] if name else [" or ".join(part)]
    return chosen + [name for name in _EXTRAS if name in names], missing


def missing_parts(folder: Path, exactly: Collection[str] = ()) -> list[str]:
    """List the missing, incomplete or damaged files of a checkpoint; none if it is complete.

    exactly: as for `needed_files`.
    """
    known = exactly or [name for part in _PARTS for name in part]
    chosen, missing = needed_files({name for name in known if (folder / name).is_file()}, exactly)
    return missing + [problem for name in chosen if (problem := _problem_with(folder / name))]


def _problem_with(path: Path) -> str | None:
    size = path.stat().st_size
    if not size:
        return f"{path.name} (empty)"
    if path.suffix != ".safetensors":
        return None
    try:
        expected = read_index(path).file_size
    except ModelError:
        return f"{path.name} (damaged)"
    return f"{path.name} (incomplete: {size} of {expected} bytes)" if size < expected else None


def find_part(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the first of these files that a checkpoint has.

    Raises:
        ModelError: it has none of them.
    """
    path = next((path for name in names if (path := folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"{folder} has neither {' nor '.join(names)}. Pull the model again.")
    return path


def find_weights(folder: Path) -> tuple[Path, Path]:
    """Return the files of weights of a checkpoint's network and of its codec, wherever links lead to.

    Raises:
        ModelError: one of them is missing.
    """
    return find_part(folder, WEIGHTS).resolve(), find_part(folder, CODEC).resolve()


def describe_weights(folder: Path) -> str:
    """Return the paths, sizes and times of the weights, which change whenever the files do."""
    paths = find_weights(folder)
    return " ".join(f"{path} {(status := path.stat()).st_size} {status.st_mtime_ns}" for path in paths)


_SAMPLES, _SAMPLE_BYTES = 64, 1 << 14


def fingerprint_weights(folder: Path) -> str:
    """Return a digest of the weights by their content, wherever they are: of parts of each file, and its size.

    Training changes every matrix, so some kilobytes from each sixty-fourth of a file tell two models apart.
    """
    return _sampled_digest(find_part(folder, names) for names in (WEIGHTS, CODEC))


def fingerprint_checkpoint(folder: Path) -> str:
    """Return a digest of everything of a checkpoint that speech depends on, of large files as of the weights.

    Raises:
        ModelError: it is not complete.
    """
    network, codec = find_weights(folder)
    return _sampled_digest([network, codec, find_part(folder, (CONFIG,)), find_part(folder, (TOKENIZER,))])


def _sampled_digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            for number in range(_SAMPLES):
                file.seek(size * number // _SAMPLES)
                digest.update(file.read(min(_SAMPLE_BYTES, size // _SAMPLES + 1)))
    return digest.hexdigest()
