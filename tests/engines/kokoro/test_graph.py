"""The graph that is rewritten for the processor: the same numbers, and no other model is touched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.engines.kokoro.small_model import convolution, small_model
from voxcli.engines.kokoro.graph import has_vnni, with_signed_activations


def run(model: bytes, samples: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": samples})[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_convolution_gives_the_same_numbers(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(0, 256, (4, 3, 5), np.uint8)
    samples = random.integers(0, 256, (1, 3, 40), np.uint8)
    model = convolution(weights, zero=int(random.integers(256)), weight_zero=int(random.integers(256)))
    changed = with_signed_activations(model)
    assert b"BitwiseXor" in changed
    np.testing.assert_array_equal(run(changed, samples), run(model, samples))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model[: len(model) // 2],
        lambda model: b"",
        lambda model: b"\xff" * 50,
        lambda model: small_model(),
    ],
)
def test_any_other_file_stays_as_it_is(change: Callable[[bytes], bytes]) -> None:
    model = change(convolution(np.ones((2, 2, 3), np.uint8), zero=1, weight_zero=2))
    assert with_signed_activations(model) == model


def test_signed_weights_keep_unsigned_activations() -> None:
    model = convolution(np.ones((2, 2, 3), np.int8), zero=1, weight_zero=2)
    assert with_signed_activations(model) == model


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_processor_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    for flags, expected in (("sse avx512_vnni", True), ("avx_vnni", True), ("avx2 avx512f", False)):
        file.write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert has_vnni(file) is expected
    assert not has_vnni(tmp_path / "missing")
