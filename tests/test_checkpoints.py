"""Random checkpoints: identical on every machine, because the recordings in tests/parity depend on them."""

import hashlib
from pathlib import Path

import pytest

from tests.checkpoints import FAMILIES, write_checkpoint, write_lora

DIGESTS = {
    "voxcpm-0.5b": "386de7c4ddfc66ed",
    "voxcpm-1.5": "1b3b6db69814c389",
    "voxcpm-2": "5bf808a18a402b17",
}
"""Of the tensors of seed 1, from the time of the recordings."""


def digest_of(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_weights_on_every_machine(family: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, family, 1, codec="safetensors")
    write_lora(tmp_path, tmp_path, 1)
    names = ("model.safetensors", "audiovae.safetensors", "lora_weights.safetensors", "tokenizer.json")
    assert digest_of(*(tmp_path / name for name in names)) == DIGESTS[family]


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_checkpoint(tmp_path / str(seed), "voxcpm-2", seed)
    assert digest_of(tmp_path / "1/model.safetensors") != digest_of(tmp_path / "2/model.safetensors")
