"""--keep-alive and --no-warm, in options, variables and settings files."""

import math
from pathlib import Path

import pytest

from tests.program import Here, Run, said
from voxcli.cli.commands import chosen
from voxcli.engines.settings import EngineSettings

ADVICE = "Give a time such as 5m, 1h30m or 90 (seconds); 0 keeps nothing, -1 keeps it for ever."


@pytest.fixture
def kept(here: Here, monkeypatch: pytest.MonkeyPatch) -> "Kept":
    return Kept(here, monkeypatch)


class Kept:
    """Runs of `say` that stop where the engine would be opened."""

    def __init__(self, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
        self._here = here
        self._seen: list[EngineSettings] = []
        settings_of = chosen.engine_settings

        def engine_settings(*arguments: object) -> EngineSettings:
            self._seen.append(settings_of(*arguments))  # type: ignore[arg-type]
            raise KeyboardInterrupt

        monkeypatch.setattr(chosen, "engine_settings", engine_settings)
        monkeypatch.delenv("VOXCLI_KEEP_ALIVE")

    def __call__(self, *arguments: str) -> float:
        code, words = self._here("say", "hello", "--no-play", "-o", "x.wav", *arguments)
        assert code == 130, words
        return self._seen.pop().keep_alive


def test_an_engine_is_kept_for_five_minutes(kept: Kept) -> None:
    assert kept() == 300


def test_an_option_overrides_a_variable_which_overrides_a_file(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "voxcli.toml").write_text("keep_alive = 90\n")
    assert kept() == 90
    monkeypatch.setenv("VOXCLI_KEEP_ALIVE", "-1")
    assert kept() == math.inf
    assert kept("--keep-alive", "1h") == 3600
    assert kept("--keep-alive", "-1m") == math.inf
    assert kept("--keep-alive=0") == 0
    assert kept("--no-warm") == 0


def test_a_text_in_a_file_is_read_like_an_option(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text('keep-alive = "1h30m"\n')
    assert kept() == 5400


def test_an_option_overrides_a_setting_that_keeps_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXCLI_WARM", "0")
    assert kept() == 0
    assert kept("--warm") == 300
    assert kept("--keep-alive", "2h") == 7200


def test_a_server_in_the_settings_keeps_its_own_engine(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text('keep_alive = "1h"\n')
    assert kept("--remote", "http://127.0.0.1:9") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keep-alive", "soon"], f"error: --keep-alive: 'soon' is not a time. {ADVICE}"),
        (["--no-warm", "--keep-alive", "1h"], "error: --no-warm keeps nothing loaded, so it contradicts --keep-alive."),
        (["--keep-alive", "1h", "--no-warm"], "error: --no-warm keeps nothing loaded, so it contradicts --keep-alive."),
        (
            ["--remote", "http://127.0.0.1:9", "--keep-alive", "1h"],
            "error: --keep-alive: Only for models on this machine; it cannot be used with --remote.",
        ),
    ],
)
def test_a_wrong_option_is_refused(here: Here, arguments: list[str], words: str) -> None:
    assert here("say", "hello", *arguments) == (2, words)


def test_a_wrong_variable_and_a_wrong_setting_are_named(run: Run, tmp_path: Path) -> None:
    done = run("say", "hello", "-o", "x.wav", env={"VOXCLI_KEEP_ALIVE": "soon"})
    assert (done.returncode, said(done)) == (2, f"error: Not a time: VOXCLI_KEEP_ALIVE=soon. {ADVICE}")
    (tmp_path / "voxcli.toml").write_text('keep_alive = "soon"\n')
    done = run("say", "hello", "-o", "x.wav")
    assert done.returncode == 2
    assert said(done).endswith(f"in voxcli.toml: keep_alive = 'soon'. 'soon' is not a time. {ADVICE}")


def test_the_built_in_voice_is_not_kept_and_says_so_if_asked_to(here: Here) -> None:
    order = ("say", "hello", "--model", "espeak", "-o", "x.wav", "--force", "-q")
    warning = "warning: --keep-alive has no effect on the built-in voice (eSpeak NG)"
    assert here(*order, "--keep-alive", "1h") == (0, warning)
    assert here(*order, "--keep-alive", "0") == (0, "")
    assert here(*order) == (0, "")
