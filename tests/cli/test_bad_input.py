"""What a user does wrong gets a sentence, the right exit code, and leaves nothing behind."""

import resource
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.program import Run, said


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000", "***", "😀", "[pause 1s]"])
def test_a_text_without_words_writes_nothing(run: Run, tmp_path: Path, text: str) -> None:
    done = run("say", text, "-o", "x.wav")
    assert done.returncode == 4
    assert "nothing to say" in said(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stdin", [b"", b" \n", b"```\ncode\n```\n"])
def test_so_does_an_empty_pipe(run: Run, tmp_path: Path, stdin: bytes) -> None:
    done = run("say", "-o", "x.wav", stdin=stdin)
    assert done.returncode == 4
    assert "nothing to say" in said(done)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_text_file_is_named(run: Run) -> None:
    done = run("say", "-f", "[no] such.txt", "-o", "x.wav")
    assert done.returncode == 4
    assert "[no] such.txt" in said(done)


def test_a_directory_as_text_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run("say", "-f", "folder", "-o", "x.wav")
    assert done.returncode == 4
    assert "folder" in said(done)
    assert "directory" in said(done).lower()


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01\x00\x00", b"abc\x00def", b"RIFF\xff\xff\xff"])
def test_a_binary_file_as_text_is_named(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "program").write_bytes(content)
    for done in (run("say", "-f", "program", "-o", "x.wav"), run("say", "-o", "x.wav", stdin=content)):
        assert done.returncode == 4
        assert "program" in said(done) or "standard input" in said(done)
        assert not (tmp_path / "x.wav").exists()


def test_another_encoding_is_read_and_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "latin1.txt").write_bytes("café au lait".encode("latin-1"))
    done = run("say", "-f", "latin1.txt", "-o", "x.wav")
    assert done.returncode == 0
    assert "latin1.txt is not UTF-8: it is read as Windows-1252" in said(done)


def test_invalid_utf8_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_bytes(b"Ein Wort. " + b"\xff\xff\x81\x8d")
    done = run("say", "-f", "broken.txt", "-o", "x.wav")
    assert done.returncode == 4
    assert "broken.txt is not UTF-8 text: byte 10 is 0xff" in said(done)
    assert not (tmp_path / "x.wav").exists()


def test_invalid_utf8_in_the_middle_of_a_pipe_keeps_what_was_spoken(run: Run, tmp_path: Path) -> None:
    done = run("say", "-o", "x.wav", stdin=b"All is well so far. Next comes" + b" " * 200_001 + b" \xff\xfe")
    assert done.returncode == 4
    assert "byte 200032 is 0xff" in said(done)
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert file.getnframes() > file.getframerate()


def test_invalid_utf8_on_the_command_line_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"voxcli", b"say", b"caf\xe9", b"-o", b"x.wav"],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 4
    assert "Unicode" in said(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["nowhere/x.wav", "/proc/x.wav"])
def test_a_target_that_cannot_be_written_is_named(run: Run, target: str) -> None:
    done = run("say", "hello", "-o", target)
    assert done.returncode == 5
    assert f"Cannot write {target}" in said(done)


def test_names_too_long_for_a_file_are_told(run: Run) -> None:
    name = "x" * 300
    done = run("say", "hello", "-o", f"{name}.wav")
    assert done.returncode == 5
    assert "Cannot write" in said(done)
    for option in ("-f", "--ref-audio"):
        done = run("say", *([] if option == "-f" else ["hello"]), option, name, "-o", "x.wav")
        assert done.returncode == 4
        assert "Cannot read" in said(done)


def test_a_full_disk_keeps_what_fitted(tmp_path: Path, environment: dict[str, str]) -> None:
    limit = 100_000

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "voxcli", "say", "word " * 200, "-o", "x.wav"],
        capture_output=True,
        cwd=tmp_path,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=fill_the_disk,
        check=False,
    )
    assert done.returncode == 5
    assert "Cannot write x.wav" in said(done)
    assert "kept" in said(done)
    size = (tmp_path / "x.wav").stat().st_size
    assert limit - 10_000 < size <= limit  # the last chunk did not fit
    with wave.open(str(tmp_path / "x.wav")) as file:
        samples = file.readframes(file.getnframes())
    assert len(samples) == 2 * file.getnframes() > limit - 12_000
    assert (tmp_path / "x.wav").read_bytes().endswith(samples)


def test_a_file_is_not_overwritten_without_force(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"precious")
    done = run("say", "hello", "-o", "x.wav")
    assert done.returncode == 4
    assert "--force" in said(done)
    assert (tmp_path / "x.wav").read_bytes() == b"precious"
    assert run("say", "hello", "-o", "x.wav", "--force").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--format", "mp4", "-o", "x"], 2, ["Unknown format 'mp4'", "Did you mean 'mp3'", "opus"]),
        (["-o", "x.mp4"], 2, ["Cannot tell the audio format from the name x.mp4", "Did you mean '.mp3'", "--format"]),
        (["-o", "x"], 2, ["Cannot tell the audio format", "--format"]),
        (["--voice", "en-uk", "-o", "x.wav"], 3, ["no voice 'en-uk'", "Did you mean 'en-us'", "voxcli voices --all"]),
        (["--language", "kr", "-o", "x.wav"], 3, ["does not speak 'kr'", "cmn", "voxcli voices --all"]),
        (["--model", "espeek", "-o", "x.wav"], 3, ["no model 'espeek'", "Did you mean 'espeak'"]),
        (["--voic", "en", "-o", "x.wav"], 2, ["--voic", "--voice"]),
        (["--speed", "9", "-o", "x.wav"], 2, ["Out of range: --speed 9 (0.25 to 4)."]),
        (["--speed", "fast", "-o", "x.wav"], 2, ["Not a number: --speed fast (0.25 to 4)."]),
        (["--volume", "-1", "-o", "x.wav"], 2, ["--volume"]),
        (["--no-play"], 2, ["-o FILE"]),
        (["-o", "-", "-o", "-"], 2, ["more than once: -"]),
        (["-o", "x.wav", "-o", "x.wav", "--force"], 2, ["more than once: x.wav"]),
        (["-f", "y.txt", "-o", "x.wav"], 2, ["not both"]),
        (["--prompt-text", "hello", "-o", "x.wav"], 2, ["--prompt-audio"]),
        (["--prompt-audio", "x", "--prompt-text", " ", "-o", "x.wav"], 2, ["--prompt-audio", "go together"]),
        (["--voice", "en", "--ref-audio", "x", "-o", "x.wav"], 2, ["not both"]),
        (["--ref-audio", "missing.wav", "-o", "x.wav"], 4, ["missing.wav"]),
    ],
)
def test_wrong_options_say_what_there_is(
    run: Run, tmp_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    done = run("say", "hello", *arguments)
    assert done.returncode == code, said(done)
    for word in words:
        assert word in said(done)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_command_is_not_spoken(run: Run) -> None:
    done = run("sya", "hello")
    assert done.returncode == 2
    assert "Did you mean 'say'" in said(done)


@pytest.mark.parametrize("option", ["--ref-audio", "--prompt-audio"])
def test_the_built_in_voice_says_that_it_cannot_clone(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "ref.wav").write_bytes(b"RIFF")
    words = ["--prompt-text", "words"] if option == "--prompt-audio" else []
    done = run("say", "hello", option, "ref.wav", *words, "-o", "x.wav")
    assert done.returncode == 4
    assert "cannot imitate a voice. The VoxCPM models can" in said(done)
    assert not (tmp_path / "x.wav").exists()


def test_without_a_loudspeaker_playing_fails_and_says_how_to_mend_it(run: Run) -> None:
    done = run("say", "hello")
    assert done.returncode == 5
    assert "-o" in said(done)


def test_without_a_loudspeaker_the_file_is_still_written_whole(run: Run, tmp_path: Path) -> None:
    assert run("say", "hello, world", "-o", "alone.wav").returncode == 0
    done = run("say", "hello, world", "--play", "-o", "x.wav")
    assert done.returncode == 5
    with wave.open(str(tmp_path / "alone.wav")) as alone, wave.open(str(tmp_path / "x.wav")) as file:
        assert file.getnframes() == pytest.approx(alone.getnframes(), rel=0.02)


def test_a_path_with_brackets_prints_whole(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "[draft]" / "[/bold]"
    folder.mkdir(parents=True)
    (folder / "x.wav").touch()
    done = run("say", "hello", "-o", str(folder / "x.wav"))
    assert str(folder / "x.wav") in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--voice", "\x1b[31mred\x07", "-o", "x.wav"], 3), (["-o", "\x1b[31m[bold]red\x07"], 2)]
)
def test_text_cannot_steer_the_terminal(run: Run, arguments: list[str], code: int) -> None:
    done = run("say", "hello", *arguments)
    assert done.returncode == code
    assert b"\x1b" not in done.stderr
    assert b"\x07" not in done.stderr
    assert "red" in said(done)
    assert ("[bold]" in arguments[1]) == ("[bold]" in said(done))


def test_options_without_effect_are_one_warning(run: Run) -> None:
    done = run("say", "hello", "--steps", "5", "--seed", "7", "--instruct", "an old man", "-o", "x.wav")
    assert done.returncode == 0, said(done)
    warning = "--steps, --seed, --instruct have no effect on the built-in voice (eSpeak NG)"
    assert said(done).count("warning") == 1
    assert warning in " ".join(said(done).split())


def test_a_voice_that_is_a_description_is_refused_where_another_would_be_heard(run: Run) -> None:
    assert run("voices", "add", "old", "--instruct", "an old man").returncode == 0
    for arguments in (["say", "hello", "--voice", "old"], ["voices", "audition", "old"]):
        done = run(*arguments, "-o", "x.wav")
        assert done.returncode == 4, said(done)
        assert "This voice is a description" in said(done)
