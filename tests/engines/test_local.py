"""A VoxCPM model as an engine: what it accepts, what it refuses, and what it repeats."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.resample import resampled_whole
from voxcli.engines import open_engine
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.errors import ModelError, NotFound, RequestError, VoxError
from voxcli.models.library import ModelLibrary
from voxcli.synthesis.request import Clip, Prompt, Sampling, Speech, SynthesisRequest, Voice

SHORT = Sampling(steps=2, seed=7, min_patches=2, max_patches=3)


@pytest.fixture(scope="module")
def engines(checkpoints: Callable[[str], Path]) -> Iterator[Callable[[str], LocalEngine]]:
    opened: dict[str, LocalEngine] = {}

    def engine(family: str) -> LocalEngine:
        if family not in opened:
            made = open_engine(str(checkpoints(family)), settings=LocalSettings(dtype="float32", threads=1))
            assert isinstance(made, LocalEngine)
            opened[family] = made
        return opened[family]

    yield engine
    for made in opened.values():
        made.close()


def clip(seconds: float = 0.7, rate: int = 24000, seed: int = 1, *, format: AudioFormat = AudioFormat.WAV) -> Clip:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)).astype(np.float32)
    return Clip(b"".join(encoded(iter([AudioChunk(samples, rate)]), format)), f"clip.{format}")


def joined(speech: Speech) -> np.ndarray:
    with closing(speech) as chunks:
        return np.concatenate([chunk.samples for chunk in chunks])


def spoken(engine: LocalEngine, text: str = "你好 hello", **details: object) -> np.ndarray:
    return joined(engine.stream(SynthesisRequest(text=text, **({"sampling": SHORT} | details))))  # type: ignore[arg-type]


def test_it_speaks_at_the_rate_of_its_model(engines: Callable[[str], LocalEngine]) -> None:
    for family, rate in (("voxcpm-0.5b", 16000), ("voxcpm-1.5", 44100), ("voxcpm-2", 48000)):
        engine = engines(family)
        with closing(engine.stream(SynthesisRequest(text="你好", sampling=SHORT))) as chunks:
            assert next(chunks).sample_rate == engine.sample_rate == rate


@pytest.mark.parametrize(
    ("family", "details", "words"),
    [
        ("voxcpm-1.5", {"voice": Voice(reference=clip())}, "VoxCPM2 needs none"),
        ("voxcpm-1.5", {"language": "fr"}, "does not speak 'fr'"),
        ("voxcpm-2", {"language": "tlh"}, "does not speak 'tlh'"),
        ("voxcpm-2", {"voice": Voice(name="anna")}, "no voice 'anna'"),
        ("voxcpm-2", {"voice": Voice(reference=Clip(b"", "x.wav"))}, "x.wav is empty"),
        ("voxcpm-2", {"voice": Voice(reference=Clip(b"text", "x.wav"))}, "x.wav cannot be read"),
        ("voxcpm-2", {"voice": Voice(reference=clip(301, 8000))}, "longer than"),
    ],
)
def test_what_it_cannot_do_it_refuses_before_any_sound(
    engines: Callable[[str], LocalEngine], family: str, details: dict[str, object], words: str
) -> None:
    with pytest.raises(VoxError, match=words):
        spoken(engines(family), **details)


def test_a_language_of_its_own_is_fine(engines: Callable[[str], LocalEngine]) -> None:
    assert len(spoken(engines("voxcpm-1.5"), language="zh-CN"))
    assert len(spoken(engines("voxcpm-2"), language="fr"))


def test_a_style_is_read_in_parentheses(engines: Callable[[str], LocalEngine]) -> None:
    engine = engines("voxcpm-2")
    np.testing.assert_array_equal(spoken(engine, "Hello", voice=Voice(style="old")), spoken(engine, "(old)Hello"))


def test_a_prompt_speaks_for_every_model(engines: Callable[[str], LocalEngine]) -> None:
    for family in ("voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2"):
        prompted = spoken(engines(family), voice=Voice(prompt=Prompt(clip(), "是的")))
        assert np.abs(prompted - spoken(engines(family))).max() > 0.01


def test_a_clip_is_the_same_in_any_lossless_file(engines: Callable[[str], LocalEngine]) -> None:
    one, other = (Voice(reference=clip(format=format)) for format in (AudioFormat.WAV, AudioFormat.FLAC))
    engine = engines("voxcpm-2")
    np.testing.assert_array_equal(spoken(engine, voice=one), spoken(engine, voice=other))


def test_noise_is_taken_out_of_the_clip_only_if_asked(engines: Callable[[str], LocalEngine]) -> None:
    engine, voice = engines("voxcpm-2"), Voice(reference=clip(2))
    assert np.abs(spoken(engine, voice=voice, denoise=True) - spoken(engine, voice=voice)).max() > 1e-3


def test_numbers_are_spelled_out_only_if_asked(engines: Callable[[str], LocalEngine]) -> None:
    engine = engines("voxcpm-1.5")
    np.testing.assert_array_equal(spoken(engine, "有3个", normalize=True), spoken(engine, "有三个"))
    assert np.abs(spoken(engine, "有3个") - spoken(engine, "有三个")).max() > 0.01


def test_twice_as_fast_is_half_as_long(engines: Callable[[str], LocalEngine]) -> None:
    sampling = Sampling(steps=2, seed=7, min_patches=9, max_patches=10)
    slow, fast = (spoken(engines("voxcpm-1.5"), sampling=sampling, speed=speed) for speed in (1.0, 2.0))
    assert len(fast) == pytest.approx(len(slow) / 2, rel=0.05)


def test_without_a_seed_no_two_are_alike(engines: Callable[[str], LocalEngine]) -> None:
    sampling = Sampling(steps=2, min_patches=2, max_patches=3)
    assert np.abs(spoken(engines("voxcpm-1.5"), sampling=sampling) - spoken(engines("voxcpm-1.5"))).max() > 0.01


def test_a_whole_clip_is_resampled_as_a_stream_is() -> None:
    chunk = AudioChunk(np.random.default_rng(1).normal(0, 0.1, 12345).astype(np.float32), 22050)
    assert resampled_whole(chunk, 22050) is chunk
    for rate in (8000, 16000, 44100, 48000):
        assert len(resampled_whole(chunk, rate).samples) == -(-12345 * rate // 22050)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (LocalSettings(device="tpu"), RequestError, "no device 'tpu'"),
        (LocalSettings(device="cpu:1"), RequestError, "no device 'cpu:1'"),
        (LocalSettings(dtype="int4"), RequestError, "no dtype 'int4'"),
        (LocalSettings(quantize="int3"), RequestError, "int3"),
        (LocalSettings(lora=Path("nowhere")), ModelError, "nowhere"),
    ],
)
def test_impossible_settings_are_refused(
    checkpoints: Callable[[str], Path], settings: LocalSettings, error: type[VoxError], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_engine(str(checkpoints("voxcpm-1.5")), settings=settings)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no VoxCPM model"):
        open_engine(str(tmp_path))
    with pytest.raises(NotFound, match="no model 'nonsense'"):
        open_engine("nonsense")


def test_a_drawn_seed_can_be_used_again(engines: Callable[[str], LocalEngine]) -> None:
    engine = engines("voxcpm-1.5")
    seeds = [engine.draw_seed() for _ in range(8)]
    assert len(set(seeds)) == 8
    sampling = Sampling(steps=2, seed=seeds[0], min_patches=2, max_patches=3)
    np.testing.assert_array_equal(spoken(engine, sampling=sampling), spoken(engine, sampling=sampling))


def test_a_clip_for_another_config_is_encoded_again(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    """Not even a field that the weights do not show, such as a rate, may be missed."""
    folder, clips = shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model"), tmp_path / "clips"
    config = folder / "config.json"
    for number in (1, 2):
        with closing(LocalEngine(folder, LocalSettings(dtype="float32", threads=1, clips=clips))) as engine:
            spoken(engine, voice=Voice(prompt=Prompt(clip(), "words")))
        assert len(list(clips.iterdir())) == number
        config.write_text(json.dumps({**json.loads(config.read_text("utf-8")), "note": "another"}), "utf-8")


def test_a_clip_of_another_version_is_encoded_again(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, version in ((1, "1.0"), (2, "1.1")):
        monkeypatch.setattr("voxcli.engines.local.__version__", version)
        settings = LocalSettings(dtype="float32", threads=1, clips=tmp_path)
        with closing(LocalEngine(checkpoints("voxcpm-1.5"), settings)) as engine:
            spoken(engine, voice=Voice(prompt=Prompt(clip(), "words")))
        assert len(list(tmp_path.iterdir())) == number


def test_the_next_run_need_not_encode_a_clip_again(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    voice = Voice(prompt=Prompt(clip(), "words"))
    sounds, files = [], set()
    for _ in range(2):
        settings = LocalSettings(dtype="float32", threads=1, clips=tmp_path)
        with closing(LocalEngine(checkpoints("voxcpm-1.5"), settings)) as engine:
            sounds.append(spoken(engine, voice=voice))
        files |= {path.stat().st_ino for path in tmp_path.iterdir()}
    assert len(files) == 1
    np.testing.assert_array_equal(*sounds)


def test_messages_name_an_installed_model_as_the_user_does(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    snapshots = tmp_path / "hub" / "models--openbmb--VoxCPM1.5" / "snapshots"
    shutil.copytree(checkpoints("voxcpm-1.5"), snapshots / "0123456789abcdef0123456789abcdef01234567")
    models = ModelLibrary(tmp_path / "hub", tmp_path / "models")
    for name in ("voxcpm-1.5", None):
        with closing(open_engine(name, models=models, settings=LocalSettings(threads=1))) as engine:
            request = SynthesisRequest(text="hi", voice=Voice(reference=clip()))
            with pytest.raises(RequestError, match=r"^voxcpm-1\.5 needs the transcript"):
                next(engine.stream(request))
