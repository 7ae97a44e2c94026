"""Cache of speech: the same samples with it as without, whatever happens to its files."""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clips import spoken_wav
from tests.server.tone import ToneEngine
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.pcm import concatenated
from voxcli.errors import ModelError
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Clip, Prompt, Sampling, SentenceMark, SynthesisRequest, Voice
from voxcli.synthesis.speech_cache import SUFFIX, SpeechCache
from voxcli.text.parts import read_text

TONE = ModelIdentity(name="tone")
TEXTS = ("Hello.", "Hello. Hello. [pause 0.3s] And now something else.", "One. Two. Three.")


class DrawingEngine(ToneEngine):
    """Draws a voice where none is named, as VoxCPM does."""

    draws_voices = True


def spoken(
    engine: ToneEngine, text: str, cache: SpeechCache | None = None, delivery: Delivery | None = None
) -> tuple[bytes, list[SentenceMark]]:
    parts = read_text([text], markdown=False, split=True)
    with closing(synthesize(engine, parts, delivery or Delivery(), through=cache and cache.stream)) as stream:
        pieces = [*stream]
    chunks = [piece for piece in pieces if isinstance(piece, AudioChunk)]
    return concatenated(chunks).samples.tobytes(), [piece for piece in pieces if isinstance(piece, SentenceMark)]


@settings(max_examples=25)
@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4),
    speed=st.sampled_from([1.0, 1.5]),
    volume=st.sampled_from([1.0, 0.5]),
    gap=st.sampled_from([None, 0.2]),
    draws=st.booleans(),
)
def test_the_sound_is_the_same_with_it_as_without(
    tmp_path_factory: pytest.TempPathFactory,
    texts: Sequence[str],
    speed: float,
    volume: float,
    gap: float | None,
    draws: bool,
) -> None:
    engine = (DrawingEngine if draws else ToneEngine)(chunks=2, chunk_seconds=0.02)
    delivery = Delivery(sampling=Sampling(seed=1), speed=speed, volume=volume, gap_seconds=gap)
    cache = SpeechCache(tmp_path_factory.mktemp("cache"), TONE)
    for text in texts:
        assert spoken(engine, text, cache, delivery) == spoken(engine, text, None, delivery)


def test_what_was_made_before_costs_the_engine_nothing(tmp_path: Path) -> None:
    engine = ToneEngine()
    spoken(engine, TEXTS[1], SpeechCache(tmp_path, TONE))
    before = len(engine.requests)
    again = SpeechCache(tmp_path, TONE)
    spoken(engine, TEXTS[1], again)
    assert len(engine.requests) == before
    assert (again.found, again.made) == (3, 0)


def test_whatever_the_sound_depends_on_is_told_apart(tmp_path: Path) -> None:
    engine, clip = ToneEngine(chunks=1), Clip(spoken_wav())
    plain = SynthesisRequest(text="Hello.")
    others: dict[str, list[object]] = {
        "text": ["Hallo."],
        "voice": [Voice(name="a"), Voice(style="old"), Voice(reference=clip), Voice(prompt=Prompt(clip, "x"))],
        "sampling": [Sampling(seed=1), Sampling(steps=4), Sampling(guidance=1.0), Sampling(max_patches=9)],
        "language": ["en"],
        "text_language": ["en"],
        "speed": [2.0],
        "normalize": [True],
        "denoise": [True],
    }
    assert {field.name for field in fields(SynthesisRequest)} == others.keys()
    requests = [plain, *(replace(plain, **{name: value}) for name, values in others.items() for value in values)]
    for _ in range(2):
        cache = SpeechCache(tmp_path, TONE)
        for request in requests:
            [*cache.stream(engine, request)]
    assert len(engine.requests) == len(requests)
    [*SpeechCache(tmp_path, ModelIdentity(name="other")).stream(engine, plain)]
    assert len(engine.requests) == len(requests) + 1


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    engine = ToneEngine()
    good = spoken(engine, "Hello.", SpeechCache(tmp_path, TONE))
    [path] = tmp_path.glob(f"*{SUFFIX}")
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {"cut": data[:-8], "changed": data[:middle] + b"?" + data[middle + 1 :], "empty": b"", "other": b"x" * 99}[
            damage
        ]
    )
    assert spoken(engine, "Hello.", SpeechCache(tmp_path, TONE)) == good
    assert len(engine.requests) == 2
    assert path.read_bytes() == data


def test_speech_that_failed_or_was_left_is_not_kept(tmp_path: Path) -> None:
    failing = ToneEngine(fail_at=3)
    with pytest.raises(ModelError):
        spoken(failing, "Hello.", SpeechCache(tmp_path, TONE))
    engine = ToneEngine()
    speech = SpeechCache(tmp_path, TONE).stream(engine, SynthesisRequest(text="Hello."))
    next(speech)
    speech.close()
    assert engine.running == 0
    assert list(tmp_path.iterdir()) == []


def test_threads_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    engine = ToneEngine(hold_at=1)
    cache = SpeechCache(tmp_path, TONE)
    sounds: list[bytes] = []
    threads = [threading.Thread(target=lambda: sounds.append(spoken(engine, "Hello.", cache)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    engine.go.set()
    for thread in threads:
        thread.join()
    assert len(engine.requests) == 1
    assert len({*sounds}) == 1
    assert len(sounds) == 4


def test_a_thread_that_waits_for_another_can_be_stopped(tmp_path: Path) -> None:
    engine = ToneEngine(hold_at=1)

    def stop() -> None:
        raise KeyboardInterrupt

    first = SpeechCache(tmp_path, TONE, check=stop)
    speech = first.stream(engine, SynthesisRequest(text="Hello."))
    next(speech)
    with pytest.raises(KeyboardInterrupt):
        next(first.stream(engine, SynthesisRequest(text="Hello.")))
    speech.close()


def test_it_is_bounded_by_size_and_age(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=1, chunk_seconds=1.0)
    cache = SpeechCache(tmp_path, TONE, most_bytes=200_000)
    for number in range(6):
        [*cache.stream(engine, SynthesisRequest(text=f"Number {number}."))]
        for path in tmp_path.iterdir():
            os.utime(path, (time.time() - 60, time.time() - 60))
    cache.close()
    assert len(list(tmp_path.iterdir())) == 3
    old = time.time() - 31 * 86400
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    [*cache.stream(engine, SynthesisRequest(text="New."))]
    cache.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    engine = ToneEngine()
    cache = SpeechCache(tmp_path / "file" / "cache", TONE)
    assert spoken(engine, "Hello.", cache) == spoken(engine, "Hello.")


def test_the_samples_are_exact(tmp_path: Path) -> None:
    engine = ToneEngine()
    request = SynthesisRequest(text="Hello.")
    cache = SpeechCache(tmp_path, TONE)
    first, second = (concatenated([*cache.stream(engine, request)]) for _ in range(2))
    assert first.samples.dtype == second.samples.dtype == np.float32
    np.testing.assert_array_equal(first.samples, second.samples)
