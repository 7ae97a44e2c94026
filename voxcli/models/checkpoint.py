"""Which files make a checkpoint, and whether a folder holds all of them."""

from collections.abc import Collection
from pathlib import Path

from rich.filesize import decimal

from voxcli.errors import ModelError
from voxcli.models.tensor_index import read_index

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CODEC = ("audiovae.safetensors", "audiovae.pth")

_PARTS = ((CONFIG,), WEIGHTS, CODEC, ("tokenizer.json",))
"""Of each part, one file is enough; the first that is there is taken."""

_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json")
"""Other programs that share the files want them."""


def needed_files(names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return which of these files make a checkpoint, and what is missing for one."""
    chosen, missing = [], []
    for part in _PARTS:
        name = next((name for name in part if name in names), None)
        chosen += [name] if name else []
        missing += [] if name else [" or ".join(part)]
    return chosen + [name for name in _EXTRAS if name in names], missing


def missing_parts(folder: Path) -> list[str]:
    """Say what is missing in a folder, or cut short; nothing if the checkpoint is whole."""
    chosen, missing = needed_files({name for part in _PARTS for name in part if (folder / name).is_file()})
    return missing + [trouble for name in chosen if (trouble := _trouble_with(folder / name))]


def _trouble_with(path: Path) -> str | None:
    there = path.stat().st_size
    if not there:
        return f"{path.name} (empty)"
    if path.suffix != ".safetensors":
        return None
    try:
        due = read_index(path).file_size
    except ModelError:
        return f"{path.name} (damaged)"
    return f"{path.name} (cut short: {decimal(there)} of {decimal(due)})" if there < due else None
