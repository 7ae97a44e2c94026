"""Lexicons on the command line: which are found, how mistakes are told, and what `say --explain` prints."""

import json
import logging
from pathlib import Path

import pytest

from tests.program import Here
from voxcli.cli.app import run
from voxcli.cli.exits import ExitCode


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    code = run(["say", *arguments, "--explain", "--json"])
    output = capsys.readouterr().out
    assert code == 0, output
    return [json.loads(line) for line in output.splitlines()]


def test_lexicons_are_found_in_order(
    here: Here, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    del here  # it moved to an empty folder
    home, folder = Path(environment["VOXCLI_HOME"]), Path("a/b")
    home.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True)
    (home / "lexicon.tsv").write_text("one\tuser\ntwo\tuser\nthree\tuser\n", "utf-8")
    Path(".voxcli-lexicon.tsv").write_text("one\tproject\ntwo\tproject\n", "utf-8")
    Path("own.tsv").write_text("one\toption\n", "utf-8")
    (folder / "text.txt").write_text("One two three.", "utf-8")
    file = ("-f", str(folder / "text.txt"), "-m", "espeak")
    [entry] = explained(capsys, *file, "--lexicon", "own.tsv")
    assert entry["sent"] == "option project user."
    assert entry["written"] == "One two three."
    [entry] = explained(capsys, *file, "--no-lexicon", "--lexicon", "own.tsv")
    assert entry["sent"] == "option two three."


def test_an_explanation_tells_what_changed_and_why(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    del here
    Path("w.tsv").write_text("AWS\tA W S\n", "utf-8")
    logging.disable(logging.WARNING)
    try:
        text = "AWS [laugh] costs 3€. [pause 1s] Bye."
        first, pause, last = explained(capsys, text, "--lexicon", "w.tsv", "--normalize", "-m", "espeak")
    finally:
        logging.disable(logging.NOTSET)
    assert first["sent"] == "A W S costs three euros."
    assert first["changes"] == [
        {"written": "[laugh]", "said": "", "why": "markup, or not spoken"},
        {"written": "AWS", "said": "A W S", "why": "w.tsv line 1"},
        {"written": "3€", "said": "three euros", "why": "numbers and signs in words (--normalize)"},
    ]
    assert pause == {"pause": 1.0}
    assert last["span"] == [33, 37]


def test_a_lexicon_is_checked(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    Path("w.tsv").write_text("a\tb c\nb\tx\nA\ty\t\t\tany\nbad\n", "utf-8")
    code = run(["lexicon", "check", "w.tsv", "--text", "a b"])
    output = capsys.readouterr()
    assert code == ExitCode.BAD_INPUT
    lines = output.out.splitlines()
    assert lines[0].startswith("w.tsv:4:2: what is spoken is missing")
    assert "'A' never counts, because of w.tsv line 1" in lines[1]
    assert "'b c' is said as it is" in lines[2]
    assert lines[3] == "b c x"
    code, message = here("say", "a", "--lexicon", "w.tsv", "-m", "espeak", "-o", "x.wav")
    assert code == ExitCode.BAD_INPUT
    assert "line 4, column 2" in message
    assert not Path("x.wav").exists()


def test_words_are_added_and_removed(
    here: Here, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(environment["VOXCLI_HOME"]) / "lexicon.tsv"
    assert here("lexicon", "add", "nginx", "engine x")[0] == 0
    assert here("lexicon", "add", "tomato", "/təˈmɑːtəʊ/", "-l", "english")[0] == 0
    assert here("lexicon", "add", "nginx", "engine ex")[0] == 0
    assert path.read_text("utf-8").splitlines() == ["tomato\t/təˈmɑːtəʊ/\tenglish", "nginx\tengine ex"]
    assert run(["lexicon", "list", "--json"]) == 0
    assert [entry["written"] for entry in json.loads(capsys.readouterr().out)] == ["tomato", "nginx"]
    code, output = here("lexicon", "add", "x", "{foo}")
    assert code == ExitCode.BAD_INPUT
    assert "neither pinyin" in output
    assert here("lexicon", "rm", "nginx")[0] == 0
    code, output = here("lexicon", "rm", "nginx")
    assert code == ExitCode.NOT_FOUND
    assert path.read_text("utf-8").splitlines() == ["tomato\t/təˈmɑːtəʊ/\tenglish"]
