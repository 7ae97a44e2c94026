"""SSML on the command line: in files, arguments, pipes and lists; refused before anything is made."""

import json
import wave
from pathlib import Path

import pytest

from tests.program import Here, Run, said
from voxcli.cli.app import run as run_program
from voxcli.cli.exits import ExitCode

DOCUMENT = """<?xml version="1.0"?>
<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">
  <p><s>The <sub alias="World Wide Web">WWW</sub> is <mark name="here"/>here.</s></p><break time="300ms"/>
  A <phoneme ph="təˈmeɪtoʊ">tomato</phoneme> &amp; <prosody rate="150%">more</prosody>.
</speak>
"""


def samples(path: str) -> bytes:
    with wave.open(path) as file:
        return file.readframes(file.getnframes())


def test_a_document_is_the_same_from_a_file_an_argument_and_a_pipe(run: Run, here: Here, tmp_path: Path) -> None:
    Path("a.ssml").write_text(DOCUMENT, "utf-8")
    assert here("say", "-f", "a.ssml", "-m", "espeak", "-o", "file.wav")[0] == 0
    assert here("say", DOCUMENT, "-m", "espeak", "-o", "argument.wav")[0] == 0
    done = run("say", "-m", "espeak", "-o", "pipe.wav", stdin=DOCUMENT.encode())
    assert done.returncode == 0, said(done)
    assert samples("file.wav") == samples("argument.wav") == samples("pipe.wav")


def test_marks_are_events(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    del here
    assert run_program(["say", DOCUMENT, "-m", "espeak", "-o", "x.wav", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sentences = [event for event in events if event["event"] == "sentence"]
    assert "marks" not in sentences[0]
    [mark] = sentences[1]["marks"]
    assert mark["name"] == "here"
    assert sentences[1]["start_seconds"] < mark["seconds"] < sentences[1]["end_seconds"]


def test_what_is_refused_has_its_place_and_nothing_is_made(here: Here) -> None:
    code, output = here("say", "<speak>a <emphasis>b</emphasis></speak>", "-m", "espeak", "-o", "x.wav")
    assert code == ExitCode.BAD_INPUT
    assert "line 1, column 10: <emphasis> is not supported" in output
    assert "--no-ssml" in output
    code, output = here("say", '<speak><voice name="nosuch">a</voice></speak>', "-m", "espeak", "-o", "x.wav")
    assert code == ExitCode.BAD_INPUT
    assert "There is no voice 'nosuch'" in output
    for option in ("--no-split", "--cast=auto"):
        code, output = here("say", "<speak>a</speak>", option, "-m", "espeak", "-o", "x.wav")
        assert code == ExitCode.BAD_INPUT, output
    assert not Path("x.wav").exists()


def test_the_markup_itself_can_be_spoken(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    del here
    assert run_program(["say", "<speak>a</speak>", "--no-ssml", "-m", "espeak", "--explain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == "<speak>a</speak>"


def test_rows_of_a_list_may_be_documents(here: Here) -> None:
    rows = ["<speak>One. <voice name='en-us+f2'>Two.</voice></speak>", "[voice:en-us+m3] Three."]
    Path("list.jsonl").write_text("".join(f"{json.dumps({'text': row})}\n" for row in rows), "utf-8")
    code, output = here("batch", "list.jsonl", "-d", "out", "-m", "espeak")
    assert code == 0, output
    Path("list.jsonl").write_text('{"text": "<speak><b>a</b></speak>"}\n{"text": "[voice:nosuch] a"}\n', "utf-8")
    code, output = here("batch", "list.jsonl", "-d", "other", "-m", "espeak")
    assert code == ExitCode.BAD_INPUT
    assert "line 1, text: The SSML cannot be spoken: line 1, column 8" in output
    assert "line 2, voice: There is no voice 'nosuch'" in output
    assert not Path("other").exists()
