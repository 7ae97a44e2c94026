"""Near misses."""

import pytest

from voxcli.errors import did_you_mean


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("mp4", " Did you mean 'mp3'?"), ("OPUSS", " Did you mean 'opus'?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_name_is_suggested(name: str, suggestion: str) -> None:
    assert did_you_mean(name, ["wav", "mp3", "opus"]) == suggestion
