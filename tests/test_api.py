"""The Python interface: cheap to import, complete, and the same sound as the command line."""

import ast
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Self

import numpy as np
import pytest

import voxcli
from tests.clips import spoken_wav
from tests.pulse import PulseServer
from voxcli import api
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.synthesis.identity import digest_of_text
from voxcli.synthesis.request import SentenceMark, Speech, SynthesisRequest
from voxcli.synthesis.verification import Integrity, verify
from voxcli.voices.library import VoiceLibrary

HEAVY = ("numpy", "torch", "pydantic", "httpx", "av", "soundfile", "rich", "typer")


def test_importing_it_loads_nothing_heavy() -> None:
    code = f"import sys, voxcli; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", voxcli.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(voxcli, name)
    assert name in dir(voxcli)


def test_the_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(voxcli.__file__).read_text("utf-8"))
    [checking] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        (node.module, alias.name) for node in checking.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name for _, name in seen} | {"__version__"} == set(voxcli.__all__)
    for module, name in seen:
        assert module
        assert getattr(import_module(module), name) is getattr(voxcli, name)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        voxcli.nonsense  # noqa: B018


def test_a_text_is_saved_and_the_suffix_names_the_format(tmp_path: Path) -> None:
    with voxcli.open_engine("espeak") as engine:
        saved = engine.speak("Hello, world.").save(tmp_path / "x.flac")
        samples, rate = engine.speak("Hello, world.").samples()
    assert saved.read_bytes()[:4] == b"fLaC"
    heard = decode(saved.read_bytes())
    assert heard.sample_rate == rate
    assert len(heard.samples) == len(samples)


def test_an_unknown_suffix_is_refused_before_anything_is_generated(tmp_path: Path) -> None:
    with voxcli.open_engine("espeak") as engine, pytest.raises(voxcli.RequestError, match="wav, "):
        engine.speak("Hello").save(tmp_path / "x.doc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["...", "", "  \n"])
def test_a_text_without_words_is_an_error(text: str, tmp_path: Path) -> None:
    with voxcli.open_engine("espeak") as engine, pytest.raises(voxcli.RequestError, match="nothing to say"):
        engine.speak(text).save(tmp_path / "x.wav")


def test_a_text_is_spoken_while_it_is_written() -> None:
    written = []

    def writer() -> Iterator[str]:
        for sentence in ("One is here. ", "Two is here. ", "Three is here."):
            written.append(sentence)
            yield sentence

    with voxcli.open_engine("espeak") as engine:
        chunks = iter(engine.speak(writer()))
        next(chunks)
        assert len(written) < 3
        assert list(chunks)


def test_marks_say_where_each_sentence_lies() -> None:
    with voxcli.open_engine("espeak") as engine:
        pieces = list(engine.speak("One is here. [pause 1s] Two is here.").pieces())
        samples, rate = engine.speak("One is here. [pause 1s] Two is here.").samples()
    ends = [piece for piece in pieces if isinstance(piece, voxcli.SentenceMark) and piece.end is not None]
    assert [mark.text for mark in ends] == ["One is here.", "Two is here."]
    assert ends[0].end is not None
    between = samples[round(ends[0].end * rate) : round(ends[1].start * rate)]
    assert len(between) == rate
    assert not between.any()


def test_it_is_played(pulse: PulseServer, tmp_path: Path) -> None:
    code = "import voxcli\nwith voxcli.open_engine('espeak') as engine: engine.speak('Hello, world.').play()"
    with pulse.recording() as recording:
        subprocess.run([sys.executable, "-c", code], env=pulse.environment, check=True, timeout=60)
    assert recording.sounding_seconds > 0.5


def test_a_voice_of_the_library_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCLI_HOME", str(tmp_path))
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    voice = voxcli.voice_from(tmp_path / "ref.wav", "Its words.")
    voxcli.voice_library().save("anna", voice)
    with voxcli.open_engine("espeak") as engine, pytest.raises(voxcli.RequestError, match="imitate"):
        list(engine.speak("Hello", voice="ANNA"))
    with voxcli.open_engine("espeak") as engine, pytest.raises(voxcli.NotFound):
        list(engine.speak("Hello", voice="nobody-of-that-name"))


def test_the_seed_of_a_speech_repeats_it(checkpoints: Callable[[str], Path]) -> None:
    told: list[voxcli.LoadingProgress] = []
    with voxcli.open_engine(checkpoints("voxcpm-0.5b"), threads=1, dtype="float32", on_loading=told.append) as engine:
        assert (told[0].stage, told[-1].done) == ("starting", told[-1].total)
        first = engine.speak("Yes.", sampling=voxcli.Sampling(steps=1, max_patches=3))
        assert first.seed is not None
        again = engine.speak("Yes.", sampling=voxcli.Sampling(steps=1, max_patches=3, seed=first.seed))
        np.testing.assert_array_equal(first.samples()[0], again.samples()[0])
    with voxcli.open_engine("espeak") as engine:
        assert engine.speak("Yes.").seed is None


def test_what_is_played_waits_for_a_slow_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    asked: list[float] = []

    class Loudspeaker:
        underruns, heard_at = 0, None

        def __init__(self, device: object, start_buffer: Callable[[float], float]) -> None:
            self._start_buffer = start_buffer

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *failure: object) -> None:
            seen.append("end")

        def write(self, chunk: AudioChunk) -> None:
            asked.append(self._start_buffer(0.2))
            seen.append("chunk")

        def mark(self, mark: SentenceMark) -> None: ...

        def idle(self) -> None:
            seen.append("idle")

    class SlowEngine:
        slots, draws_voices = 1, False

        def stream(self, request: SynthesisRequest) -> Speech:
            for _ in range(4):
                time.sleep(0.02)
                yield AudioChunk(np.full(130, 0.5, np.float32), 10_000)  # 13 ms of them

        def close(self) -> None: ...

    def open_speaker(start_buffer: Callable[[float], float], ahead: float, device: object) -> Loudspeaker:
        return Loudspeaker(device, start_buffer)

    monkeypatch.setattr("voxcli.sinks._open_speaker", open_speaker)
    engine = api.SpeechEngine(SlowEngine(), VoiceLibrary(Path("nowhere")))
    engine.speak(["This is the first sentence. ", "And this is the second one."]).play()
    assert max(asked) > 0.2
    assert seen.count("chunk") == 8
    assert seen[-1] == "end"


def test_subtitles_are_saved_beside_the_sound(tmp_path: Path) -> None:
    with voxcli.open_engine("espeak") as engine:
        engine.speak("Hello, world. It works.").save(tmp_path / "x.wav", subtitles=tmp_path / "x.srt")
    assert (tmp_path / "x.wav").stat().st_size > 10_000
    assert (tmp_path / "x.srt").read_text().count(" --> ") == 2


def test_a_file_says_what_made_it_also_where_the_text_arrives_in_pieces(tmp_path: Path) -> None:
    with api.open_engine("espeak") as engine:
        engine.speak(iter(["Hello", " there."]), language="en").save(tmp_path / "x.wav")
        engine.speak("Hello there.", language="en").save(tmp_path / "bare.wav", metadata=False)
    made = verify(tmp_path / "x.wav")
    assert made.is_intact
    assert made.marking.provenance
    assert made.marking.provenance.model.name == "espeak"
    assert made.marking.provenance.text_digest == digest_of_text("Hello there.")
    assert verify(tmp_path / "bare.wav").verdict is Integrity.ONLY_MARKED
