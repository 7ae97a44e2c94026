"""An encoded clip is made once, taken again by whoever asks for the same, and never by others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from voxcli.voxcpm.network.sequence import AudioSegment
from voxcli.voxcpm.runtime import prompt_cache as clip_cache
from voxcli.voxcpm.runtime.prompt_cache import ClipCache

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
        cache, encoder = ClipCache(folder, "codec", CPU), Encoder()
        first, again = (cache.encoded(b"clip", encoder) for _ in range(2))
        assert encoder.asked == 1
        assert first is again


def test_the_next_run_finds_it_on_disk_as_it_was(tmp_path: Path) -> None:
    made = ClipCache(tmp_path, "codec", CPU).encoded(b"clip", Encoder())
    found = ClipCache(tmp_path, "codec", CPU).encoded(b"clip", never)
    for one, other in ((found.patches, made.patches), (found.heard, made.heard)):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(("origin", "key"), [("another codec", b"clip"), ("codec", b"another clip")])
def test_what_was_made_otherwise_is_not_taken(tmp_path: Path, origin: str, key: bytes) -> None:
    ClipCache(tmp_path, "codec", CPU).encoded(b"clip", Encoder(1.0))
    assert ClipCache(tmp_path, origin, CPU).encoded(key, Encoder(2.0)).patches.max() == 2


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"x" * len(data)])
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    ClipCache(tmp_path, "codec", CPU).encoded(b"clip", Encoder())
    [path] = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    encoder = Encoder()
    ClipCache(tmp_path, "codec", CPU).encoded(b"clip", encoder)
    assert encoder.asked == 1


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert ClipCache(tmp_path / "file" / "clips", "codec", CPU).encoded(b"clip", Encoder()).patches.max() == 1


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, "codec", CPU)
    for number in range(clip_cache._KEPT_ON_DISK + 5):
        cache.encoded(str(number).encode(), Encoder())
    assert len(list(tmp_path.iterdir())) == clip_cache._KEPT_ON_DISK
    again = Encoder()
    ClipCache(tmp_path, "codec", CPU).encoded(b"204", never)
    ClipCache(tmp_path, "codec", CPU).encoded(b"0", again)
    assert again.asked == 1
