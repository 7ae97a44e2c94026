"""`--gap`: how long the silence between sentences is."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.program import Run, said

TEXT = "One. Two. Three."


def gaps_of(path: Path) -> list[float]:
    """Return how long it is quiet in a file, in seconds, wherever that is longer than 0.2 s."""
    samples, rate = soundfile.read(path)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    lengths = [(end - start) / rate for start, end in pairwise(loud)]
    return [length for length in lengths if length > 0.2]


@pytest.mark.parametrize("gap", ["0.3", "0.8"])
def test_between_sentences_it_is_as_long_as_wanted(run: Run, tmp_path: Path, gap: str) -> None:
    done = run("say", TEXT, "--model", "espeak", "--gap", gap, "-o", "x.wav")
    assert done.returncode == 0, said(done)
    # What is a little louder than quiet is not cut, and stands beside the gap.
    assert gaps_of(tmp_path / "x.wav") == pytest.approx(2 * [float(gap)], abs=0.06)


def test_it_is_a_setting_and_a_pause_stands_instead(run: Run, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text("gap = 0.3\n")
    done = run("say", "One. Two. [pause 0.9s] Three.", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 0, said(done)
    assert gaps_of(tmp_path / "x.wav") == pytest.approx([0.3, 0.9], abs=0.06)


def test_within_a_sentence_that_is_spoken_in_pieces_there_is_none(run: Run, tmp_path: Path) -> None:
    text = "It was a bright cold day in April, and all the clocks of the town were striking thirteen at once."
    for name, gap in (("with", ["--gap", "3"]), ("without", [])):
        assert run("say", text, "--model", "espeak", "-o", f"{name}.wav", *gap).returncode == 0
    assert gaps_of(tmp_path / "with.wav") == pytest.approx(gaps_of(tmp_path / "without.wav"), abs=0.01)


@pytest.mark.parametrize("gap", ["-1", "11", "nan", "long"])
def test_it_is_between_0_and_10_seconds(run: Run, gap: str) -> None:
    done = run("say", TEXT, "--gap", gap, "-o", "x.wav")
    assert done.returncode == 2
    assert "--gap" in said(done)


def test_a_text_in_one_go_has_no_place_for_it(run: Run, tmp_path: Path) -> None:
    done = run("say", TEXT, "--no-split", "--gap", "1", "-o", "x.wav")
    assert done.returncode == 2
    assert "--gap" in said(done)
    assert "--no-split" in said(done)
    arguments = ["say", TEXT, "--model", "espeak", "--no-split", "-o"]
    assert run(*arguments, "x.wav", env={"VOXCLI_GAP": "2"}).returncode == 0
    assert run(*arguments, "y.wav").returncode == 0
    x, y = (soundfile.info(tmp_path / name).frames for name in ("x.wav", "y.wav"))
    assert x == pytest.approx(y, rel=0.01)
