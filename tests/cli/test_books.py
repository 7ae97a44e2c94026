"""Audiobooks on the command line: made, stopped, resumed, and refused in words."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mutagen.mp4 import MP4

from tests.documents.made import epub
from tests.program import STRICTLY, Here, Run, said
from voxcli.audio.decode import decode
from voxcli.audio.loudness import loudness

pytest.importorskip("lxml")

BOOK = epub(
    {
        f"{name}.xhtml": f"<h1>{name}</h1>" + f"<p>The {name} chapter has a text. It is short.</p>" * 3
        for name in ("One", "Two", "Three")
    },
    toc=[(name, f"{name}.xhtml") for name in ("One", "Two", "Three")],
)


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "novel.epub"
    path.write_bytes(BOOK)
    return path


def test_a_book_becomes_one_file_with_subtitles_beside_it(run: Run, novel: Path) -> None:
    done = run("say", "-f", "novel.epub", "-o", "novel.m4b", "-o", "novel.srt", "--json")
    assert done.returncode == 0, said(done)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert [kinds.count(kind) for kind in ("book", "chapter", "done")] == [1, 3, 1]
    assert events[-1]["outputs"] == ["novel.m4b"]
    assert [chapter["title"] for chapter in events[-1]["chapters"]] == ["One", "Two", "Three"]
    tagged = MP4(novel.with_suffix(".m4b"))
    assert [chapter.title for chapter in tagged.chapters] == ["One", "Two", "Three"]
    assert tagged.info.length == pytest.approx(events[-1]["audio_seconds"], abs=0.1)
    assert "The One chapter has a text." in novel.with_suffix(".srt").read_text("utf-8")
    assert sorted(path.name for path in novel.parent.iterdir()) == ["novel.epub", "novel.m4b", "novel.srt"]


def test_a_book_becomes_a_folder_of_the_chapters_asked_for(run: Run, novel: Path) -> None:
    done = run("say", "-f", "-", "-o", "out/", "--chapters", "2-", "--format", "opus", stdin=BOOK)
    assert done.returncode == 0, said(done)
    assert sorted(path.name for path in (novel.parent / "out").iterdir()) == [
        "01 Two.opus",
        "02 Three.opus",
        "A Book.m3u8",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-f", "novel.epub", "-o", "a.m4b", "-o", "b/"], 2, "One book at a time, not a.m4b and b/."),
        (["-f", "novel.epub", "-o", "a.m4b", "--play"], 2, "A book is not played while it is made."),
        (["-f", "novel.epub", "-o", "a.m4b", "--format", "mp3"], 2, "a.m4b is AAC in MP4."),
        (["-f", "novel.epub", "-o", "a/", "--format", "pcm"], 2, "Unknown format 'pcm'"),
        (["hello", "-o", "a.wav", "--jobs", "2"], 2, "--jobs is for a book"),
        (["-f", "novel.epub", "-o", "a.m4b", "-o", "novel.epub.srt"], 4, "novel.epub.srt already exists."),
        (["-f", "novel.epub", "-o", "a.m4b", "--partial"], 4, "There is nothing of a.m4b yet"),
        (["-f", "novel.epub", "-o", "there.m4b"], 4, "there.m4b already exists."),
        (["-f", "novel.epub", "-o", "nowhere/a.m4b"], 4, "there is no directory nowhere"),
        (["-f", "novel.epub", "-o", "novel.epub/"], 4, "it is not a directory"),
        (["...", "-o", "a.m4b"], 4, "There is nothing to say"),
    ],
)
def test_what_cannot_be_made_is_told_before_anything_is_made(
    here: Here, novel: Path, arguments: list[str], code: int, message: str
) -> None:
    novel.with_name("there.m4b").write_bytes(b"another book")
    novel.with_name("novel.epub.srt").touch()
    found, error = here("say", *arguments)
    assert (found, message in error) == (code, True), error
    assert novel.with_name("there.m4b").read_bytes() == b"another book"
    assert {path.name for path in novel.parent.iterdir()} == {"novel.epub", "novel.epub.srt", "there.m4b"}


def test_a_text_becomes_a_book_of_one_chapter(run: Run, tmp_path: Path) -> None:
    assert run("say", "Hello there, listener.", "-o", "hello.m4a").returncode == 0
    assert [chapter.title for chapter in MP4(tmp_path / "hello.m4a").chapters] == ["1"]


def loudness_of(path: Path) -> float:
    return loudness(decode(path.read_bytes()))


def test_speech_is_brought_to_a_loudness_exactly_in_files_and_nearly_in_pipes(run: Run, tmp_path: Path) -> None:
    text = "This is a text of several sentences. " * 6
    assert run("say", text, "-o", "a", "-o", "a.srt", "--format", "wav", "--loudness", "-23").returncode == 0
    assert run("say", text, "-o", "plain.wav", "-o", "plain.srt").returncode == 0
    assert loudness_of(tmp_path / "a") == pytest.approx(-23, abs=0.1)
    assert (tmp_path / "a.srt").read_text("utf-8") == (tmp_path / "plain.srt").read_text("utf-8")
    piped = run("say", text, "-o", "-", "--format", "flac", "-o", "b.srt", "--loudness", "-23")
    assert piped.returncode == 0, said(piped)
    (tmp_path / "b.flac").write_bytes(piped.stdout)
    assert loudness_of(tmp_path / "b.flac") == pytest.approx(-23, abs=1.5)
    assert (tmp_path / "b.srt").read_text("utf-8") == (tmp_path / "plain.srt").read_text("utf-8")
    lengths = [decode((tmp_path / name).read_bytes()).seconds for name in ("a", "b.flac", "plain.wav")]
    assert lengths[0] == lengths[1] == lengths[2]


def test_a_book_goes_on_after_a_kill_and_after_ctrl_c(novel: Path, environment: dict[str, str]) -> None:
    """The kills are real; what they leave is tested with every place of a kill in tests/batch/books."""
    command = [sys.executable, "-m", "voxcli", "say", "-f", "novel.epub", "-o", "novel.m4b", "--json"]
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        with subprocess.Popen(
            command, cwd=novel.parent, env=environment | STRICTLY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if json.loads(line)["event"] == "sentence":
                    os.kill(process.pid, stop)
                    break
            process.stdout.read()
        assert process.returncode in (code, 0)
    done = subprocess.run(command, cwd=novel.parent, env=environment | STRICTLY, capture_output=True, check=False)
    assert done.returncode in (0, 4)  # 4: it was whole before the signal came
    assert len(MP4(novel.with_suffix(".m4b")).chapters) == 3
    assert not novel.with_name("novel.m4b.parts").exists()
