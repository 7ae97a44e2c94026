"""Anchors of named voices: drawn once, kept, the same again, and never of an attempt that failed."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.synthesis.request import Prompt
from voxcli.voices import anchors
from voxcli.voices.anchors import Anchors, draw
from voxcli.voices.named import ANCHOR_TEXTS, NAMED_VOICES, anchor_language, find_named

ALLOY, ECHO = NAMED_VOICES["alloy"], NAMED_VOICES["echo"]
Attempt = tuple[AudioChunk, bool]
PRELUDE = """
import sys, time
from pathlib import Path
import numpy as np
from voxcli.audio.chunk import AudioChunk
from voxcli.voices.anchors import Anchors
from voxcli.voices.named import NAMED_VOICES

def speak(seed):
    print("drawing", flush=True)
    sys.stdin.readline()
    noise = np.random.default_rng(seed).normal(0, 0.1, 48000).astype(np.float32)
    return AudioChunk(noise, 16000), True

prompt = Anchors(Path(sys.argv[1]), lambda: b"model").find(NAMED_VOICES["alloy"], "en", speak)
print(prompt.clip.data[44:76].hex(), flush=True)
"""


def noise(seed: int, seconds: float = 3.0, level: float = 0.1) -> AudioChunk:
    return AudioChunk(np.random.default_rng(seed).normal(0, level, round(seconds * 16000)).astype(np.float32), 16000)


class Speaker:
    """Speaks noise, and remembers the seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __call__(self, seed: int) -> Attempt:
        self.seeds.append(seed)
        return noise(seed), True


def find(folder: Path | None, speak: Callable[[int], Attempt], origin: bytes = b"model") -> Prompt:
    return Anchors(folder, lambda: origin).find(ALLOY, "en", speak)


def kept(folder: Path) -> Path:
    [path] = folder.rglob("*.voxvoice")
    return path


def test_a_voice_is_drawn_once_and_found_by_every_later_run(tmp_path: Path) -> None:
    speaker = Speaker()
    anchors = Anchors(tmp_path, lambda: b"model")
    first = anchors.find(ALLOY, "en", speaker)
    assert anchors.find(ALLOY, "en", speaker) is first
    assert find(tmp_path, speaker) == first
    assert speaker.seeds == [ALLOY.seed]
    assert first.transcript == ANCHOR_TEXTS["en"]
    assert decode(first.clip.data).seconds == pytest.approx(3.0)


def test_a_deleted_cache_is_drawn_again_byte_for_byte(tmp_path: Path) -> None:
    first = find(tmp_path, Speaker())
    path = kept(tmp_path)
    before = path.read_bytes()
    path.unlink()
    assert find(tmp_path, Speaker()) == first
    assert path.read_bytes() == before
    assert find(None, Speaker()) == first


@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "another text", "a folder's worth of noise"])
def test_a_damaged_anchor_is_drawn_anew(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find(tmp_path, Speaker())
    path = kept(tmp_path)
    good = path.read_bytes()
    bit = bytearray(good)
    bit[len(good) // 2] ^= 1
    if damage == "another text":
        with monkeypatch.context() as changed:
            changed.setitem(ANCHOR_TEXTS, "en", "Other words.")
            path.unlink()
            find(tmp_path, Speaker())
    else:
        path.write_bytes({"empty": b"", "half": good[: len(good) // 2], "one bit": bytes(bit)}.get(damage, b"x" * 999))
    speaker = Speaker()
    assert find(tmp_path, speaker) == whole
    assert speaker.seeds == [ALLOY.seed]
    assert path.read_bytes() == good


def test_each_name_model_and_language_has_an_anchor_of_its_own(tmp_path: Path) -> None:
    anchors = Anchors(tmp_path, lambda: b"model")
    clips = {anchors.find(voice, "en", Speaker()).clip.data for voice in NAMED_VOICES.values()}
    assert len(clips) == len(NAMED_VOICES)
    anchors.find(ALLOY, "zh", Speaker())
    find(tmp_path, Speaker(), b"another model")
    assert len(list(tmp_path.rglob("*.voxvoice"))) == len(NAMED_VOICES) + 2


def test_the_seeds_of_the_voices_never_change() -> None:
    """They are what the voices are. No two may draw from the same seed, even after failed attempts."""
    seeds = {voice.name: voice.seed for voice in NAMED_VOICES.values()}
    assert (seeds["default"], seeds["alloy"], seeds["verse"], seeds["cedar"]) == (20251, 20351, 21351, 21551)
    ordered = sorted(seeds.values())
    assert min(b - a for a, b in itertools.pairwise(ordered)) >= anchors._ATTEMPTS


BAD: dict[str, Callable[[int], Attempt]] = {
    "silent": lambda seed: (noise(seed, level=0.0), True),
    "too short": lambda seed: (noise(seed, 1.0), True),
    "too long": lambda seed: (noise(seed, 16.0), True),
    "without an end": lambda seed: (noise(seed), False),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_failed_attempt_is_followed_by_the_next_seed(kind: str) -> None:
    good = noise(0)
    sound = draw(lambda seed: BAD[kind](seed) if seed == ALLOY.seed else (good, True), ALLOY)
    np.testing.assert_array_equal(sound.samples, good.samples)


def test_when_all_fail_the_first_that_is_not_silent_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    attempts = [BAD["silent"](1), BAD["too short"](2), BAD["too short"](3)]
    sound = draw(lambda seed: attempts[seed - ALLOY.seed], ALLOY)
    np.testing.assert_array_equal(sound.samples, attempts[1][0].samples)
    assert "alloy may sound poor" in caplog.text


def test_silence_around_the_words_is_cut_off() -> None:
    silence = np.zeros(16000 * 3, np.float32)
    long = AudioChunk(np.concatenate([silence, noise(1).samples, silence]), 16000)
    assert draw(lambda seed: (long, True), ALLOY).seconds < 4


def test_it_is_drawn_again_in_each_run_where_nothing_can_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert find(tmp_path / "file", Speaker()) == find(None, Speaker())
    assert "cannot be kept" in caplog.text


def test_threads_that_want_it_at_once_wait_for_one_drawing() -> None:
    go, speaker, found = threading.Event(), Speaker(), list[Prompt]()
    anchors = Anchors(None, lambda: b"model")

    def speak(seed: int) -> Attempt:
        go.wait()
        return speaker(seed)

    threads = [threading.Thread(target=lambda: found.append(anchors.find(ALLOY, "en", speak))) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(speaker.seeds) == 1
    assert all(prompt is found[0] for prompt in found)


def running(folder: Path, count: int) -> Iterable["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", PRELUDE, str(folder)]
    return [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(count)
    ]


def test_two_processes_at_once_have_the_same_voice_drawn_by_one(tmp_path: Path) -> None:
    processes = running(tmp_path, 2)
    for process in processes:  # both before either is waited for: it is not known which one draws
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert sorted(map(len, said)) == [1, 2]
    assert said[0][-1] == said[1][-1]
    assert kept(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_drawing_leaves_nothing_behind_that_would_be_used(tmp_path: Path) -> None:
    [killed] = running(tmp_path, 1)
    with killed:
        assert killed.stdout
        assert killed.stdout.readline() == "drawing\n"
        killed.send_signal(signal.SIGKILL)
    assert not list(tmp_path.rglob("*.voxvoice"))
    speaker = Speaker()
    find(tmp_path, speaker)
    assert speaker.seeds == [ALLOY.seed]


def test_a_name_is_found_in_any_case() -> None:
    assert find_named(" Alloy ") is ALLOY
    assert find_named("ECHO") is ECHO
    assert find_named("anna") is None


@pytest.mark.parametrize(
    ("text", "language", "around", "found"),
    [
        ("Hello there.", None, None, "en"),
        ("你好。", None, None, "zh"),
        ("你好。", "en-GB", None, "en"),
        ("Hello.", "zh-CN", None, "zh"),
        ("12306", None, "zh", "zh"),
        ("12306", None, None, "en"),
        ("Bonjour le monde, comment allez-vous ?", "fr", None, None),
        ("Oui.", None, "fr", None),
        ("OK.", None, "zh", "en"),
    ],
)
def test_the_anchor_is_in_the_language_of_the_text(
    text: str, language: str | None, around: str | None, found: str | None
) -> None:
    assert anchor_language(text, language, around) == found
