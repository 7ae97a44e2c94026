from collections.abc import Callable

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sound import from_int16
from voxcli.audio.chunk import Samples, amplified
from voxcli.audio.pcm import to_alaw, to_int16, to_mulaw


@given(st.lists(st.integers(-32768, 32767)))
def test_sixteen_bits_survive_the_way_through_floats(values: list[int]) -> None:
    data = np.array(values, "<i2").tobytes()
    assert to_int16(from_int16(data)) == data


def test_every_sixteen_bit_value_survives() -> None:
    data = np.arange(-32768, 32768).astype("<i2").tobytes()
    assert to_int16(from_int16(data)) == data


@given(st.lists(st.floats(width=32)))
def test_any_floats_become_sixteen_bits_without_a_warning(values: list[float]) -> None:
    assert len(to_int16(np.array(values, np.float32))) == 2 * len(values)


def test_what_is_beyond_full_scale_is_clipped_and_what_is_no_number_is_silent() -> None:
    samples = np.array([2, -2, np.inf, -np.inf, np.nan, 1, -1], np.float32)
    values = np.frombuffer(to_int16(samples), "<i2").tolist()
    assert values == [32767, -32768, 32767, -32768, 0, 32767, -32768]


def test_rounding_is_to_the_nearest_step() -> None:
    samples = np.array([0.4, 0.6, -0.4, -0.6], np.float32) / np.float32(32768)
    assert np.frombuffer(to_int16(samples), "<i2").tolist() == [0, 1, 0, -1]


def test_a_gain_scales_and_clips() -> None:
    louder = amplified(np.array([0.25, -0.75], np.float32), 2.0)
    assert louder.tolist() == [0.5, -1.0]
    assert louder.dtype == np.float32


@pytest.mark.parametrize("gain", [-1.0, float("nan"), float("inf")])
def test_a_gain_that_is_none_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="a gain is"):
        amplified(np.zeros(1, np.float32), gain)


@pytest.mark.parametrize(("encode", "codec"), [(to_mulaw, "pcm_mulaw"), (to_alaw, "pcm_alaw")])
def test_telephone_codes_are_those_that_decoders_know(encode: Callable[[Samples], bytes], codec: str) -> None:
    every = np.arange(-32768, 32768).astype(np.float32) / 32768
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    frames = decoder.decode(av.Packet(encode(every)))
    back = np.concatenate([frame.to_ndarray().ravel() for frame in frames]) / 32768
    assert len(back) == len(every)
    # A segment has 16 steps, and is half as long as the next one.
    assert np.all(np.abs(back - every) <= (np.abs(every) + 256 / 32768) / 30)
    assert len(set(encode(every))) > 250
