"""Signals to a running process: its files are complete, its exit codes right."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.program import started
from tests.sound import read_by_three, seconds_of

ENDLESS = "This sentence is repeated again and again until the process is stopped by a signal. "


@contextmanager
def speaking(
    tmp_path: Path, environment: dict[str, str], *arguments: str, name: str = "x.wav"
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Yield a process that has begun to write its file and waits for more text."""
    path = tmp_path / name
    command = [sys.executable, "-m", "voxcli", "say", "-o", str(path), *arguments]
    with started(command, environment, (subprocess.PIPE,) * 3) as process:
        assert process.stdin
        process.stdin.write(ENDLESS.encode() * 20)
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not (path.exists() and path.stat().st_size > 20_000):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        yield process, path


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_any_signal_leaves_a_wav_that_all_readers_agree_on(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals, code: int
) -> None:
    with speaking(tmp_path, environment) as (process, path):
        process.send_signal(number)
        assert process.wait(timeout=10) == code
    by_wave, by_soundfile, by_av = read_by_three(path)
    assert by_wave == by_soundfile == by_av >= 5000
    before = path.read_bytes().index(b"data") + 8
    assert 0 <= path.stat().st_size - before - 2 * by_wave <= (70_000 if number is signal.SIGKILL else 0)


def test_a_program_is_told_how_much_of_the_text_was_spoken(tmp_path: Path, environment: dict[str, str]) -> None:
    with speaking(tmp_path, environment, "--json") as (process, _):
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20)
    told = json.loads(printed.splitlines()[-1])
    spoken, text = told["spoken"], ENDLESS * 20
    assert told["event"] == "error"
    assert 0 < spoken["position"] < len(text)
    assert text.startswith(spoken["text"])
    assert len(spoken["text"]) == spoken["position"]
    assert spoken["seconds"] == told["audio_seconds"]


def test_a_kill_at_any_moment_leaves_a_good_wav(tmp_path: Path, environment: dict[str, str]) -> None:
    for count in range(8):
        with speaking(tmp_path, environment, name=f"{count}.wav") as (process, path):
            time.sleep(count * 0.003)  # a different moment each time
            process.kill()
            process.wait()
        by_wave, by_soundfile, by_av = read_by_three(path)
        assert by_wave == by_soundfile == by_av >= 5000


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["x.mp3", "x.opus", "x.flac"])
def test_compressed_files_are_completed(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals, code: int, name: str
) -> None:
    with speaking(tmp_path, environment, name=name) as (process, path):
        process.send_signal(number)
        assert process.wait(timeout=10) == code
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
    assert seconds_of(path) > 5000 / 22050


def test_an_interruption_is_an_event_too(tmp_path: Path, environment: dict[str, str]) -> None:
    with speaking(tmp_path, environment, "--json") as (process, _):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert b'"event": "error"' in said.splitlines()[-1]
    assert b'"code": 130' in said.splitlines()[-1]
    assert b'"message": "stopped"' in said.splitlines()[-1]


CLEANING = """
import sys, time
from voxcli.cli.exits import GracefulShutdown
with GracefulShutdown():
    try:
        sys.stdout.write("working\\n"); sys.stdout.flush()
        time.sleep(60)
    finally:
        sys.stdout.write("cleaning\\n"); sys.stdout.flush()
        time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_leaves_at_once(number: signal.Signals, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", CLEANING], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"working\n"
            process.send_signal(number)
            assert process.stdout.readline() == b"cleaning\n"
            process.send_signal(number)
            assert process.wait(timeout=10) == code
        finally:
            process.kill()


def test_an_interruption_while_it_waits_for_text_ends_it(tmp_path: Path, environment: dict[str, str]) -> None:
    with speaking(tmp_path, environment) as (process, path):
        before = -1
        while path.stat().st_size != before:  # until all of its text has been spoken
            before = path.stat().st_size
            time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=5) == 130


INTERRUPTED_COLD_STARTS = """
import signal, sys, threading

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
sys.executable = sys.argv[1]  # a program with the events of `voxcli say`, without the time that it takes
from voxcli.cli.commands.bench import new_process

lines = interrupted = 0

def interrupt_at(wanted):
    def trace(frame, event, _):
        global lines
        if frame.f_code.co_filename != new_process.__file__:
            return None
        if event == "line":
            lines += 1
            if lines == wanted:
                signal.raise_signal(signal.SIGINT)
        return trace
    return trace

for wanted in range(1, 1000):
    lines = 0
    sys.settrace(interrupt_at(wanted))
    try:
        new_process.start_process("x", [], "Hello.")
    except KeyboardInterrupt:
        interrupted += 1
    finally:
        sys.settrace(None)
    assert threading.active_count() == 1, wanted
    if lines < wanted:
        break
print(interrupted)
"""

FAKE_SAY = """#!/bin/sh
echo '{"event": "loading"}' >&2
printf sound
echo '{"event": "done", "first_chunk_seconds": 0.001}' >&2
"""


def test_an_interruption_at_any_line_of_a_cold_start_leaves_nothing_behind(tmp_path: Path) -> None:
    say = tmp_path / "say"
    say.write_text(FAKE_SAY)
    say.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INTERRUPTED_COLD_STARTS, str(say)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert int(done.stdout) > 20
