"""Turns at the loudspeaker: one at a time, in order, whatever becomes of the others."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from voxcli.devices.turns import Turn
from voxcli.errors import DeviceError, TurnTimeout

HOLDER = """
import sys
from pathlib import Path
from voxcli.devices.turns import Turn
turn = Turn(Path(sys.argv[1]))
print("queued", flush=True)
turn.wait()
print("speaking", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has its turn until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "queued\n"
        try:
            yield process
        finally:
            process.kill()


def said_by(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_they_speak_one_at_a_time_and_in_the_order_they_came(tmp_path: Path) -> None:
    turns = [Turn(tmp_path) for _ in range(8)]
    spoke: list[int] = []
    speaking = threading.Lock()

    def speak(number: int) -> None:
        with turns[number] as turn:
            turn.wait()
            assert speaking.acquire(blocking=False), "two at once"
            spoke.append(number)
            time.sleep(0.005)
            speaking.release()

    threads = [threading.Thread(target=speak, args=[number]) for number in (5, 3, 7, 0, 6, 2, 4, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert spoke == sorted(spoke)
    assert len(spoke) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["speaking.lock"]


def test_it_tells_how_many_are_before(tmp_path: Path) -> None:
    with Turn(tmp_path) as first, Turn(tmp_path) as second, Turn(tmp_path) as third:
        assert [turn.ahead for turn in (first, second, third)] == [0, 1, 2]
        second.leave()
        assert third.ahead == 1


def test_a_process_that_is_killed_while_it_speaks_lets_the_next_one_speak(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert said_by(process) == "speaking"
        with Turn(tmp_path) as turn:
            assert turn.ahead == 1
            with pytest.raises(TurnTimeout, match="Others were still speaking after 0 s, so this was not spoken"):
                turn.wait(seconds=0)
            process.send_signal(signal.SIGKILL)
            process.wait()
            turn.wait(seconds=10)
            assert turn.ahead == 0
    assert [path.name for path in tmp_path.iterdir()] == ["speaking.lock"]


def test_one_that_is_stopped_while_it_waits_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcli.devices.turns._GRACE_SECONDS", 0.2)
    with Turn(tmp_path) as mine:
        mine.wait()
        with holder(tmp_path) as process, Turn(tmp_path) as last:
            process.send_signal(signal.SIGSTOP)
            mine.leave()
            assert last.ahead == 1
            last.wait(seconds=10)
            process.send_signal(signal.SIGCONT)
            last.leave()
            assert said_by(process) == "speaking"


def test_giving_up_leaves_the_queue(tmp_path: Path) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    with Turn(tmp_path) as first:
        first.wait()
        with pytest.raises(KeyboardInterrupt), Turn(tmp_path) as turn:
            turn.wait(give_up)
        with Turn(tmp_path) as third:
            assert third.ahead == 1


def test_files_of_others_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "0-x.turn").touch()
    (tmp_path / f"{0:020d}-000000-{os.getpid()}-1.turn").touch()  # an earlier process of the same number
    with Turn(tmp_path) as turn:
        turn.wait(seconds=5)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match=r"The queue in .*file/turns cannot be used: Not a directory"):
        Turn(tmp_path / "file" / "turns")
