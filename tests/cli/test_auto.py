"""--steps auto and --start-buffer auto: in options, variables and settings files, and where they are refused."""

from pathlib import Path

import pytest

from tests.program import Here
from voxcli.cli.commands import speak as speaking
from voxcli.cli.commands.speak_job import SpeakJob


class Jobs:
    """Jobs of `say` that are not spoken."""

    def __init__(self, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
        self._here, self._seen = here, list[SpeakJob]()

        def speak(job: SpeakJob, *others: object) -> None:
            self._seen.append(job)

        monkeypatch.setattr(speaking, "speak", speak)

    def __call__(self, *arguments: str) -> SpeakJob:
        code, words = self._here("say", "hello", *arguments)
        assert code == 0, words
        return self._seen.pop()


@pytest.fixture
def job(here: Here, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    return Jobs(here, monkeypatch)


def test_the_start_buffer_is_measured_unless_seconds_are_given(
    job: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job().start_buffer is None
    assert job("--start-buffer", "0").start_buffer == 0
    assert job("--start-buffer", "2.5").start_buffer == 2.5
    (tmp_path / "voxcli.toml").write_text("start_buffer = 3\n")
    assert job().start_buffer == 3
    assert job("--start-buffer", "auto").start_buffer is None
    monkeypatch.setenv("VOXCLI_START_BUFFER", "AUTO")
    assert job().start_buffer is None


def test_the_steps_are_fixed_unless_auto_is_asked_for(
    job: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not job().auto_steps
    assert job("--steps", "6").delivery.sampling.steps == 6
    assert job("--steps", "auto").auto_steps
    assert job("--steps", "auto").delivery.sampling.steps == 10
    (tmp_path / "voxcli.toml").write_text('steps = "auto"\n')
    assert job().auto_steps
    assert not job("--steps", "8").auto_steps
    # A setting gives way where nothing is played.
    assert not job("-o", "x.wav").auto_steps
    monkeypatch.setenv("VOXCLI_STEPS", "7")
    assert job().delivery.sampling.steps == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["say", "hello", "--start-buffer", "-1"], "'-1' is not a number from 0 to 600, and not 'auto'."),
        (["say", "hello", "--start-buffer", "nan"], "'nan' is not a number from 0 to 600"),
        (["say", "hello", "--start-buffer", "soon"], "'soon' is not a number from 0 to 600"),
        (["say", "hello", "--steps", "1.5"], "'1.5' is not a number from 1 to 100"),
        (["say", "hello", "--steps", "0"], "--steps"),
        (["say", "hello", "--steps", "auto", "--remote", "http://127.0.0.1:1"], "auto is for models on this machine"),
        (["say", "hello", "--steps", "auto", "-o", "x.wav"], "auto changes the steps while a text is played"),
        (["bench", "short", "--steps", "auto"], "Give a number here."),
        (["voices", "audition", "--steps", "auto"], "Give a number here."),
    ],
)
def test_what_cannot_be_is_refused(here: Here, arguments: list[str], words: str) -> None:
    code, said = here(*arguments)
    assert code == 2
    assert words in said


def test_the_built_in_voice_has_no_steps_to_choose(here: Here) -> None:
    _, said = here("say", "hello", "--model", "espeak", "--steps", "auto", "-o", "x.wav", "--play")
    assert "--steps auto has no effect on the built-in voice (eSpeak NG)" in said
