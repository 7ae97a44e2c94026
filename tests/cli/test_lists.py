"""What there is: voices, devices, the doctor, help and completion."""

import json
from pathlib import Path

import pytest

from tests.program import Done, Run, said
from tests.pulse import PulseServer
from voxcli.cli.exits import MEANINGS
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary


@pytest.fixture
def library(environment: dict[str, str]) -> VoiceLibrary:
    library = VoiceLibrary(Path(environment["VOXCLI_HOME"]) / "voices")
    library.save("Anna", Voice(prompt=Prompt(Clip(b"RIFF", "a.wav"), "words")))
    return library


@pytest.mark.parametrize("arguments", [["voices"], ["voices", "list"]])
def test_voices_are_listed_your_own_first(run: Run, library: VoiceLibrary, arguments: list[str]) -> None:
    lines = run(*arguments).stdout.decode().splitlines()
    assert lines[1].split() == ["Anna", "own"]
    assert lines[3].split()[:2] == ["alloy", "model"]
    assert not any("espeak" in line for line in lines)
    assert max(map(len, lines)) <= 50
    every = run(*arguments, "--all").stdout.decode().splitlines()
    assert [line.split() for line in every[: len(lines)]] == [line.split() for line in lines]
    assert any(line.split()[:2] == ["cmn", "espeak"] for line in every)
    as_json = json.loads(run(*arguments, "--json").stdout)
    assert as_json[0] == {"name": "Anna", "kind": "own"}
    assert {"name": "yue", "kind": "espeak", "language": "yue", "title": "Chinese (Cantonese)"} in as_json


def test_a_cloned_voice_needs_a_model_that_can_clone(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    done = run("say", "hello", "--voice", "anna", "-o", "x.wav")
    assert done.returncode == 4
    assert "cannot imitate a voice" in said(done)
    assert not (tmp_path / "x.wav").exists()


def test_devices_are_listed(run: Run, pulse: PulseServer) -> None:
    lines = run("devices", env=pulse.environment).stdout.decode().splitlines()
    assert lines[0].split() == ["NUMBER", "NAME", "SYSTEM", "RATE"]
    assert any(line.startswith("*") for line in lines[1:])


def test_without_devices_that_is_said(run: Run) -> None:
    done = run("devices")
    assert done.returncode == 0
    assert "No loudspeaker" in said(done)
    assert json.loads(run("devices", "--json").stdout) == []


def test_the_doctor_finds_a_machine_without_sound_fit_to_write_files(run: Run, without_torch: dict[str, str]) -> None:
    done = run("doctor")
    assert done.returncode == 0, said(done)
    text = done.stdout.decode()
    for name in (
        "Python",
        "numpy",
        "av",
        "built-in voice",
        "PortAudio",
        "loudspeaker",
        "torch",
        "settings",
        "voices",
        "cache",
    ):
        assert name in text
    assert "To fix:" in text
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json", env=without_torch).stdout)}
    assert checks["loudspeaker"]["verdict"] == "warn"
    assert checks["loudspeaker"]["fix"]
    assert checks["built-in voice"]["verdict"] == "ok"


def test_the_doctor_says_how_much_is_kept(run: Run, tmp_path: Path, without_torch: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    (cache / "voices" / "of-a-model").mkdir(parents=True)
    (cache / "prepared").mkdir()
    (cache / "prepared" / "one.prepared").write_bytes(bytes(1_500_000))
    (cache / "voices" / "of-a-model" / "aria").write_bytes(bytes(20_000))
    kernels = {"VOXCLI_KERNELS": str(cache / "kernels")}
    done = run("doctor", "--json", env={"VOXCLI_HOME": str(tmp_path), **kernels, **without_torch})
    found = {check["name"]: check["detail"] for check in json.loads(done.stdout)}["cache"]
    assert found == f"{cache} (drawn voices 20.0 kB, prepared weights 1.5 MB)"


def test_the_doctor_finds_a_folder_that_cannot_be_written(
    run: Run, tmp_path: Path, without_torch: dict[str, str]
) -> None:
    (tmp_path / "file").write_text("")
    done = run("doctor", "--json", env={"VOXCLI_HOME": str(tmp_path / "file"), **without_torch})
    assert done.returncode == 5
    verdicts = {check["name"]: check["verdict"] for check in json.loads(done.stdout)}
    assert verdicts["voices"] == "fail"


def test_help_tells_the_exit_codes(run: Run) -> None:
    text = " ".join(run("--help-all").stdout.decode().split())
    for code, meaning in MEANINGS.items():
        assert f"{code:d} {meaning}" in text


def test_every_option_of_say_is_explained(run: Run) -> None:
    text = run("say", "--help-all", env={"COLUMNS": "200"}).stdout.decode()
    for option in (
        "--output",
        "--[no-]play",
        "--voice",
        "--language",
        "--speed",
        "--volume",
        "--json",
        "--audio-device",
    ):
        assert option in text
    assert "[pause 0.5s]" in text


def completed(run: Run, line: str) -> list[str]:
    words = line.split(" ")
    done: Done = run(
        env={
            "_VOXCLI_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    return done.stdout.decode().split()


def test_the_shell_completes_real_names(run: Run, library: VoiceLibrary) -> None:
    assert completed(run, "voxcli say --voice An") == ["Anna"]
    assert "cmn" in completed(run, "voxcli say --voice cm")
    assert completed(run, "voxcli say --model e") == ["espeak"]
    assert completed(run, "voxcli say --format o") == ["opus"]
    assert "yue" in completed(run, "voxcli say --language y")
    assert completed(run, "voxcli de") == ["devices"]
    assert completed(run, "voxcli say --audio-device x") == []
