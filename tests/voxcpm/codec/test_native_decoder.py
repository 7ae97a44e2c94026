"""The compiled decoder computes what its layers compute with torch, bit for bit the same however sound is cut."""

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding, ir
from torch import Tensor

from tests.voxcpm.codec.test_audio_vae import V1, V2, new_codec, noise, random_weights
from voxcli.voxcpm.codec import native_decoder
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.codec.layers import Layer, new_histories
from voxcli.voxcpm.kernels.cpu.compiler import compile_module
from voxcli.voxcpm.kernels.cpu.elementary import snake, tanh
from voxcli.voxcpm.kernels.cpu.factors import NarrowHalfFactors, choose_format
from voxcli.voxcpm.kernels.cpu.ir import F32, I64, POINTER, Code
from voxcli.voxcpm.kernels.cpu.targets import choose_target, find_target
from voxcli.voxcpm.kernels.factor_formats import BYTES, HALF, HALF_AND_BYTES, PAIRED, WIDE, FactorFormat
from voxcli.voxcpm.network.config import CodecConfig

TARGET = find_target()
FLOAT16 = {"+avx512fp16", "+fullfp16"}
NEEDED = {HALF: FLOAT16, HALF_AND_BYTES: FLOAT16, PAIRED: {"+avx512bf16"}, WIDE: {"+avx2", "+neon"}}
SUPPORTED = [factors for factors, any_of in NEEDED.items() if TARGET and any_of & set(TARGET.features.split(","))]

pytestmark = pytest.mark.skipif(choose_format(TARGET) is None, reason="the decoder is not compiled on this processor")

WIDEST = replace(V1, latent_dim=40, decoder_dim=192, decoder_rates=(5, 4))
"""Several blocks of channels, some of them filled up, and rows for tiles of all heights."""
CONFIGS = {"v1": V1, "v2": V2, "v2, unconditioned": replace(V2, rate_boundaries=None), "wide": WIDEST}
ERRORS = {HALF: 4e-3, HALF_AND_BYTES: 4e-3, PAIRED: 2e-2, WIDE: 3e-6}
"""Of the sound, relative to its size. float16 has 11 bits, of activations and sums, and bfloat16 8, of activations."""


@pytest.fixture(params=SUPPORTED, ids=lambda factors: factors.name)
def factors(request: pytest.FixtureRequest) -> FactorFormat:
    found: FactorFormat = request.param
    return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compiled(config: CodecConfig, factors: FactorFormat, kept: Path | None = None) -> AudioVAE:
    with torch.device("meta"):
        codec = AudioVAE(config)
    codec.load_state_dict(random_weights(config), strict=True, assign=True)
    codec.prepare(torch.bfloat16, factors)
    codec.compile(kept)
    return codec.requires_grad_(False)


def twin(codec: AudioVAE, latents: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return what the layers compute with torch, and their histories."""
    histories = new_histories(codec.decoder, len(latents), torch.device("cpu"))
    sound: Tensor = codec.decoder(latents.transpose(1, 2), iter(histories))
    return sound.squeeze(2), histories


def decoded(codec: AudioVAE, latents: Tensor, cuts: tuple[int, ...] = ()) -> tuple[Tensor, DecoderState]:
    state = codec.new_decoder_state(len(latents))
    pieces = latents.tensor_split(cuts, dim=2)
    return torch.cat([codec.decode(piece, state) for piece in pieces if piece.size(2)], dim=1), state


@pytest.mark.parametrize("name", CONFIGS)
def test_it_computes_what_the_layers_compute(name: str, factors: FactorFormat) -> None:
    config = CONFIGS[name]
    codec = compiled(config, factors)
    latents = noise(2, config.latent_dim, 7)
    sound, state = decoded(codec, latents)
    expected, histories = twin(codec, latents)
    assert (sound - expected).norm() < ERRORS[factors] * expected.norm()
    for history, other in zip(state.histories, histories, strict=True):
        stored = history[:, :, : other.size(2)]
        assert (stored - other).norm() <= ERRORS[factors] * other.norm()
        assert not history[:, :, other.size(2) :].any()


def test_it_is_nearer_to_float32_than_bfloat16_products_are(factors: FactorFormat) -> None:
    latents = noise(1, WIDEST.latent_dim, 8)
    exact, rounded = (decoded(new_codec(WIDEST, dtype), latents)[0] for dtype in (torch.float32, torch.bfloat16))
    sound, _ = decoded(compiled(WIDEST, factors), latents)
    assert (sound - exact).norm() < (rounded - exact).norm()


@given(cuts=st.sets(st.integers(1, 9), max_size=4), name=st.sampled_from(sorted(CONFIGS)))
@settings(max_examples=10, deadline=None)
def test_pieces_give_the_bits_of_the_whole(cuts: set[int], name: str) -> None:
    config = CONFIGS[name]
    codec = compiled(config, SUPPORTED[0])
    latents = noise(1, config.latent_dim, 10)
    sound, state = decoded(codec, latents)
    other, other_state = decoded(codec, latents, tuple(sorted(cuts)))
    assert torch.equal(sound, other)
    assert all(map(torch.equal, state.histories, other_state.histories))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_number_of_threads_changes_no_bit(count: int, factors: FactorFormat) -> None:
    codec = compiled(WIDEST, factors)
    latents = noise(1, WIDEST.latent_dim, 6)
    with threads(1):
        expected, _ = decoded(codec, latents, (1,))
    with threads(count):
        assert torch.equal(decoded(codec, latents, (1,))[0], expected)


def test_a_batch_gives_the_bits_of_each_stream_alone(factors: FactorFormat) -> None:
    codec = compiled(WIDEST, factors)
    latents = noise(3, WIDEST.latent_dim, 5)
    together, _ = decoded(codec, latents)
    assert torch.equal(together, torch.cat([decoded(codec, row.unsqueeze(0))[0] for row in latents]))


def test_activations_beyond_float16_stay_finite(factors: FactorFormat) -> None:
    codec = compiled(WIDEST, factors)
    assert decoded(codec, noise(1, WIDEST.latent_dim, 5) * 1e6)[0].isfinite().all()


@pytest.mark.parametrize("factors_of_weight", [HALF, BYTES, PAIRED, WIDE], ids=lambda factors: factors.name)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_packed_weight_is_the_rounded_one(factors_of_weight: FactorFormat, scale: float) -> None:
    weight = noise(64, 96) * scale
    rounded, scales = factors_of_weight.round(weight)
    unpacked = factors_of_weight.unpack(factors_of_weight.pack(rounded)) * scales.unsqueeze(1)
    steps = 1 / 127 if factors_of_weight is BYTES else 2**-8
    assert ((unpacked - weight).abs() <= steps * weight.abs().amax(1, keepdim=True) + scale * 1e-5).all()
    assert torch.equal(rounded, factors_of_weight.round(unpacked)[0])


def test_only_the_first_raise_of_the_rate_is_in_int8_when_weights_are_quantized() -> None:
    codec = AudioVAE(V1)
    codec.load_state_dict(random_weights(V1))
    codec.requires_grad_(False).prepare(torch.bfloat16, HALF_AND_BYTES)
    parts = {name: part.tensors() for name, part in codec.decoder.named_modules() if isinstance(part, Layer)}
    dtypes = {name: tensors["_product.blocks"].dtype for name, tensors in parts.items() if "_product.blocks" in tensors}
    assert [name for name, dtype in dtypes.items() if dtype == torch.int8] == ["model.2.block.1"]
    assert set(dtypes.values()) == {torch.int8, torch.float16}


@pytest.mark.skipif(not TARGET or "+avx512f" not in TARGET.features, reason="needs AVX-512")
def test_a_processor_with_avx2_computes_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = noise(1, WIDEST.latent_dim, 5)
    expected, _ = decoded(compiled(WIDEST, WIDE), latents)
    has = {name for name, there in binding.get_host_cpu_features().items() if there}
    without = {name for name in has if name.startswith(("avx512", "avxvnni", "amx", "avx10"))}
    features = ",".join([*(f"+{name}" for name in has - without), *(f"-{name}" for name in without)])
    narrow = choose_target("haswell", features, has - without)
    assert choose_format(narrow) is WIDE
    monkeypatch.setattr(native_decoder, "find_target", lambda: narrow)
    codec = compiled(WIDEST, WIDE, tmp_path)
    assert list(tmp_path.iterdir()), "it has not been compiled for this processor"
    assert torch.equal(decoded(codec, latents)[0], expected)


@pytest.mark.skipif(HALF not in SUPPORTED, reason="needs products in float16")
def test_tiles_for_narrower_registers_compute_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = noise(1, WIDEST.latent_dim, 5)
    expected, _ = decoded(compiled(WIDEST, HALF_AND_BYTES), latents)
    monkeypatch.setattr(native_decoder, "_modules", {})
    monkeypatch.setattr(native_decoder, "factors_for", lambda form, target: NarrowHalfFactors())
    found, _ = decoded(compiled(WIDEST, HALF_AND_BYTES, tmp_path), latents)
    assert list(tmp_path.iterdir())
    assert torch.equal(found, expected)


def test_a_codec_with_dense_convolutions_stays_with_torch() -> None:
    dense = replace(V1, depthwise=False)
    codec = compiled(dense, SUPPORTED[0])
    latents = noise(1, dense.latent_dim, 5)
    torch.testing.assert_close(decoded(codec, latents)[0], twin(codec, latents)[0], rtol=0, atol=0)


def elementwise(name: str, x: Tensor) -> Tensor:
    """Apply a function that is written for vectors."""

    def write(module: ir.Module) -> None:
        code = Code(module, "apply", [POINTER, I64], exact=True, exported=True)
        values = code.array(code.arguments[0], F32)
        vector = ir.VectorType(F32, 16)
        functions: dict[str, Any] = {
            "snake": lambda value: snake(value, code.constant(vector, 1), code.constant(vector, 1)),
            "tanh": tanh,
        }
        with code.loop(0, code.arguments[1], 16) as index:
            values.store(functions[name](values.load(vector, index)), index)
        code.finish()

    assert TARGET
    module = compile_module(TARGET, f"elementwise {name}", write)
    result = x.clone()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(module.address("apply"))
    function(result.data_ptr(), len(result))
    return result


def test_a_snake_is_that_of_float64_for_all_arguments() -> None:
    x = torch.cat([torch.linspace(-400, 400, 40_000), torch.linspace(-4, 4, 4_000), torch.zeros(16)])
    expected = x.double() + x.double().sin().square()
    assert (elementwise("snake", x).double() - expected).abs().div(expected.abs() + 1).max() < 4e-7


def test_a_hyperbolic_tangent_is_that_of_float64_for_all_arguments() -> None:
    x = torch.cat([torch.linspace(-20, 20, 40_000), torch.tensor([math.inf, -math.inf] * 8)])
    assert (elementwise("tanh", x).double() - x.double().tanh()).abs().max() < 2e-7
