"""`voxcli batch` with an engine that costs nothing: rows, mistakes, and what is resumed."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import soundfile
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.clips import spoken_wav
from tests.program import Run, said, started
from tests.server.tone import ToneEngine, until
from voxcli.batch import work as work_module
from voxcli.batch.manifest import Manifest
from voxcli.cli import app
from voxcli.cli.commands.batch import preparing
from voxcli.errors import ModelError, RemoteError, RequestError
from voxcli.synthesis.request import Speech, SynthesisRequest, Voice
from voxcli.voices import VoiceLibrary

TEXTS = ("Hello.", "One. Two. Three.", "A sentence that is a little longer than the others.", "你好。再见。")


class Tones(ToneEngine):
    """The engine of a whole test: closing it ends nothing."""

    def __init__(self, **details: Any) -> None:
        super().__init__(**{"chunks": 2, "chunk_seconds": 0.02, **details})

    def close(self) -> None:
        """Stay open."""


class FailingTones(Tones):
    """Fails for texts with a word in them, as often as it is told to."""

    def __init__(self, word: str, times: int, error: Exception) -> None:
        super().__init__()
        self.left = times
        self._word, self._failure = word, error

    def stream(self, request: SynthesisRequest) -> Speech:
        if self._word in request.text and self.left:
            self.left -= 1
            raise self._failure
        yield from super().stream(request)


Batch = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOXCLI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def speaking(engine: ToneEngine) -> Iterator[None]:
    """Let `voxcli batch` speak with this engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "open_chosen_engine", lambda settings, **details: engine)
        yield


def batch(engine: ToneEngine, *arguments: object) -> int:
    with speaking(engine):
        return app.run(["batch", "--no-warm", "--model", "tones", *map(str, arguments)])


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def sounds(folder: Path) -> dict[str, bytes]:
    """Return all files that were made, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.jsonl"
    }


def test_each_row_is_a_file_in_its_own_manner(home: Path) -> None:
    VoiceLibrary(home / "home" / "voices").save("Anna", Voice(style="old"))
    rows: list[dict[str, Any]] = [
        {"text": "Hello.", "speed": 2, "seed": 7, "volume": 0.5},
        {"text": "你好。", "language": "chinese", "voice": "anna", "output": "zh/eins"},
        {"input": "Style.", "style": "angry", "cfg_value": "1.5", "steps": 4, "format": "flac", "id": "x"},
    ]
    engine = Tones()
    assert batch(engine, write_rows(home / "rows.jsonl", rows), "-d", "out") == 0
    assert sorted(sounds(home / "out")) == ["0001.wav", "0003.flac", "zh/eins.wav"]
    requests = {request.text: request for request in engine.requests}
    assert (requests["Hello."].speed, requests["Hello."].sampling.seed) == (2, 7)
    assert (requests["你好。"].language, requests["你好。"].voice, requests["你好。"].sampling.seed) == (
        "zh",
        Voice(style="old"),
        0,
    )
    styled = requests["Style."]
    assert (styled.voice.style, styled.sampling.guidance, styled.sampling.steps) == ("angry", 1.5, 4)
    with Manifest(home / "out" / "manifest.jsonl") as manifest:
        entries = [*manifest.entries()]
    assert [entry.file for entry in entries] == ["0001.wav", "zh/eins.wav", "0003.flac"]
    assert [entry.more.get("id") for entry in entries] == [None, None, "x"]
    assert all(entry.is_intact(home / "out") for entry in entries)
    assert entries[2].seconds == soundfile.info(home / "out" / "0003.flac").duration


def test_a_file_of_a_row_may_be_a_document_or_in_another_encoding(home: Path) -> None:
    pytest.importorskip("lxml")
    (home / "page.html").write_text("<!doctype html><html><body><p>From <b>a</b> page.</p></body></html>", "utf-8")
    (home / "text.txt").write_bytes("你好，世界。".encode("gb18030"))
    engine = Tones()
    rows = write_rows(home / "rows.jsonl", [{"file": "page.html"}, {"file": "text.txt"}])
    assert batch(engine, rows, "-d", "out") == 0
    assert sorted(request.text for request in engine.requests) == ["From a page.", "你好，世界。"]


def test_a_row_sounds_as_say_says_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.cli.commands import speak

    (home / "lines.txt").write_text("One. Two. Three.\n")
    engine = Tones()
    assert batch(engine, "lines.txt", "-d", "out", "--no-metadata") == 0
    monkeypatch.setattr(speak, "open_chosen_engine", lambda settings, **details: engine)
    assert (
        app.run(
            [
                "say",
                "--no-warm",
                "--model",
                "tones",
                "--seed",
                "0",
                "One. Two. Three.",
                "-o",
                "said.wav",
                "--no-metadata",
            ]
        )
        == 0
    )
    assert (home / "said.wav").read_bytes() == (home / "out" / "0001.wav").read_bytes()


def test_all_slots_are_used_and_the_names_are_those_of_the_list(home: Path) -> None:
    engine = Tones(slots=4, hold_at=1)
    (home / "lines.txt").write_text("".join(f"Number {number}.\n" for number in range(8)))
    waiting = threading.Thread(target=lambda: (until(lambda: engine.running == 4), engine.go.set()))
    waiting.start()
    assert batch(engine, "lines.txt", "-d", "out") == 0
    waiting.join()
    assert engine.most_running == 4
    assert batch(Tones(slots=1), "lines.txt", "-d", "alone") == 0
    assert sounds(home / "out") == sounds(home / "alone")


@pytest.mark.parametrize("cached", [True, False])
def test_equal_rows_are_made_once(home: Path, cached: bool) -> None:
    (home / "lines.txt").write_text("Hello.\nHello.\nOther.\nHello.\n")
    engine = Tones(slots=3)
    assert batch(engine, "lines.txt", "-d", "out", *([] if cached else ["--no-cache"])) == 0
    assert len(engine.requests) == (2 if cached else 4)
    found = sounds(home / "out")
    assert found["0001.wav"] == found["0002.wav"] == found["0004.wav"] != found["0003.wav"]


def test_a_cache_between_lists_is_used_when_it_is_asked_for(home: Path) -> None:
    (home / "lines.txt").write_text("Hello.\nOne. Two.\n")
    engine = Tones()
    for folder in ("first", "second"):
        assert batch(engine, "lines.txt", "-d", folder, "--cache") == 0
    assert len(engine.requests) == 3
    assert sounds(home / "first") == sounds(home / "second")
    assert batch(engine, "lines.txt", "-d", "third") == 0
    assert len(engine.requests) == 6
    assert sounds(home / "third") == sounds(home / "first")


BAD_ROWS = [
    ({"text": "x", "speed": 9}, "speed: 9 is not a number from 0.25 to 4"),
    ({"text": "x", "seed": "many"}, "seed: 'many' is not a whole number"),
    ({"text": "x", "voise": "anna"}, "voise: There is no column of this name. Did you mean 'voice'?"),
    ({"text": "x", "voice": "nobody"}, "voice: There is no voice 'nobody'"),
    ({"text": "x", "ref_audio": "missing.wav"}, "Cannot read missing.wav"),
    ({"text": "x", "prompt_audio": "clip.wav"}, "prompt_text: --prompt-audio and --prompt-text go together"),
    ({"text": "x", "normalize": "perhaps"}, "normalize: 'perhaps' is not true or false"),
    ({"text": "x", "steps": "auto"}, "steps: auto changes the steps while a text is played"),
    ({"text": "x", "min_len": 9, "max_len": 3}, "--min-len 9 is more than --max-len 3"),
    ({"text": "x", "lang": "en", "language": "de"}, "language: 'lang' means the same"),
    ({"text": "x", "format": "mp4"}, "format: Unknown format 'mp4'"),
    ({"text": "x", "output": "../x.wav"}, "output: '../x.wav' leads out of the folder"),
    ({"text": "x", "output": "CON.wav"}, "output: 'CON.wav' is not allowed as a name on every system"),
    ({"text": "x", "output": "manifest.jsonl/x"}, None),
    ({"text": "x", "file": "lines.txt"}, "A row has a text or a file"),
    ({"file": "missing.txt"}, "file: Cannot read missing.txt"),
    ({"file": "clip.wav"}, "file: clip.wav is"),
    ({"voice": "default"}, "no column 'text' or 'file'"),
    ({"text": ["x"]}, "text: ['x'] is not a text"),
    ({"text": 7}, "text: 7 is not a text"),
    ({"text": "***"}, "text: There is nothing to say"),
    ({"text": "\ud800"}, "text: It is not valid Unicode"),
    ({"text": "x", "speed": True}, "speed: True is not a number"),
    ({"text": "x", "gap": 1, "no_split": True}, "gap"),
    ({"text": "x", "output": "Good.wav"}, "Its file would be Good.wav, as that of line 1"),
    ({"text": "x", "output": "GOOD.wav"}, "Its file would be GOOD.wav, as that of line 1"),
]


def test_every_wrong_row_is_told_with_its_place_before_anything_is_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "clip.wav").write_bytes(spoken_wav())
    (home / "lines.txt").write_text("x")
    wrong = [(row, why) for row, why in BAD_ROWS if why]
    write_rows(home / "rows.jsonl", [{"text": "Good.", "output": "Good.wav"}, *(row for row, _ in wrong)])
    engine = Tones()
    assert batch(engine, "rows.jsonl", "-d", "out", "--json") == 4
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    mistakes = {event["line"]: f"{event['column']}: {event['message']}" for event in events[:-1]}
    for number, (row, why) in enumerate(wrong, start=2):
        assert why in mistakes.get(number, ""), row
    assert len(mistakes) == len(wrong)
    assert events[-1]["mistakes"] == len(wrong)
    assert engine.requests == []
    assert not (home / "out").exists()


def test_a_missing_voice_in_row_900_is_found_before_anything_is_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [{"text": f"Row {number}."} for number in range(1000)]
    rows[899]["voice"] = "ana"
    VoiceLibrary(home / "home" / "voices").save("anna", Voice(style="old"))
    engine = Tones()
    assert batch(engine, write_rows(home / "rows.jsonl", rows), "-d", "out") == 4
    assert "rows.jsonl, line 900, voice: There is no voice 'ana'. Did you mean 'anna'?" in capsys.readouterr().err
    assert (engine.requests, (home / "out").exists()) == ([], False)


def test_one_list_has_one_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(home / "rows.jsonl", [{"text": "a", "model": "tones"}, {"text": "b", "model": "voxcpm-2"}])
    assert batch(Tones(), "rows.jsonl", "-d", "out") == 4
    assert "line 2, model: One list is spoken by one model" in capsys.readouterr().err


def test_a_check_makes_nothing_and_estimates(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("A text of some length. " * 20 + "\n")
    engine = Tones()
    for arguments in (["--check"], ["--dry-run", "-d", "out"]):
        assert batch(engine, "lines.txt", *arguments) == 0
        assert "all rows can be spoken · 1 rows · 459 characters · about 30 s of audio" in capsys.readouterr().err
    assert (engine.requests, sorted(path.name for path in home.iterdir())) == ([], ["lines.txt"])
    assert batch(engine, "lines.txt", "-d", "out") == 0
    assert batch(engine, "lines.txt", "-d", "out", "--check") == 0
    assert "to make at the speed of before" in capsys.readouterr().err


def test_columns_without_a_meaning_are_named_and_can_name_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(home / "rows.jsonl", [{"text": "a", "emotion": "sad", "take": 3}])
    assert batch(Tones(), "rows.jsonl", "-d", "out", "--name", "{emotion}-{take:02}.{ext}", "--format", "mp3") == 0
    assert "emotion, take" in capsys.readouterr().err
    assert list(sounds(home / "out")) == ["sad-03.mp3"]


def test_a_list_comes_through_a_pipe(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Piped(io.TextIOWrapper):
        """Standard input."""

    monkeypatch.setattr(sys, "stdin", Piped(io.BytesIO(b'{"text": "Hello."}\n"Two."\n')))
    assert batch(Tones(), "-", "-d", "out") == 0
    assert len(sounds(home / "out")) == 2


def test_the_words_of_the_original_are_understood(home: Path) -> None:
    (home / "lines.txt").write_text("Hello.\n")
    assert batch(Tones(), "--input", "lines.txt", "--output-dir", "out", "--cfg-value", "1.5") == 0
    assert len(sounds(home / "out")) == 1


def test_a_folder_with_earlier_files_is_not_touched(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("Hello.\n")
    (home / "out").mkdir()
    (home / "out" / "0001.wav").write_bytes(b"mine")
    assert batch(Tones(), "lines.txt", "-d", "out") == 4
    assert "0001.wav, which is there already" in capsys.readouterr().err
    assert sounds(home / "out") == {"0001.wav": b"mine"}
    assert batch(Tones(), "lines.txt", "-d", "out", "--force") == 0
    assert sounds(home / "out")["0001.wav"] != b"mine"
    engine = Tones()
    assert batch(engine, "lines.txt", "-d", "out") == 4
    assert "--resume" in capsys.readouterr().err
    assert engine.requests == []


def test_resuming_takes_the_list_and_the_options_of_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "lines.txt").write_text("Hello.\nTwo.\n")
    assert batch(Tones(), "lines.txt", "-d", "out", "--speed", "2", "--name", "{n}.{ext}") == 0
    (home / "lines.txt").write_text("Hello.\nChanged.\n")
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    engine = Tones()
    assert batch(engine, "--resume", "-d", home / "out") == 0
    assert [(request.text, request.speed) for request in engine.requests] == [("Changed.", 2)]
    assert sorted(sounds(home / "out")) == ["1.wav", "2.wav"]
    assert batch(engine, "--resume", "-d", home / "out", "--speed", "1") == 0
    assert len(engine.requests) == 3


def test_what_is_missing_damaged_or_spoken_otherwise_is_made_again(home: Path) -> None:
    library = VoiceLibrary(home / "home" / "voices")
    library.save("anna", Voice(style="old"))
    write_rows(home / "rows.jsonl", [{"text": text, "voice": voice} for text in "abc" for voice in ("anna", "default")])
    assert batch(Tones(), "rows.jsonl", "-d", "out") == 0
    before = sounds(home / "out")
    (home / "out" / "0002.wav").unlink()
    (home / "out" / "0004.wav").write_bytes(before["0004.wav"][:-10] + b"0123456789")
    os.utime(home / "out" / "0006.wav")  # as after copying
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert sorted(request.text for request in engine.requests) == ["a", "b"]
    assert sounds(home / "out") == before
    library.save("anna", Voice(style="young"), overwrite=True)
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert sorted(request.text for request in engine.requests) == ["a", "b", "c"]
    assert {request.voice.style for request in engine.requests} == {"young"}


def test_rows_that_moved_are_not_made_again(home: Path) -> None:
    path = home / "lines.txt"
    path.write_text("One.\nTwo.\nThree.\n")
    assert batch(Tones(), path, "-d", "out") == 0
    path.write_text("Three.\nNew.\nOne.\nTwo.\nOne.\n")
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert [request.text for request in engine.requests] == ["New."]
    assert batch(Tones(), path, "-d", "fresh") == 0
    assert sounds(home / "out") == sounds(home / "fresh")


def test_files_of_rows_that_are_gone_stay_until_they_are_pruned(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "lines.txt"
    path.write_text("One.\nTwo.\nThree.\n")
    assert batch(Tones(), path, "-d", "out") == 0
    path.write_text("One.\n")
    assert batch(Tones(), "--resume", "-d", "out") == 0
    assert "2 files of earlier rows stay" in capsys.readouterr().err
    assert len(sounds(home / "out")) == 3
    (home / "out" / "0003.wav").write_bytes(b"mine")
    assert batch(Tones(), "--resume", "--prune", "-d", "out") == 0
    assert sorted(sounds(home / "out")) == ["0001.wav", "0003.wav"]


def test_a_row_that_fails_does_not_stop_the_others(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("One.\nbad.\nThree.\n")
    engine = FailingTones("bad", 99, ModelError("The model broke."))
    assert batch(engine, "lines.txt", "-d", "out") == 9
    told = capsys.readouterr().err
    assert "line 2, 0002.wav: The model broke." in told
    assert "2 of 3 rows made · 1 failed" in told
    assert "To go on: voxcli batch --resume -d out" in told
    assert sorted(sounds(home / "out")) == ["0001.wav", "0003.wav"]
    again = Tones()
    assert batch(again, "--resume", "-d", "out") == 0
    assert [request.text for request in again.requests] == ["bad."]
    assert len(sounds(home / "out")) == 3


def test_failed_rows_are_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.cli.commands.batch import run

    monkeypatch.setattr(run, "_FIRST_WAIT_SECONDS", 0.0)
    (home / "lines.txt").write_text("One.\nbad.\nThree.\n")
    assert batch(FailingTones("bad", 2, RemoteError("It left.")), "lines.txt", "-d", "out", "--retry", "2") == 0
    assert len(sounds(home / "out")) == 3


def test_the_first_failure_stops_the_rest_on_wish(home: Path) -> None:
    (home / "lines.txt").write_text("bad.\n" + "".join(f"Number {number}.\n" for number in range(50)))
    engine = FailingTones("bad", 99, RequestError("Not this."))
    assert batch(engine, "lines.txt", "-d", "out", "--fail-fast", "--jobs", "1") == 4
    assert len(engine.requests) < 25


def test_a_server_that_is_gone_is_not_asked_for_every_row(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("".join(f"Number {number}.\n" for number in range(500)))
    engine = FailingTones("Number", 999, RemoteError("It is gone."))
    assert batch(engine, "lines.txt", "-d", "out") == 6
    assert 999 - engine.left < 50
    assert "not begun" in capsys.readouterr().err


def test_a_full_disk_stops_the_work_and_keeps_what_is_complete(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "lines.txt").write_text("".join(f"Number {number}.\n" for number in range(50)))
    synced = work_module.sync
    count = [0]

    def full_after_some(path: Path) -> None:
        count[0] += 1
        if count[0] > 5:
            raise OSError(28, "No space left on device")
        synced(path)

    monkeypatch.setattr(work_module, "sync", full_after_some)
    assert batch(Tones(), "lines.txt", "-d", "out", "--jobs", "1") == 5
    assert "0006.wav: No space left on device" in capsys.readouterr().err
    assert len([name for name in sounds(home / "out") if name.endswith(".wav")]) == 5
    monkeypatch.setattr(work_module, "sync", synced)
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert len(engine.requests) == 45


def test_two_processes_do_not_work_on_one_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("Hello.\n")
    engine = Tones(hold_at=1)
    codes: list[int] = []
    first = threading.Thread(target=lambda: codes.append(batch(engine, "lines.txt", "-d", "out", "--jobs", "1")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "signal", lambda number, handler: None)
        first.start()
        until(lambda: engine.running == 1)
        assert batch(Tones(), "lines.txt", "-d", "out", "--resume") == 5
        assert "Another process is making files in out" in capsys.readouterr().err
        engine.go.set()
        first.join()
    assert codes == [0]


def test_events_tell_each_row_as_it_comes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "lines.txt").write_text("One.\nbad.\nOne.\n")
    engine = FailingTones("bad", 99, ModelError("The model broke."))
    assert batch(engine, "lines.txt", "-d", "out", "--json") == 9
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["checked", "loading", "row", "row", "row", "done"]
    rows = {event["row"]: event for event in events if event["event"] == "row"}
    assert {row["state"] for row in rows.values()} == {"made", "failed", "copied"}
    assert (rows[2]["state"], rows[2]["message"], rows[2]["code"]) == ("failed", "The model broke.", 3)
    assert rows[1]["files"] == ["0001.wav"]
    assert (events[-1]["made"], events[-1]["copied"], events[-1]["failed"]) == (1, 1, 1)
    assert err == ""


class Killed(BaseException):
    """The process is gone: nothing that comes after this has an effect on the disk."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Let the work end at one of its steps, as if the process was killed."""
    left = [steps]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **details: Any) -> Any:
            step()
            return function(*arguments, **details)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (Manifest, "append"),
            (Manifest, "rewrite"),
            (Path, "replace"),
            (Path, "unlink"),
            (Path, "rmdir"),
            (work_module, "sync"),
            (shutil, "copyfile"),
            (shutil, "rmtree"),
            (ToneEngine, "_tone"),
        ):
            patch.setattr(owner, name, before(getattr(owner, name)))
        yield


ROWS = st.lists(
    st.fixed_dictionaries({"text": st.sampled_from(TEXTS), "speed": st.sampled_from([1, 2])}), min_size=1, max_size=5
)


@settings(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking would take minutes
@given(
    runs=st.lists(st.tuples(ROWS, st.integers(0, 40), st.integers(-1, 6)), max_size=3),
    last=ROWS,
    jobs=st.integers(1, 2),
)
def test_any_kill_and_any_edit_end_in_the_files_of_one_run(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[list[dict[str, Any]], int, int]], last: Any, jobs: int
) -> None:
    home = tmp_path_factory.mktemp("law")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXCLI_HOME", str(home / "home"))
        path, out = home / "rows.jsonl", home / "out"
        for rows, steps, damaged in runs:
            write_rows(path, rows)
            with killed_after(steps), suppress(Killed):
                batch(Tones(), path, "-q", "-d", out, "--resume", "-j", jobs)
            if (victim := out / f"{damaged:04}.wav").exists():
                victim.write_bytes(victim.read_bytes()[:-2] + b"??")
            for file in out.rglob("*.wav") if out.exists() else ():
                if file.parent == out:
                    soundfile.info(file)  # no half file has a name
        write_rows(path, last)
        assert batch(Tones(), path, "-q", "-d", out, "--resume", "--prune", "-j", jobs) == 0
        assert batch(Tones(), path, "-q", "-d", home / "fresh") == 0
    kept = {name for name in sounds(out) if name not in sounds(home / "fresh")}
    assert kept <= {f"{damaged:04}.wav" for _, _, damaged in runs}  # changed by others, so not deleted
    assert {name: data for name, data in sounds(out).items() if name not in kept} == sounds(home / "fresh")
    engine = Tones()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXCLI_HOME", str(home / "home"))
        assert batch(engine, "-q", "--resume", "-d", out) == 0
    assert engine.requests == []


def test_a_row_that_was_stopped_goes_on_at_its_next_sentence(home: Path) -> None:
    (home / "lines.txt").write_text(" ".join(f"Sentence number {number}." for number in range(9)) + "\n")

    class Interrupting(Tones):
        """Sends Ctrl-C with the third sentence."""

        def stream(self, request: SynthesisRequest) -> Speech:
            if len(self.requests) == 2:
                signal.raise_signal(signal.SIGINT)
            yield from super().stream(request)

    engine = Interrupting(slots=1, pace=1.0)
    with speaking(engine):
        # The handler belongs to the main thread, and the row is made on another.
        assert app.run(["batch", "--no-warm", "--model", "tones", "lines.txt", "-d", "out"]) == 130
    spoken = len(engine.requests)
    assert spoken < 9
    assert [name for name in sounds(home / "out") if name.endswith(".wav")] == []
    again = Tones()
    assert batch(again, "--resume", "-d", "out") == 0
    assert len(again.requests) == 9 - spoken
    assert batch(Tones(), "lines.txt", "-d", "fresh") == 0
    assert sounds(home / "out") == sounds(home / "fresh")


def test_a_kill_of_the_process_itself_is_resumed(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"This is the line with number {number}.\n" for number in range(60)))
    command = [sys.executable, "-m", "voxcli", "batch", "lines.txt", "-d", "out"]
    for wanted in (5, 30):
        with started(command, environment, (None, None, subprocess.PIPE), folder=tmp_path) as process:
            until(
                lambda wanted=wanted: len([*(tmp_path / "out").glob("*.wav")]) >= wanted or process.poll() is not None
            )  # type: ignore[misc]
            process.kill()
            process.wait()
        command = [*command[:4], "--resume", "-d", "out"]
    done = run("batch", "--resume", "-d", "out")
    assert done.returncode == 0, said(done)
    assert run("batch", "lines.txt", "-d", "fresh").returncode == 0
    assert sounds(tmp_path / "out") == sounds(tmp_path / "fresh")


def test_subtitles_stand_beside_the_sound_and_are_resumed_with_it(home: Path) -> None:
    (home / "lines.txt").write_text("One. Two.\nThree.\n")
    assert batch(Tones(), "lines.txt", "-d", "out", "--also", "srt") == 0
    before = sounds(home / "out")
    assert sorted(before) == ["0001.srt", "0001.wav", "0002.srt", "0002.wav"]
    assert b"Two." in before["0001.srt"]
    (home / "out" / "0002.srt").unlink()
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert [request.text for request in engine.requests] == ["Three."]
    assert sounds(home / "out") == before


def test_a_lexicon_and_what_files_say_of_themselves_are_part_of_what_was_made(home: Path) -> None:
    (home / "lines.txt").write_text("AWS is here.\nOther.\n")
    assert batch(Tones(), "lines.txt", "-d", "out") == 0
    (home / ".voxcli-lexicon.tsv").write_text("AWS\tA W S\n")
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out") == 0
    assert sorted(request.text for request in engine.requests) == ["A W S is here.", "Other."]
    engine = Tones()
    assert batch(engine, "--resume", "-d", "out", "--no-metadata") == 0
    assert len(engine.requests) == 2
    assert b"voxcli" not in sounds(home / "out")["0002.wav"]
