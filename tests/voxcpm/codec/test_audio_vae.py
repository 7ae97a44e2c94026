"""The codec gives what the same network written plainly gives, however its sound and frames are cut."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from voxcli.errors import ModelError
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState, fold_weight_norm
from voxcli.voxcpm.network.config import CodecConfig

torch.set_num_threads(1)  # what is this small is not worth sharing

V1 = CodecConfig(
    encoder_dim=4,
    encoder_rates=(2, 3),
    latent_dim=6,
    decoder_dim=16,
    decoder_rates=(3, 2),
    depthwise=True,
    input_rate=16000,
    output_rate=16000,
    rate_boundaries=None,
    v2=False,
)
V2 = replace(V1, decoder_rates=(3, 2, 2), output_rate=48000, rate_boundaries=(20000, 30000, 40000), v2=True)
CONFIGS = {
    "v1": V1,
    "v1, dense": replace(V1, depthwise=False),
    "v2": V2,
    "v2, unconditioned": replace(V2, rate_boundaries=None),
}

Weights = Mapping[str, Tensor]


def random_weights(config: CodecConfig) -> dict[str, Tensor]:
    """Draw weights that keep the size of what goes through them."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in AudioVAE(config).state_dict().items()}
    generator = torch.Generator().manual_seed(5)

    def drawn(name: str, shape: torch.Size) -> Tensor:
        values = torch.randn(shape, generator=generator)
        if name.endswith("alpha"):
            return values.abs() + 0.2
        if "embed" in name:
            return 1 + values / 4
        return values / 8 if values.ndim == 1 else values / math.sqrt(2 * values[0].numel())

    return {name: drawn(name, shape) for name, shape in shapes.items()}


def new_codec(config: CodecConfig, matmul_dtype: torch.dtype = torch.float32) -> AudioVAE:
    with torch.device("meta"):
        codec = AudioVAE(config)
    codec.load_state_dict(random_weights(config), strict=True, assign=True)
    codec.prepare(matmul_dtype)
    return codec


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> CodecConfig:
    return CONFIGS[request.param]


@pytest.fixture
def codec(config: CodecConfig) -> AudioVAE:
    return new_codec(config)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(shape[-1]))


def decoded(codec: AudioVAE, latents: Tensor) -> Tensor:
    return codec.decode(latents, codec.new_decoder_state(len(latents)))


def assert_same(heard: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(heard, expected, atol=1e-5, rtol=0)


class Plain:
    """The same network on whole sounds, with torch's own operations and the names of a checkpoint.

    Channels stand before time.
    """

    def __init__(self, weights: Weights, config: CodecConfig) -> None:
        self.weights, self.config = weights, config

    def conv(self, name: str, x: Tensor, pad: int, **options: int) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.conv1d(functional.pad(x, (pad, 0)), weight, bias, **options)

    def snake(self, name: str, x: Tensor) -> Tensor:
        alpha = self.weights[f"{name}.alpha"]
        return x + (alpha * x).sin() ** 2 / (alpha + 1e-9)

    def units(self, name: str, first: int, x: Tensor) -> Tensor:
        groups = x.size(1) if self.config.depthwise else 1
        for number, dilation in enumerate((1, 3, 9)):
            unit = f"{name}.{first + number}.block"
            y = self.conv(f"{unit}.1", self.snake(f"{unit}.0", x), 6 * dilation, dilation=dilation, groups=groups)
            x = x + self.conv(f"{unit}.3", self.snake(f"{unit}.2", y), 0)
        return x

    def encode(self, samples: Tensor) -> Tensor:
        x = self.conv("encoder.block.0", samples.unsqueeze(1), 6)
        for number, rate in enumerate(self.config.encoder_rates, 1):
            block = f"encoder.block.{number}.block"
            x = self.snake(f"{block}.3", self.units(block, 0, x))
            late = rate % 2 if not self.config.v2 else 0
            x = self.conv(f"{block}.4", x, rate + late, stride=rate)
        return self.conv("encoder.fc_mu", x, 2)

    def decode(self, latents: Tensor) -> Tensor:
        place = 1
        if self.config.depthwise:
            x = self.conv("decoder.model.0", latents, 6, groups=latents.size(1))
            x = self.conv("decoder.model.1", x, 0)
            place = 2
        else:
            x = self.conv("decoder.model.0", latents, 6)
        for rate in self.config.decoder_rates:
            x = self.block(place, rate, x)
            place += 1
        return self.conv(f"decoder.model.{place + 1}", self.snake(f"decoder.model.{place}", x), 6).tanh().squeeze(1)

    def block(self, place: int, rate: int, x: Tensor) -> Tensor:
        if self.config.rate_boundaries:
            bucket = int(torch.bucketize(self.config.output_rate, torch.tensor(self.config.rate_boundaries)))
            condition = f"decoder.sr_cond_model.{place}"
            scale, bias = (self.weights[f"{condition}.{leaf}_embed.weight"][bucket] for leaf in ("scale", "bias"))
            x = x * scale[:, None] + bias[:, None]
        block = f"decoder.model.{place}.block"
        weight, bias = self.weights[f"{block}.1.weight"], self.weights[f"{block}.1.bias"]
        y = functional.conv_transpose1d(self.snake(f"{block}.0", x), weight, bias, stride=rate)
        return self.units(block, 2, y[..., : x.size(2) * rate])


def test_frames_become_the_samples_of_the_plain_network(config: CodecConfig, codec: AudioVAE) -> None:
    latents = noise(2, config.latent_dim, 9)
    samples = decoded(codec, latents)
    assert samples.shape == (2, 9 * config.output_hop)
    assert_same(samples, Plain(random_weights(config), config).decode(latents))


def test_samples_become_the_frames_of_the_plain_network(config: CodecConfig, codec: AudioVAE) -> None:
    samples = noise(2, 9 * config.input_hop)
    latents = codec.encode(samples)
    assert latents.shape == (2, config.latent_dim, 9)
    assert_same(latents, Plain(random_weights(config), config).encode(samples))


def test_a_long_clip_is_encoded_in_blocks_as_if_at_once(config: CodecConfig, codec: AudioVAE) -> None:
    samples = noise(1, 90 * config.input_hop)
    assert_same(codec.encode(samples), Plain(random_weights(config), config).encode(samples))


def test_a_gpu_encodes_pieces_of_one_size_with_the_same_result(
    config: CodecConfig, codec: AudioVAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop, sizes = config.input_hop, set()
    clips = [torch.randn(1, count * hop - 3) for count in (1, 24, 25, 26, 61)]
    expected = [codec.encode(clip) for clip in clips]
    codec.encoder.register_forward_pre_hook(lambda encoder, given: sizes.add(tuple(given[0].shape)))
    monkeypatch.setattr(AudioVAE, "_is_gpu", True)
    for clip, frames in zip(clips, expected, strict=True):
        found = codec.encode(clip)
        assert found.shape == frames.shape
        assert torch.allclose(found, frames, atol=1e-5)
    assert sizes == {(1, 25 * hop, 1)}


def test_the_last_frame_is_filled_up_with_silence(config: CodecConfig, codec: AudioVAE) -> None:
    samples = noise(1, 3 * config.input_hop + 1)
    filled = functional.pad(samples, (0, config.input_hop - 1))
    assert torch.equal(codec.encode(samples), codec.encode(filled))


@pytest.mark.parametrize("name", ["v1", "v2"])
@settings(deadline=None, max_examples=20)
@given(pieces=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_frames_decoded_in_pieces_are_one_sound(name: str, pieces: list[int]) -> None:
    codec = new_codec(CONFIGS[name])
    latents, state = noise(1, codec.config.latent_dim, sum(pieces)), codec.new_decoder_state(1)
    joined = torch.cat([codec.decode(piece, state) for piece in torch.split(latents, pieces, 2)], 1)
    assert_same(joined, decoded(codec, latents))


def test_two_streams_in_turn_do_not_hear_each_other(codec: AudioVAE) -> None:
    both = noise(2, codec.config.latent_dim, 8)
    states = [codec.new_decoder_state(1), codec.new_decoder_state(1)]
    pieces: list[list[Tensor]] = [[], []]
    for start in range(0, 8, 2):
        for row, state in enumerate(states):
            pieces[row].append(codec.decode(both[row : row + 1, :, start : start + 2], state))
    for row, heard in enumerate(pieces):
        assert_same(torch.cat(heard, 1), decoded(codec, both[row : row + 1]))


def test_a_row_of_a_batch_sounds_as_if_alone(codec: AudioVAE) -> None:
    latents = noise(3, codec.config.latent_dim, 4)
    assert_same(decoded(codec, latents)[1:2], decoded(codec, latents[1:2]))


def test_one_row_of_a_state_can_go_ahead_of_the_others(codec: AudioVAE) -> None:
    before, latents = noise(1, codec.config.latent_dim, 3), noise(2, codec.config.latent_dim, 4)
    state = codec.new_decoder_state(2)
    codec.decode(before, DecoderState(tuple(history[1:] for history in state.histories)))
    heard = codec.decode(latents, state)
    assert_same(heard[:1], decoded(codec, latents[:1]))
    assert_same(heard[1:], decoded(codec, torch.cat((before, latents[1:]), 2))[:, 3 * codec.config.output_hop :])


def test_sound_is_float32_whatever_the_latents_are(codec: AudioVAE) -> None:
    assert decoded(codec, noise(1, codec.config.latent_dim, 2).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_bfloat16_factors_add_little_noise(name: str) -> None:
    config = CONFIGS[name]
    latents = noise(1, config.latent_dim, 50)
    exact, coarse = (decoded(new_codec(config, dtype), latents) for dtype in (torch.float32, torch.bfloat16))
    noise_to_sound = (coarse - exact).pow(2).mean() / exact.pow(2).mean()
    assert 0 < noise_to_sound < 1e-3


@pytest.mark.parametrize("conv", [nn.Conv1d(6, 4, 3), nn.ConvTranspose1d(6, 4, 3)])
def test_folded_weights_are_what_weight_norm_computes(conv: nn.Conv1d | nn.ConvTranspose1d) -> None:
    normed = parametrizations.weight_norm(conv)
    state = normed.state_dict()
    length, direction = (state[f"parametrizations.weight.original{number}"] * 3 for number in (0, 1))
    folded = fold_weight_norm({"a.weight_g": length, "a.weight_v": direction, "a.bias": state["bias"]})
    assert folded.keys() == {"a.weight", "a.bias"}
    torch.testing.assert_close(folded["a.weight"], 3 * normed.weight.detach())


def test_a_direction_without_a_length_is_damage() -> None:
    with pytest.raises(ModelError, match=r"a\.weight_v"):
        fold_weight_norm({"a.weight_v": torch.ones(2, 2, 2)})
