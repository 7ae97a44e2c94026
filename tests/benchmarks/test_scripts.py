"""Scripts in this folder: each starts from the root of the repository and prints its figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints import write_checkpoint
from tests.program import STRICT

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]

SCRIPTS = sorted(path.name for path in FOLDER.glob("[!t]*.py") if "argparse" in path.read_text("utf-8"))
"""Those with a command line of their own, but for measure_engine.py, whose options are in engine/options.py."""


def run(name: str, *arguments: str, warnings: str = STRICT) -> str:
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": warnings},
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_measure_startup_prints_ratios() -> None:
    printed = run("measure_startup.py", "--rounds", "1")
    assert len(re.findall(r"\d+\.\d\d times", printed)) == 4


@pytest.mark.benchmark
@pytest.mark.parametrize("name", [*SCRIPTS, "measure_engine.py"])
def test_every_script_explains_its_options(name: str) -> None:
    assert "usage: " in run(name, "--help")


@pytest.mark.benchmark
def test_measure_server_prints_the_overhead() -> None:
    printed = run("measure_server.py", "--rounds", "1", "--chunks", "5", "--clients", "3", "--sockets", "2")
    assert len(re.findall(r"first chunk +\d+\.\d\d ms", printed)) == 4
    assert "3 clients at once" in printed
    assert "2 sockets at once" in printed
    assert "5 cancellations" in printed


@pytest.mark.benchmark
def test_measure_quantized_prints_distances() -> None:
    printed = run("measure_quantized.py", "--size", "tiny", "--patches", "2", "--texts", "1", "--threads", "1")
    means = {row[1]: float(row[2]) for row in re.finditer(r"^(bfloat16|float32|fp8)\D+ (\d\.\d{4})", printed, re.M)}
    assert means["bfloat16"] == 0
    assert 0 < means["float32"] < 0.1
    assert 0 < means["fp8"] < 0.1


@pytest.mark.benchmark
def test_measure_enter_to_sound_prints_a_row_for_each_way() -> None:
    printed = run("measure_enter_to_sound.py", "--rounds", "1")
    assert len(re.findall(r"^\| .+ \|( \d+| –) \| \d+ \| \d+ \| \d+ \|$", printed, re.M)) == 4
    assert "empty Typer program" in printed


@pytest.mark.benchmark
def test_measure_cold_start_prints_a_line_for_each_contestant(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", "voxcpm-1.5", 1)
    python = ("--python", f"before={sys.executable}", "--python", f"after={sys.executable}")
    printed = run("measure_cold_start.py", str(tmp_path / "model"), *python, "--quantize", "none", "--rounds", "1")
    assert len(re.findall(r"^( +\d+\.\d\d){5}   (before|after), none$", printed, re.MULTILINE)) == 2
    assert re.search(r"after, none: \d+\.\d\d times as fast as before, none", printed)


@pytest.mark.benchmark
def test_measure_book_finds_a_killed_book_the_same_as_one_made_in_one_go() -> None:
    printed = run("measure_book.py", "--words", "600", "--chapters", "3", "--model", "espeak", "--compare")
    assert printed.count("killed at sentence") == 5
    assert "the same bytes as in one go" in printed


@pytest.mark.benchmark
def test_an_idle_server_holds_no_more_after_many_requests() -> None:
    printed = run("measure_endurance.py", "mixed", "--requests", "600", "--clients", "4")
    growth = {name: float(number) for name, number in re.findall(r"growth of (\w+): ([+-][\d.]+)", printed)}
    assert growth["threads"] <= 3
    assert growth["files"] <= 4
    assert growth["objects"] <= 2000


@pytest.mark.benchmark
def test_every_answer_to_bursts_is_sound_or_tells_when_to_come_again(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", "voxcpm-1.5", 1)
    printed = run("measure_endurance.py", "bursts", "--minutes", "0.2", "--model", str(tmp_path / "model"))
    assert "answers: " in printed


@pytest.mark.ray
def test_measure_replicas_prints_both() -> None:
    printed = run("measure_replicas.py", "--rounds", "2", warnings="ignore")  # Ray warns of itself
    assert len(re.findall(r"first byte -?\d+\.\d ms", printed)) == 2
