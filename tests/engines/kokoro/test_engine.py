"""Kokoro as an engine, with its real model: who reads what, and what is heard."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.loudness import loudness
from voxcli.audio.pcm import concatenated
from voxcli.engines import open_engine
from voxcli.engines.kokoro.engine import KokoroEngine, kokoro_language
from voxcli.engines.kokoro.model import SAMPLE_RATE, trimmed
from voxcli.engines.settings import LocalSettings
from voxcli.errors import ModelError, NotFound, RequestError
from voxcli.installation import install_command
from voxcli.models.kokoro import KokoroSource, load_kokoro
from voxcli.synthesis.request import Clip, Prompt, SynthesisRequest, Voice

NOTHING = KokoroSource((Path("/nowhere"),), "")
"""A model that cannot be loaded: what is spoken without it, hibari or eSpeak NG speaks."""


@pytest.fixture(scope="module")
def kokoro(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KokoroEngine]:
    with closing(KokoroEngine(load_kokoro(None), cache=tmp_path_factory.mktemp("cache"), threads=1)) as engine:
        yield engine


@pytest.fixture(scope="module")
def small() -> Iterator[KokoroEngine]:
    with closing(KokoroEngine(NOTHING)) as engine:
        yield engine


def chunks(engine: KokoroEngine, text: str, name: str | None = None, **details: object) -> list[Samples]:
    request = SynthesisRequest(text=text, voice=Voice(name=name), **details)  # type: ignore[arg-type]
    with closing(engine.stream(request)) as stream:
        made = list(stream)
    assert {chunk.sample_rate for chunk in made} <= {SAMPLE_RATE}
    return [chunk.samples for chunk in made]


def spoken(engine: KokoroEngine, text: str, name: str | None = None, **details: object) -> Samples:
    return np.concatenate(chunks(engine, text, name, **details))


def quiet(samples: Samples) -> tuple[float, float]:
    """Return the seconds of quiet at the beginning and at the end."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 30)
    return loud[0] / SAMPLE_RATE, (len(samples) - loud[-1]) / SAMPLE_RATE


@pytest.fixture(scope="module")
def hello(kokoro: KokoroEngine) -> Samples:
    return spoken(kokoro, "你好。")


def test_it_speaks_chinese_without_quiet_around_it(hello: Samples) -> None:
    assert hello.dtype == np.float32
    assert 0.4 < len(hello) / SAMPLE_RATE < 1.5
    assert 0.1 < np.abs(hello).max() <= 1
    before, after = quiet(hello)
    assert before < 0.15
    assert 0.2 < after < 0.5


def test_both_models_are_equally_loud(kokoro: KokoroEngine, hello: Samples) -> None:
    chinese = loudness(AudioChunk(hello, SAMPLE_RATE))
    english = concatenated(list(kokoro.stream(SynthesisRequest(text="Hello, how are you?"))))
    assert loudness(english) == pytest.approx(chinese, abs=3)


def test_two_streams_at_once_are_as_alone_and_voices_differ(kokoro: KokoroEngine, hello: Samples) -> None:
    with ThreadPoolExecutor(2) as pool:
        same, man = pool.map(lambda name: spoken(kokoro, "你好。", name), ("zf_xiaobei", "ZM_Yunjian"))
    np.testing.assert_array_equal(same, hello)
    assert len(man) != len(hello) or np.abs(man - hello).max() > 0.01


def test_a_voice_tells_its_language_and_a_name_all_of_them(small: KokoroEngine) -> None:
    assert small.languages_of("zf_xiaobei") == ("zh",)
    assert {"zh", "en-us", "fr"} <= set(small.languages_of("alloy"))


def test_an_unknown_voice_is_refused_with_one_that_is_near(small: KokoroEngine) -> None:
    with pytest.raises(NotFound, match=r"'zf_xiaoxao'\..*Did you mean 'zf_xiaoxiao'"):
        spoken(small, "你好", "zf_xiaoxao")


def test_a_stream_that_is_closed_makes_no_further_piece(kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    model = kokoro._model.value
    speak = model.speak

    def counted(phonemes: str, *rest: object) -> Samples:
        made.append(phonemes)
        return speak(phonemes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "speak", counted)
    stream = kokoro.stream(SynthesisRequest(text="今天天气非常好，我们去公园。你去吗？"))
    next(stream)
    stream.close()
    assert len(made) == 1


def test_what_it_cannot_read_is_in_the_same_stream_with_one_warning(
    kokoro: KokoroEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        parts = chunks(kokoro, "你好。Привет. Пока.")
    assert len(parts) > 2
    assert [record.getMessage() for record in caplog.records] == ["Kokoro cannot read 'Привет.': eSpeak NG does."]


def test_english_alone_is_spoken_by_the_small_model(small: KokoroEngine) -> None:
    samples = spoken(small, "Hello, world.")
    np.testing.assert_array_equal(spoken(small, "Hello, world.", language="en"), samples)
    before, after = quiet(samples)
    assert before < 0.15
    assert 0.2 < after < 0.5
    assert spoken(small, "It costs $3.50 — 25% off!").any()


@pytest.mark.parametrize("text", ["word " * 300, "a" * 1000, "x, " * 200, "(“Well” — said he…)"])
def test_long_and_odd_english_is_spoken_whole(small: KokoroEngine, text: str) -> None:
    assert len(spoken(small, text)) > 0.03 * len(text.replace(" ", "")) * SAMPLE_RATE / 4


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("你好", {}),
        ("Hello", {"name": "af_heart"}),
        ("Hello", {"language": "en-gb"}),
        ("Hello", {"text_language": "zh"}),
        ("Il y a des élèves dans la rue.", {}),
        ("Bonjour", {"language": "fr"}),
        ("नमस्ते", {}),
        ("həˈloʊ", {}),
    ],
)
def test_all_else_needs_the_large_model(small: KokoroEngine, text: str, details: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        spoken(small, text, **details)


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("Guten Tag", {"language": "de"}),
        ("こんにちは", {}),
        ("東京", {"text_language": "ja"}),
        ("早晨", {"language": "yue"}),
        ("Das ist nicht der Weg, den ich auch mit dir ging.", {}),
        ("😀", {}),
        ("兙", {}),
        ("ㄅㄆ", {}),
    ],
)
def test_espeak_reads_what_kokoro_does_not(small: KokoroEngine, text: str, details: dict[str, str]) -> None:
    assert np.abs(spoken(small, text, **details)).max() > 0.01


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
def test_speed(small: KokoroEngine, speed: float) -> None:
    usual, changed = (len(spoken(small, "The weather is fine today.", speed=each)) for each in (1.0, speed))
    assert usual / changed == pytest.approx(speed, rel=0.2)


def test_what_cannot_be_done_is_refused(small: KokoroEngine) -> None:
    clip = Clip(b"")
    for voice in (Voice(reference=clip), Voice(prompt=Prompt(clip, "Hello"))):
        with pytest.raises(RequestError, match="cannot imitate a voice"):
            next(small.stream(SynthesisRequest(text="Hello", voice=voice)))
    with pytest.raises(NotFound, match="does not speak 'qqq'"):
        spoken(small, "Hello", language="qqq")
    with pytest.raises(RequestError, match="cannot be fine-tuned"):
        open_engine("kokoro", settings=LocalSettings(lora=Path("lora")))


def test_a_closed_engine_says_so() -> None:
    engine = KokoroEngine(NOTHING)
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        spoken(engine, "Hello")


def test_threads_wait_for_one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    class Slow:
        def __init__(self) -> None:
            loads.append(threading.get_ident())
            raise ModelError("damaged")

    monkeypatch.setattr("voxcli.engines.kokoro.engine.SmallEnglish", Slow)
    with closing(KokoroEngine(NOTHING)) as engine:
        for _ in range(2):
            with pytest.raises(ModelError, match="damaged"):
                spoken(engine, "Hello")
    assert len(loads) == 2, "a failure is not remembered"


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("Chinese", "zh"),
        ("cmn", "zh"),
        ("yue", None),
        ("zh-HK", None),
        ("en", "en-us"),
        ("en_GB", "en-gb"),
        ("en-AU", "en-gb"),
        ("pt", "pt-br"),
        ("pt-PT", "pt-br"),
        ("français", "fr"),
        ("es-MX", "es"),
        ("de", None),
        ("nonsense", None),
    ],
)
def test_names_of_languages(name: str, language: str | None) -> None:
    assert kokoro_language(name) == language


def test_trimming_leaves_silence_alone_and_makes_a_pause() -> None:
    assert len(trimmed(np.zeros(5000, np.float32), 0.3)) == 0
    assert len(trimmed(np.zeros(0, np.float32), 0.3)) == 0
    burst = np.r_[np.zeros(12_000), np.ones(2400), np.zeros(2400)].astype(np.float32)
    assert len(trimmed(burst, 0.3)) == round((0.03 + 0.1 + 0.3) * SAMPLE_RATE)


WITHOUT = """
import sys
sys.modules["wetext"] = None  # which only --normalize needs
from voxcli.engines import open_engine
from voxcli.errors import VoxError
for missing in ("onnxruntime", "pypinyin", "hibari"):
    for name in [name for name in sys.modules if name.startswith("voxcli.engines.kokoro")]:
        del sys.modules[name]
    kept, sys.modules[missing] = sys.modules.pop(missing, None), None
    try:
        open_engine("kokoro")
    except VoxError as error:
        print(type(error).__name__, error.for_command_line)
    del sys.modules[missing]
    if kept:
        sys.modules[missing] = kept
from voxcli.synthesis.request import SynthesisRequest
print(sum(len(chunk.samples) for chunk in open_engine("kokoro").stream(SynthesisRequest(text="It costs 3/4."))))
"""


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # where they are hidden
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *lines, samples = done.stdout.splitlines()
    assert int(samples) > SAMPLE_RATE
    for missing, line in zip(("onnxruntime", "pypinyin", "hibari"), lines, strict=True):
        assert missing in line
    assert all(line.startswith("NotFound") and install_command("voices") in line for line in lines)
