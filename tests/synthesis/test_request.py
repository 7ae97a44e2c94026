"""Requests that make no sense cannot be built."""

import pytest

from voxcli.errors import RequestError
from voxcli.synthesis.request import SynthesisRequest


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="empty"):
        SynthesisRequest(text=text)


@pytest.mark.parametrize("speed", [0.0, 0.24, 4.1, -1.0, float("nan"), float("inf")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(RequestError, match="speed"):
        SynthesisRequest(text="x", speed=speed)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(RequestError, match="Unicode"):
        SynthesisRequest(text="x\ud800")
