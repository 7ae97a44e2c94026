"""The library itself: its traps, and that we do not fall into them."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from voxcli.audio.chunk import Samples
from voxcli.engines.espeak.library import NORMAL_RATE, load_espeak
from voxcli.errors import ModelError

ESPEAK = load_espeak()


def spoken(text: str, voice: str = "gmw/en-US", rate: int = NORMAL_RATE) -> Samples:
    made: list[Samples] = []

    def take(samples: Samples) -> bool:
        made.append(samples)
        return True

    ESPEAK.speak(text, voice, rate, take)
    return np.concatenate(made)


def test_it_speaks() -> None:
    samples = spoken("Hello, world.")
    assert samples.dtype == np.float32
    assert 0.8 < len(samples) / ESPEAK.sample_rate < 2
    assert 0.1 < np.abs(samples).max() <= 1


def test_sound_is_there_before_the_text_is_spoken() -> None:
    arrivals: list[int] = []

    def take(samples: Samples) -> bool:
        arrivals.append(len(samples))
        return True

    ESPEAK.speak("One two three four five six seven.", "gmw/en-US", NORMAL_RATE, take)
    assert len(arrivals) > 10
    assert max(arrivals) / ESPEAK.sample_rate < 0.1


def test_a_listener_can_stop_it_and_the_next_one_is_heard_whole() -> None:
    arrivals: list[int] = []

    def take(samples: Samples) -> bool:
        arrivals.append(len(samples))
        return len(arrivals) < 3

    ESPEAK.speak("word " * 1000, "gmw/en-US", NORMAL_RATE, take)
    assert len(arrivals) == 3
    assert len(spoken("Hello.")) > ESPEAK.sample_rate // 4


def test_an_unknown_voice_is_an_error_and_not_the_voice_before() -> None:
    with pytest.raises(ModelError, match="nobody"):
        spoken("Hello.", voice="nobody")


def test_a_zero_byte_does_not_end_the_text() -> None:
    assert len(spoken("one\0two three four")) > 1.5 * len(spoken("one"))


def test_many_threads_at_once_do_not_crash_it() -> None:
    lengths: list[int] = []

    def work() -> None:
        lengths.extend(len(spoken("Hello from a thread.")) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lengths) == 40
    assert max(lengths) < 1.02 * min(lengths)  # it is not exact from call to call


@pytest.mark.parametrize("length", [100, 170, 220])
def test_it_loads_from_paths_of_any_length(tmp_path: Path, length: int) -> None:
    """The library's buffer holds 160 bytes; deep environments have longer paths."""
    package = Path(espeakng_loader.__file__).parent
    folder = tmp_path / ("d" * max(1, length - len(str(tmp_path)) - len("/espeakng_loader/espeak-ng-data") - 1))
    folder.mkdir()
    shutil.copytree(package, folder / "espeakng_loader")
    script = "from voxcli.engines.espeak.library import load_espeak; print(len(load_espeak().voices))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(ESPEAK.voices)


def test_a_text_sounds_the_same_whatever_was_said_before() -> None:
    def said(text: str) -> bytes:
        taken: list[bytes] = []
        ESPEAK.speak(text, "gmw/en", NORMAL_RATE, lambda samples: bool(taken.append(samples.tobytes())) or True)
        return b"".join(taken)

    first = said("Hello, world.")
    assert said("Something else, and longer.") != first
    assert said("Hello, world.") == first


def test_asking_for_phonemes_changes_nothing_of_what_is_spoken() -> None:
    text = "How are you?"
    alone = spoken(text)
    ESPEAK.phonemes("Bonjour, « le weekend » ?", "roa/fr")
    np.testing.assert_array_equal(spoken(text), alone)
    assert [clause.phonemes for clause in ESPEAK.phonemes("Hello, world", "gmw/en-US")] == ["həlˈo^ʊ", "wˈɜːld"]
    with pytest.raises(ModelError, match="nonsense"):
        ESPEAK.phonemes("Hello", "nonsense")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("voice", ["gmw/en-US", "gmw/en-US+f2", "roa/pt-BR"])
def test_a_voice_in_capitals_is_found_without_the_list_that_the_library_does_not_free(
    voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken("Once.", voice)  # from now on, it is loaded anew for each text
    link = ESPEAK._link_to(voice)
    assert link is not None
    assert link == link.lower()
    by_link = spoken("The train leaves at seven.", voice)
    monkeypatch.setattr(ESPEAK, "_link_to", lambda voice: None)
    assert np.array_equal(spoken("The train leaves at seven.", voice), by_link)
