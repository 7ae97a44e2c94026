"""Subtitles of `voxcli say`: which files get them, and in which way."""

import json
from pathlib import Path

import pytest

from tests.program import Here, Run, said
from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.cli.commands.chosen import choose_targets
from voxcli.cli.options.speech import OutputOptions
from voxcli.sinks import ToFile

TEXT = "The **first** sentence. [pause 0.5s] The second one & its < end."


def test_subtitles_beside_the_sound_have_the_times_of_the_events(run: Run, tmp_path: Path) -> None:
    (tmp_path / "talk.md").write_text(TEXT)
    outputs = [argument for name in ("x.wav", "x.srt", "x.vtt", "x.lrc", "x.json") for argument in ("-o", name)]
    done = run("say", "-f", "talk.md", *outputs, "--json", "--speed", "1.3", "--gap", "0.4")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    marks = [event for event in events if event["event"] == "sentence" and event["end_seconds"]]
    written = json.loads((tmp_path / "x.json").read_text())["sentences"]
    assert [(mark["start_seconds"], mark["end_seconds"], mark["text"]) for mark in marks] == [
        (entry["start"], entry["end"], entry["text"]) for entry in written
    ]
    assert [mark["text"] for mark in marks] == ["The first sentence.", "The second one & its < end."]
    assert TEXT[slice(*marks[0]["position"])] == "The **first** sentence."
    assert TEXT[slice(*marks[1]["position"])] == marks[1]["text"]
    assert marks[1]["start_seconds"] > marks[0]["end_seconds"] + 0.2
    start = f"00:00:0{marks[1]['start_seconds']:.3f}"
    assert f"{start} --> " in (tmp_path / "x.vtt").read_text()
    assert f"{start.replace('.', ',')} --> " in (tmp_path / "x.srt").read_text()
    assert "[00:00.00]The first sentence." in (tmp_path / "x.lrc").read_text()
    assert [event["outputs"] for event in events if event["event"] == "done"] == [
        ["x.wav", "x.srt", "x.vtt", "x.lrc", "x.json"]
    ]


def test_subtitles_alone_are_written_and_the_missing_sound_is_named(run: Run, tmp_path: Path) -> None:
    done = run("say", TEXT, "-o", "x.srt")
    assert done.returncode == 0
    assert "Only subtitles are written. For the speech as well, add for example: -o speech.mp3" in said(done)
    assert (tmp_path / "x.srt").read_text().startswith("1\n00:00:00,000 --> ")


def test_subtitles_into_a_pipe(run: Run, tmp_path: Path) -> None:
    done = run("say", TEXT, "-o", "x.wav", "-o", "-", "--format", "srt")
    assert done.returncode == 0
    assert done.stdout.count(b" --> ") == 2
    assert (tmp_path / "x.wav").read_bytes().startswith(b"RIFF")


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(here: Here, tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text("precious")
    code, message = here("say", "Hi.", "-o", "x.wav", "-o", "x.srt")
    assert "x.srt already exists" in message
    assert code != 0
    assert (tmp_path / "x.srt").read_text() == "precious"
    assert here("say", "Hi.", "-o", "x.wav", "-o", "x.srt", "--force")[0] == 0
    assert "Hi." in (tmp_path / "x.srt").read_text()


@pytest.mark.parametrize(
    ("name", "wanted", "format"),
    [
        ("x.srt", None, SubtitleFormat.SRT),
        ("x.SRT", "mp3", SubtitleFormat.SRT),
        ("x.mp3", "srt", AudioFormat.MP3),
        ("x", "srt", SubtitleFormat.SRT),
        ("x.wav", "mp3", AudioFormat.MP3),
        ("x.vtt", "srt", SubtitleFormat.SRT),
    ],
)
def test_a_format_holds_for_files_of_its_kind(
    name: str, wanted: str | None, format: AudioFormat | SubtitleFormat
) -> None:
    (target,) = choose_targets(OutputOptions(output=[name], format=wanted))
    assert isinstance(target, ToFile)
    assert target.format == format


def test_an_audition_has_no_subtitles(here: Here) -> None:
    code, message = here("voices", "audition", "en", "-o", "x.srt")
    assert code == 2
    assert "An audition has no subtitles" in message
