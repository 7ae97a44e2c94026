"""`voxcli voices`: the library of the user's own voices."""

import json
import sys
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile

import voxcli
from tests.clips import WORDS, spoken_wav
from tests.program import Run, said
from tests.pulse import PulseServer
from tests.screen import run_on_terminal
from tests.sound import seconds_of
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import Notes, VoiceLibrary
from voxcli.voices.archive import pack

NOTES = Notes(consent="Anna said yes.", created="2025-12-31", voxcli="0.0.9", model="voxcpm-2")


@pytest.fixture
def library(environment: dict[str, str]) -> VoiceLibrary:
    """With two voices."""
    library = VoiceLibrary(Path(environment["VOXCLI_HOME"]) / "voices")
    library.save("Anna", Voice(style="calm", prompt=Prompt(Clip(spoken_wav(), "a.wav"), WORDS)), NOTES)
    library.save("王小明", Voice(reference=Clip(b"damaged", "b.wav")))
    return library


@pytest.fixture
def settings(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"]) / "voxcli.toml"


def test_a_voice_is_shown_with_all_that_is_known_of_it(run: Run, library: VoiceLibrary) -> None:
    text = run("voices", "show", "anna").stdout.decode()
    for part in ("Anna", "22050 Hz", WORDS, "calm", "Anna said yes.", "2025-12-31", "voxcpm-2", str(library.folder)):
        assert part in text
    card = json.loads(run("voices", "show", "王小明", "--json").stdout)
    assert card["name"] == "王小明"
    assert card["prompt"] is card["consent"] is None
    assert card["reference"]["bytes"] == 7
    assert "cannot be read" in card["reference"]["remarks"][0]
    done = run("voices", "show", "ana")
    assert done.returncode == 3
    assert "Did you mean 'Anna'" in said(done)


def test_a_voice_is_added_from_a_recording_or_from_a_description(
    run: Run, library: VoiceLibrary, tmp_path: Path
) -> None:
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    done = run("voices", "add", "bob", "--prompt", "ref.wav", "--prompt-text", WORDS, "--instruct", "slow")
    assert done.returncode == 0, said(done)
    prompt = Prompt(Clip(spoken_wav(), "prompt.wav"), WORDS)
    assert library.load("bob") == Voice(style="slow", prompt=prompt)
    assert run("voices", "add", "old", "--instruct", "an old man", "--consent", " he\nagreed ").returncode == 0
    voice, notes = library.load_noted("old")
    assert voice == Voice(style="an old man")
    assert notes == Notes(consent="he agreed", created=notes.created, voxcli=voxcli.__version__)
    assert notes.created
    assert date.fromisoformat(notes.created) <= date.today()
    assert run("voices", "add", "bob", "--prompt", "ref.wav").returncode == 4
    for arguments in ([], ["--prompt-text", "words", "--instruct", "slow"], ["--instruct", "old", "--consent", " "]):
        assert run("voices", "add", "nobody", *arguments).returncode == 2
    assert library.find("nobody") is None


def test_a_voice_is_removed_only_if_somebody_says_yes(run: Run, library: VoiceLibrary) -> None:
    done = run("voices", "rm", "anna", "王小明")
    assert done.returncode == 2
    assert "voxcli voices rm --yes Anna '王小明'" in said(done)
    assert run("voices", "rm", "anna", "nobody", "--yes").returncode == 3
    assert library.names() == ["Anna", "王小明"]
    assert run("voices", "rm", "anna", "王小明", "ANNA", "--yes").returncode == 0
    assert library.names() == []


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, ["王小明"]), (b"\n", 130, ["Anna", "王小明"])])
def test_on_a_terminal_it_asks_before_it_removes(
    library: VoiceLibrary, environment: dict[str, str], answer: bytes, code: int, left: list[str]
) -> None:
    command = [sys.executable, "-m", "voxcli", "voices", "rm", "anna"]
    done, shown = run_on_terminal(command, environment, {b"Delete Anna and all its clips? [y/N]": answer})
    assert done == code, shown
    assert library.names() == left


def test_what_is_exported_here_is_imported_there(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    anna, there = library.load("anna"), VoiceLibrary(tmp_path / "there" / "voices")
    assert run("voices", "export", "anna").returncode == 0
    assert (tmp_path / "Anna.voxvoice").read_bytes() == pack("Anna", anna, NOTES)
    elsewhere = {"VOXCLI_HOME": str(tmp_path / "there")}
    done = run("voices", "import", "Anna.voxvoice", env=elsewhere)
    assert "--voice Anna" in said(done)
    assert there.load_noted("anna") == (anna, NOTES)
    packed = run("voices", "export", "ANNA", "-o", "-")
    assert packed.stdout == pack("Anna", anna, NOTES)
    assert run("voices", "import", "-", "--name", "克莱", env=elsewhere, stdin=packed.stdout).returncode == 0
    assert there.names() == ["Anna", "克莱"]
    done = run("voices", "import", "Anna.voxvoice", env=elsewhere)
    assert done.returncode == 4
    assert "'Anna' already" in said(done)
    assert run("voices", "import", "Anna.voxvoice", "--force", env=elsewhere).returncode == 0


def test_an_export_overwrites_nothing_unasked(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"precious")
    done = run("voices", "export", "anna", "-o", "x")
    assert done.returncode == 4
    assert "--force" in said(done)
    assert (tmp_path / "x").read_bytes() == b"precious"
    assert run("voices", "export", "anna", "-o", "x", "--force").returncode == 0
    assert zipfile.is_zipfile(tmp_path / "x")
    done = run("voices", "export", "anna", "-o", "nowhere/x")
    assert done.returncode == 5
    assert "Cannot write nowhere/x" in said(done)
    assert {path.name for path in tmp_path.iterdir()} == {"x"}


def test_what_is_no_voice_is_not_imported(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    (tmp_path / "damaged").write_bytes(pack("bob", Voice(reference=Clip(b"no sound", "reference.wav"))))
    refused = (("ref.wav", "not an exported voice"), ("damaged", "reference.wav of bob"), ("nothing", "Cannot"))
    for file, reason in refused:
        done = run("voices", "import", file)
        assert done.returncode == 4, said(done)
        assert reason in said(done)
    assert library.names() == ["Anna", "王小明"]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two sounds; 1 if they are the same."""
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


def test_the_default_voice_speaks_when_none_is_named(run: Run, settings: Path, tmp_path: Path) -> None:
    settings.write_text("# mine\nspeed = 2 # quick\n")
    done = run("voices", "default")
    assert done.stdout == b""
    assert "voxcli voices default NAME" in said(done)
    assert run("voices", "default", "en-us+f3").returncode == 0
    assert settings.read_text() == '# mine\nspeed = 2 # quick\nvoice = "en-us+f3"\n'
    assert run("voices", "default").stdout == b"en-us+f3\n"
    files = {"plain": [], "named": ["--voice", "en-us+f3"], "other": ["--voice", "en-us"]}
    for name, arguments in files.items():
        assert run("say", "hello", "--model", "espeak", "-o", f"{name}.wav", *arguments).returncode == 0
    plain, named, other = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in files)
    assert likeness(plain, named) > 0.95  # eSpeak NG breathes a little differently each time
    assert likeness(plain, other) < 0.8
    assert run("voices", "default", "--unset").returncode == 0
    assert settings.read_text() == "# mine\nspeed = 2 # quick\n"


def test_the_default_voice_is_marked_in_the_list(run: Run, library: VoiceLibrary, settings: Path) -> None:
    assert run("voices", "default", "ANNA").returncode == 0
    assert settings.read_text() == 'voice = "Anna"\n'
    assert run("voices", "list").stdout.decode().splitlines()[1].split() == ["Anna", "own", "(default)"]
    listed = json.loads(run("voices", "--json").stdout)
    assert [entry["name"] for entry in listed if entry.get("default")] == ["Anna"]
    done = run("say", "hello", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 0, said(done)
    assert said(done).count("The default voice 'Anna' is not used") == 1
    done = run("say", "hello", "--model", "espeak", "-o", "y.wav", "--voice", "anna")
    assert done.returncode == 4
    assert "cannot imitate a voice" in said(done)


def test_nobody_unknown_becomes_the_default(run: Run, library: VoiceLibrary, settings: Path) -> None:
    done = run("voices", "default", "ana")
    assert done.returncode == 3
    assert "Did you mean 'Anna'" in said(done)
    assert run("voices", "default", "anna", "--unset").returncode == 2
    assert not settings.exists()


def test_it_says_when_another_setting_counts_more(run: Run, library: VoiceLibrary) -> None:
    done = run("voices", "default", "anna", env={"VOXCLI_VOICE": "af"})
    assert done.returncode == 0
    assert "warning: VOXCLI_VOICE sets af, which overrides it" in said(done)
    done = run("voices", "rm", "anna", "--yes", env={"VOXCLI_VOICE": "anna"})
    assert "warning: VOXCLI_VOICE still sets Anna" in said(done)


def test_the_default_follows_a_voice_to_its_new_name_and_goes_with_it(
    run: Run, library: VoiceLibrary, settings: Path
) -> None:
    settings.write_text("voice = 'anna' # the best\n")
    assert run("voices", "rename", "王小明", "小明").returncode == 0
    assert settings.read_text() == "voice = 'anna' # the best\n"
    done = run("voices", "rename", "anna", "Clara")
    assert done.returncode == 0, said(done)
    assert settings.read_text() == 'voice = "Clara" # the best\n'
    done = run("voices", "rm", "clara", "--yes")
    assert "the default voice, which is now unset" in said(done)
    assert settings.read_text() == ""
    assert library.names() == ["小明"]


def test_voices_are_heard_one_after_another(run: Run, tmp_path: Path) -> None:
    done = run("voices", "audition", "en-us", "fr", "--text", "one two three", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 0, said(done)
    assert said(done) == "en-us fr"
    for name in ("en-us", "fr"):
        assert run("say", "one two three", "-v", name, "--model", "espeak", "-o", f"{name}.wav").returncode == 0
    alone = sum(seconds_of(tmp_path / f"{name}.wav") for name in ("en-us", "fr"))
    assert seconds_of(tmp_path / "x.wav") == pytest.approx(alone + 0.7, abs=0.01)


def test_an_audition_is_heard(run: Run, pulse: PulseServer) -> None:
    with pulse.recording() as recording:
        done = run(
            "voices", "audition", "en-us", "af", "--text", "no", "--model", "espeak", env=pulse.client("speaker48")
        )
    assert done.returncode == 0, said(done)
    assert said(done) == "en-us af"
    assert np.abs(recording.samples).max() > 0.1


def test_an_audition_needs_somebody_who_can_be_heard(run: Run, environment: dict[str, str]) -> None:
    done = run("voices", "audition", "-o", "x.wav")
    assert done.returncode == 3
    assert "voxcli clone --prompt ref.wav" in said(done)
    VoiceLibrary(Path(environment["VOXCLI_HOME"]) / "voices").save("anna", Voice(reference=Clip(b"x", "x.wav")))
    done = run("voices", "audition", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 4
    assert "cannot imitate a voice" in said(done)
