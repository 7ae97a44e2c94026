"""The silence that GPT-SoVITS sends when it has failed."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import RemoteCut, RemoteError
from voxcli.protocols.gptsovits.messages import is_failure, without_failure
from voxcli.synthesis.request import Speech


def sound(samples: Sequence[float] | np.ndarray, rate: int, piece: int, error: Exception | None = None) -> Speech:
    array = np.asarray(samples, np.float32)
    for start in range(0, len(array), piece):
        yield AudioChunk(array[start : start + piece], rate)
    if error:
        raise error


def heard(chunks: Speech) -> list[float]:
    return [float(sample) for chunk in without_failure(chunks) for sample in chunk.samples]


def test_a_second_of_silence_at_16_khz_stands_for_a_failure() -> None:
    assert is_failure(np.zeros(16000, np.float32), 16000)
    assert not is_failure(np.zeros(16000, np.float32), 32000)
    assert not is_failure(np.zeros(15999, np.float32), 16000)
    assert not is_failure(np.full(16000, 0.1, np.float32), 16000)


@given(st.integers(50, 20000))
def test_it_is_never_passed_on_however_it_comes(piece: int) -> None:
    with pytest.raises(RemoteError, match="log"):
        next(without_failure(sound(np.zeros(16000), 16000, piece)))
    with pytest.raises(RemoteError, match="log"):
        next(without_failure(sound(np.zeros(16000), 16000, piece, RemoteCut("Cut."))))


@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.25]), max_size=30),
    st.sampled_from([16000, 32000]),
    st.integers(1, 40),
)
def test_all_other_sound_passes_as_it_is(samples: list[float], rate: int, piece: int) -> None:
    assert heard(sound(samples, rate, piece)) == samples


def test_longer_silence_is_sound() -> None:
    assert len(heard(sound(np.zeros(16001), 16000, 4000))) == 16001
    assert len(heard(sound(np.zeros(16000), 32000, 4000))) == 16000


def test_sound_at_another_rate_does_not_wait() -> None:
    chunks = without_failure(sound(np.zeros(8000), 32000, 10))
    assert len(next(chunks).samples) == 10
    chunks.close()


def test_a_cut_after_the_silence_tells_why() -> None:
    samples = np.concatenate([np.full(100, 0.5), np.zeros(16000)])
    with pytest.raises(RemoteCut, match=r"Cut\. Before"):
        heard(sound(samples, 32000, 700, RemoteCut("Cut.")))
    with pytest.raises(RemoteCut, match=r"^Cut\.$"):
        heard(sound(samples[:-1], 32000, 700, RemoteCut("Cut.")))


def test_closing_it_closes_what_it_reads() -> None:
    inner = sound(np.ones(100), 32000, 10)
    outer = without_failure(inner)
    next(outer)
    outer.close()
    assert inner.gi_frame is None
