"""`voxcli say` into files and pipes."""

import io
import json
import os
import re
import subprocess
import sys
import time
import wave
from pathlib import Path

import av
import pytest
import soundfile

from tests.program import Run, said, started
from tests.screen import CTRL_C, Reactions, run_on_terminal
from tests.sound import seconds_of
from voxcli.audio.format import AudioFormat

SUMMARY = re.compile(
    r"\d+\.\d s · espeak · [\d.]+× faster than real time · "
    r"sound after [\d.]+ s \((start [\d.]+, )(\w+ [\d.]+, )*first chunk [\d.]+(, output [\d.]+)?\)"
)


def test_a_wav_file(run: Run, tmp_path: Path) -> None:
    done = run("say", "你好，世界", "-o", "hello.wav")
    assert done.returncode == 0
    assert done.stdout == b""
    samples, rate = soundfile.read(tmp_path / "hello.wav")
    assert rate == 22050
    assert 0.8 < len(samples) / rate < 3
    assert SUMMARY.search(said(done))


def test_every_format_decodes_to_the_right_length(run: Run, tmp_path: Path) -> None:
    outputs = [argument for format in AudioFormat for argument in ("-o", f"x.{format}")]
    assert run("say", "Once upon a time there was a voice that spoke.", *outputs).returncode == 0
    seconds = seconds_of(tmp_path / "x.wav")
    assert seconds > 2
    for format in ("flac", "opus"):
        assert seconds_of(tmp_path / f"x.{format}") == pytest.approx(seconds, abs=0.002)
    for format in ("mp3", "aac"):
        assert seconds <= seconds_of(tmp_path / f"x.{format}") < seconds + 0.12
    assert (tmp_path / "x.pcm").stat().st_size == round(2 * 22050 * seconds)


def test_format_wins_over_the_suffix(run: Run, tmp_path: Path) -> None:
    assert run("say", "hello", "-o", "x.bin", "--format", "MP3").returncode == 0
    with av.open(str(tmp_path / "x.bin")) as container:
        assert container.format.name == "mp3"


def test_flac_in_a_pipe_has_its_length(run: Run) -> None:
    done = run("say", "hello", "-o", "-", "--format", "flac")
    assert done.returncode == 0
    sound, rate = soundfile.read(io.BytesIO(done.stdout))
    assert rate == 22050
    assert len(sound) > 0.3 * rate


def test_standard_output_is_a_wav_and_nothing_else(run: Run) -> None:
    done = run("say", "hello", "-o", "-")
    assert done.returncode == 0
    assert done.stdout[:4] == b"RIFF"
    assert len(done.stdout) > 20000
    assert SUMMARY.search(said(done))


@pytest.mark.parametrize("format", AudioFormat)
def test_standard_output_in_every_format_is_the_stream_of_a_file(run: Run, tmp_path: Path, format: AudioFormat) -> None:
    done = run("say", "hello, world", "-o", "-", "--format", format)
    (tmp_path / "out").write_bytes(done.stdout)
    if format is AudioFormat.PCM:
        assert len(done.stdout) / 2 / 22050 > 0.5
    else:
        assert seconds_of(tmp_path / "out") > 0.5


def test_standard_output_and_a_file_at_once(run: Run, tmp_path: Path) -> None:
    done = run("say", "hello", "-o", "-", "-o", "x.wav", "--format", "pcm")
    assert done.returncode == 0
    assert (tmp_path / "x.wav").read_bytes() == done.stdout  # both in the format that was asked for


def test_a_closed_pipe_is_quiet(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -m voxcli say -q -f - -o - | head -c 100; echo "${{PIPESTATUS[0]}}"'],
        input=b"A sentence that is said again and again. " * 500,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout[:4] == b"RIFF"
    assert done.stdout[100:] == b"0\n"


@pytest.mark.parametrize("command", ["voices", "config show"])
def test_a_closed_pipe_is_quiet_for_lists_too(tmp_path: Path, environment: dict[str, str], command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -m voxcli {command} | true; echo "${{PIPESTATUS[0]}}"'],
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def in_a_terminal(
    tmp_path: Path, environment: dict[str, str], *arguments: str, reactions: Reactions | None = None
) -> tuple[int, str]:
    """Run with all three standard streams on a terminal."""
    command = [sys.executable, "-m", "voxcli", *arguments]
    return run_on_terminal(command, environment, reactions or {}, folder=tmp_path, columns=200)


def test_a_terminal_gets_no_sound_as_text(tmp_path: Path, environment: dict[str, str]) -> None:
    code, seen = in_a_terminal(tmp_path, environment, "say", "hello", "-o", "-")
    assert code == 2
    assert "Refusing to write audio to a terminal" in seen
    assert "RIFF" not in seen


def test_a_terminal_without_text_gets_help_and_no_silent_wait(tmp_path: Path, environment: dict[str, str]) -> None:
    code, seen = in_a_terminal(tmp_path, environment, "say")
    assert code == 2
    assert "No text. Give one" in seen


def test_who_asks_for_it_may_type_the_text(tmp_path: Path, environment: dict[str, str]) -> None:
    code, seen = in_a_terminal(
        tmp_path, environment, "say", "-", "-o", "x.wav", reactions={b"waiting": b"Hello there.\n\x04"}
    )
    assert code == 0, seen
    assert seconds_of(tmp_path / "x.wav") > 0.5


def test_colours_are_for_terminals_that_want_them(tmp_path: Path, environment: dict[str, str]) -> None:
    wrong = ["say", "hello", "--voice", "nobody", "-o", "x.wav"]
    assert "\x1b[1;31m" in in_a_terminal(tmp_path, environment, *wrong)[1]
    assert "\x1b[1;31m" not in in_a_terminal(tmp_path, environment | {"NO_COLOR": "1"}, *wrong)[1]


def test_a_terminal_sees_progress_and_one_summary(tmp_path: Path, environment: dict[str, str]) -> None:
    code, seen = in_a_terminal(tmp_path, environment, "say", "hello", "-o", "x.wav")
    assert code == 0
    assert len(SUMMARY.findall(seen)) == 1


def test_the_default_voice_is_named_once_a_day_and_on_terminals_only(
    run: Run, tmp_path: Path, environment: dict[str, str]
) -> None:
    notice, say = "using the built-in voice (eSpeak NG)", ["say", "hello", "--force", "-o", "x.wav"]
    assert notice not in said(run(*say))
    assert notice not in in_a_terminal(tmp_path, environment, *say, "--model", "espeak")[1]
    assert notice not in in_a_terminal(tmp_path, environment, *say, "--json")[1]
    assert notice in in_a_terminal(tmp_path, environment, *say)[1]
    assert notice not in in_a_terminal(tmp_path, environment, *say)[1]
    shown = Path(environment["VOXCLI_HOME"]) / "cache" / "notices" / "builtin-voice"
    os.utime(shown, (0, 0))
    assert notice in in_a_terminal(tmp_path, environment, *say)[1]


def test_what_is_reported_is_what_was_written_pauses_included(run: Run, tmp_path: Path) -> None:
    arguments = ["say", "One. [pause 3s] Two.", "--gap", "2", "-o", "x.wav"]
    done = run(*arguments)
    assert f" · {seconds_of(tmp_path / 'x.wav'):.1f} s · " in said(done)
    last = events_in(run(*arguments, "--force", "--json").stdout)[-1]
    assert last["audio_seconds"] == pytest.approx(seconds_of(tmp_path / "x.wav"), abs=1e-3)
    assert seconds_of(tmp_path / "x.wav") > 3.5


def test_the_wait_for_text_is_shown_and_told_apart(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "voxcli", "say", "-", "-o", "x.wav"]
    cues: Reactions = {b"waiting for text": b"Hello there.\n\x04"}
    code, seen = run_on_terminal(command, environment | {"PWD": str(tmp_path)}, cues, folder=tmp_path)
    assert code == 0, seen
    words = " ".join(re.sub(r"\x1b\[[\d?]*[a-zA-Z]", "", seen).split())
    assert SUMMARY.search(words)
    assert ", text " in words


def test_ctrl_c_says_what_was_kept_and_leaves_no_status_line(tmp_path: Path, environment: dict[str, str]) -> None:
    writer = """import signal, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell in the background lets its programs ignore
print('A first sentence. ' * 9, flush=True)
time.sleep(60)"""
    (tmp_path / "writer.py").write_text(writer)
    line = f"{sys.executable} writer.py | {sys.executable} -m voxcli say -o x.wav"
    code, seen = run_on_terminal(["bash", "-c", line], environment, {b"waiting for text": CTRL_C}, folder=tmp_path)
    assert code == 130
    shown = seen.rpartition("\x1b[2K")[2]
    assert re.fullmatch(r"\s*stopped: x\.wav has \d+\.\d s of audio\s*", re.sub(r"\x1b\[[\d?]*\w", "", shown)), seen
    assert f"{seconds_of(tmp_path / 'x.wav'):.1f} s" in shown


def test_quiet_is_quiet(run: Run) -> None:
    done = run("say", "hello", "-o", "x.wav", "-q")
    assert (done.stdout, done.stderr) == (b"", b"")


def test_verbose_says_more(run: Run) -> None:
    quiet, verbose = run("say", "hello", "-o", "x.wav"), run("say", "hello", "-o", "y.wav", "--verbose")
    assert len(verbose.stderr.splitlines()) > len(quiet.stderr.splitlines())


def events_in(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.decode().splitlines()]


def test_json_is_one_event_per_line(run: Run, tmp_path: Path) -> None:
    done = run("say", "hello, world", "-o", "x.wav", "--json")
    events = events_in(done.stdout)
    assert done.stderr == b""
    others = [event["event"] for event in events if event["event"] != "chunk"]
    assert others == ["loading", "sentence", "first_audio", "sentence", "done"]
    chunks = [event for event in events if event["event"] == "chunk"]
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert sum(int(str(chunk["samples"])) for chunk in chunks) == file.getnframes()
        assert events[-1]["audio_seconds"] == pytest.approx(file.getnframes() / file.getframerate())
    assert events[-1]["outputs"] == ["x.wav"]
    assert events[-1]["underruns"] is None


def test_json_leaves_standard_output_to_the_sound(run: Run) -> None:
    done = run("say", "hello", "-o", "-", "--json")
    assert done.stdout[:4] == b"RIFF"
    assert events_in(done.stderr)[-1]["event"] == "done"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["hello", "--voice", "nobody"], 3, "NotFound"),
        (["", "-o", "x.wav"], 4, "RequestError"),
        (["-f", "missing.txt"], 4, "RequestError"),
        (["hello", "-o", "/nowhere/x.wav"], 5, "DeviceError"),
    ],
)
def test_json_errors_carry_the_exit_code(run: Run, arguments: list[str], code: int, kind: str) -> None:
    done = run("say", *arguments, "--json", "-o", "y.wav")
    assert done.returncode == code
    error = events_in(done.stdout)[-1]
    assert (error["event"], error["code"], error["kind"]) == ("error", code, kind)
    assert error["message"]


def test_volume_is_loudness(run: Run, tmp_path: Path) -> None:
    peaks = []
    for volume in ("0.25", "1", "4"):
        assert run("say", "hello", "-o", f"{volume}.wav", "--volume", volume).returncode == 0
        peaks.append(abs(soundfile.read(tmp_path / f"{volume}.wav")[0]).max())
    assert peaks[0] == pytest.approx(peaks[1] / 4, rel=0.1)
    assert peaks[2] == pytest.approx(1, abs=0.001)


def test_speed_and_language_reach_the_voice(run: Run, tmp_path: Path) -> None:
    for name, options in {"slow": ["--speed", "0.5"], "fast": ["-s", "2"]}.items():
        assert run("say", "One two three four five.", "-o", f"{name}.wav", *options).returncode == 0
    assert seconds_of(tmp_path / "slow.wav") > 3 * seconds_of(tmp_path / "fast.wav")
    assert run("say", "1 2 3", "-o", "zh.wav", "-l", "zh").returncode == 0
    assert run("say", "1 2 3", "-o", "en.wav", "--lang", "en").returncode == 0
    assert seconds_of(tmp_path / "zh.wav") != pytest.approx(seconds_of(tmp_path / "en.wav"), rel=0.02)


def test_a_pause_is_silence(run: Run, tmp_path: Path) -> None:
    run("say", "One. Two.", "-o", "short.wav")
    done = run("say", "One. [pause 1.5s] Two. [laugh]", "-o", "long.wav")
    assert seconds_of(tmp_path / "long.wav") == pytest.approx(seconds_of(tmp_path / "short.wav") + 1.5, abs=0.15)
    assert "[laugh]" in said(done)


def test_markdown_files_are_read_as_one_would_aloud(run: Run, tmp_path: Path) -> None:
    plain, marked = (
        "Title\n\nSome bold text with a link.\n",
        "# Title\n\nSome **bold** text with a [link](http://x.y).\n",
    )
    code = "\n```python\nprint('this is code that nobody wants to hear')\n```\n"
    (tmp_path / "plain.txt").write_text(plain)
    (tmp_path / "chapter.md").write_text(marked + code)
    assert run("say", "-f", "plain.txt", "-o", "plain.wav").returncode == 0
    assert run("say", "-f", "chapter.md", "-o", "chapter.wav").returncode == 0
    assert run("say", "-f", "chapter.md", "-o", "raw.wav", "--no-markdown").returncode == 0
    seconds = seconds_of(tmp_path / "plain.wav")
    assert seconds_of(tmp_path / "chapter.wav") == pytest.approx(seconds, rel=0.03)
    assert seconds_of(tmp_path / "raw.wav") > 1.5 * seconds


def test_a_book_is_no_problem(run: Run, tmp_path: Path) -> None:
    book = ("一本很长的书。" + " " * 1400 + "\n") * 100
    (tmp_path / "book.txt").write_text(book)
    assert len(book.encode()) > 131072  # what one argument holds on Linux
    assert run("say", "-f", "book.txt", "-s", "4", "-o", "file.wav").returncode == 0
    assert run("say", "-s", "4", "-o", "pipe.wav", stdin=book.encode()).returncode == 0
    assert seconds_of(tmp_path / "file.wav") == pytest.approx(seconds_of(tmp_path / "pipe.wav"), rel=0.001)
    assert seconds_of(tmp_path / "file.wav") > 30


def test_dash_is_standard_input(run: Run, tmp_path: Path) -> None:
    assert run("say", "-", "-o", "a.wav", stdin=b"hello").returncode == 0
    assert run("say", "-f", "-", "-o", "b.wav", stdin=b"hello").returncode == 0
    assert run("say", "hello", "-o", "c.wav", stdin=b"something else that is much longer").returncode == 0
    lengths = [seconds_of(tmp_path / name) for name in ("a.wav", "b.wav", "c.wav")]
    assert max(lengths) == pytest.approx(min(lengths), rel=0.02)


def test_unquoted_words_are_one_text(run: Run, tmp_path: Path) -> None:
    run("say", "one", "two", "three", "-o", "x.wav")
    run("say", "one two three", "-o", "y.wav")
    assert seconds_of(tmp_path / "x.wav") == pytest.approx(seconds_of(tmp_path / "y.wav"), rel=0.02)


def test_a_file_grows_while_the_text_is_still_being_written(tmp_path: Path, environment: dict[str, str]) -> None:
    path = tmp_path / "x.wav"
    command = [sys.executable, "-m", "voxcli", "say", "-o", str(path)]
    with started(command, environment, (subprocess.PIPE, None, None)) as process:
        assert process.stdin
        process.stdin.write("第一句。".encode())
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not (path.exists() and path.stat().st_size > 20000):
            assert time.monotonic() < deadline, "the first sentence is not spoken before the second is written"
            time.sleep(0.01)
        with wave.open(str(path)) as file:
            first = file.getnframes()
        process.stdin.write("第二句。".encode())
        process.stdin.close()
        assert process.wait(20) == 0
    with wave.open(str(path)) as file:
        assert file.getnframes() > 1.8 * first
