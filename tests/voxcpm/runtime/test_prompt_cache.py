"""An encoded clip is made once, and used again for exactly the same request."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from voxcli.voxcpm.network.sequence import AudioSegment
from voxcli.voxcpm.runtime import prompt_cache
from voxcli.voxcpm.runtime.prompt_cache import PromptCache

CPU = torch.device("cpu")


class Encoder:
    """Counts how often it is asked."""

    def __init__(self, value: float = 1.0, dtype: torch.dtype = torch.bfloat16) -> None:
        self.asked = 0
        self._clip = AudioSegment(torch.full((3, 4, 64), value, dtype=dtype), torch.full((3, 96), -value, dtype=dtype))

    def __call__(self) -> AudioSegment:
        self.asked += 1
        return self._clip


def never() -> AudioSegment:
    raise AssertionError("it was there")


def test_a_clip_is_encoded_once(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "clips"):
        cache, encoder = PromptCache(folder, [b"codec"], CPU), Encoder()
        first, again = (cache.encoded(b"clip", encoder) for _ in range(2))
        assert encoder.asked == 1
        assert first is again


def test_the_next_run_finds_it_on_disk_as_it_was(tmp_path: Path) -> None:
    made = PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", Encoder())
    found = PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", never)
    for one, other in ((found.patches, made.patches), (found.embeddings, made.embeddings)):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("origin", "key"),
    [([b"another codec"], b"clip"), ([b"codec"], b"another clip"), ([b"code", b"c"], b"clip"), ([b"codecc"], b"lip")],
)
def test_what_was_made_otherwise_is_not_taken(tmp_path: Path, origin: list[bytes], key: bytes) -> None:
    PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", Encoder(1.0))
    assert PromptCache(tmp_path, origin, CPU).encoded(key, Encoder(2.0)).patches.max() == 2


def half_zeros(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def one_bit_changed(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def misshapen(data: bytes) -> bytes:
    """A file that was written as ours are, but for something else."""
    tensors = {"patches": torch.ones(2), "embeddings": torch.ones(3, 96)}
    return data[:32] + safetensors.torch.save(tensors)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-9],
        lambda data: b"x" * len(data),
        lambda data: data[32:],
        half_zeros,
        one_bit_changed,
        misshapen,
    ],
)
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", Encoder())
    [path] = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    encoder = Encoder(2.0)
    assert PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", encoder).patches.unique().tolist() == [2]
    assert encoder.asked == 1
    assert PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", never).patches.unique().tolist() == [2]


def test_a_file_under_the_name_of_another_is_not_taken(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, [b"codec"], CPU)
    cache.encoded(b"clip", Encoder(1.0))
    [path] = tmp_path.iterdir()
    cache.encoded(b"other", Encoder(2.0))
    [other] = set(tmp_path.iterdir()) - {path}
    path.replace(other)
    encoder = Encoder(3.0)
    assert PromptCache(tmp_path, [b"codec"], CPU).encoded(b"other", encoder).patches.max() == 3


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_other_users_cannot_read_a_clip(tmp_path: Path) -> None:
    PromptCache(tmp_path, [b"codec"], CPU).encoded(b"clip", Encoder())
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert PromptCache(tmp_path / "file" / "clips", [b"codec"], CPU).encoded(b"clip", Encoder()).patches.max() == 1


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, [b"codec"], CPU)
    for number in range(prompt_cache._KEPT_ON_DISK + 5):
        cache.encoded(str(number).encode(), Encoder())
    assert len(list(tmp_path.iterdir())) == prompt_cache._KEPT_ON_DISK
    again = Encoder()
    PromptCache(tmp_path, [b"codec"], CPU).encoded(b"204", never)
    PromptCache(tmp_path, [b"codec"], CPU).encoded(b"0", again)
    assert again.asked == 1
