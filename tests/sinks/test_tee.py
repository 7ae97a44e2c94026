"""One stream to several sinks."""

from types import TracebackType
from typing import Self

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, DeviceError
from voxcli.sinks.base import Tee
from voxcli.synthesis.request import SentenceMark

CHUNK = AudioChunk(np.zeros(10, np.float32), 1000)
MARK = SentenceMark(text="One.", start=0.0)


class Recorder:
    """A sink that writes down what happens to it, and fails where it is told to."""

    underruns: int | None

    def __init__(self, fails: dict[str, Exception] | None = None, underruns: int | None = None) -> None:
        self.calls: list[str] = []
        self.underruns = underruns
        self._fails = fails or {}

    def _did(self, call: str) -> None:
        self.calls.append(call)
        if error := self._fails.get(call):
            raise error

    def __enter__(self) -> Self:
        self._did("enter")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._did("exit" if kind is None else f"exit {kind.__name__}")

    def write(self, chunk: AudioChunk) -> None:
        self._did("write")

    def mark(self, mark: SentenceMark) -> None:
        self._did("mark")

    def idle(self) -> None:
        self._did("idle")


def test_everybody_gets_everything() -> None:
    sinks = [Recorder(), Recorder(underruns=2), Recorder(underruns=1)]
    with Tee(sinks) as tee:
        tee.mark(MARK)
        tee.write(CHUNK)
        tee.idle()
    assert [sink.calls for sink in sinks] == [["enter", "mark", "write", "idle", "exit"]] * 3
    assert tee.underruns == 3


def test_where_nobody_listens_there_are_no_underruns() -> None:
    assert Tee([Recorder(), Recorder()]).underruns is None


@pytest.mark.parametrize("moment", ["enter", "mark", "write", "exit"])
def test_when_one_fails_the_others_are_finished_and_the_error_comes_at_the_end(moment: str) -> None:
    broken, well = Recorder({moment: DeviceError("broken")}), Recorder()
    written = 0

    def run() -> None:
        nonlocal written
        with Tee([broken, well]) as tee:
            for _ in range(3):
                tee.mark(MARK)
                tee.write(CHUNK)
                written += 1

    with pytest.raises(DeviceError, match="broken"):
        run()
    assert written == 3
    assert well.calls == ["enter", *["mark", "write"] * 3, "exit"]


def test_one_that_fails_is_closed_and_left() -> None:
    broken = Recorder({"write": DeviceError("broken")})
    with pytest.raises(DeviceError), Tee([broken, Recorder()]) as tee:
        tee.write(CHUNK)
        tee.write(CHUNK)
    assert broken.calls == ["enter", "write", "exit DeviceError"]


def test_when_all_fail_it_stops_at_once() -> None:
    def run() -> None:
        with Tee([Recorder({"write": DeviceError("one")}), Recorder({"write": DeviceError("two")})]) as tee:
            tee.write(CHUNK)
            pytest.fail("nobody is left")

    with pytest.raises(DeviceError, match="one"):
        run()


def test_when_none_opens_it_does_not_open() -> None:
    with pytest.raises(DeviceError), Tee([Recorder({"enter": DeviceError("no")})]):
        pytest.fail("nobody is there")


def test_a_listener_who_leaves_is_no_error_while_others_stay() -> None:
    well = Recorder()
    with Tee([Recorder({"write": ConsumerClosed("pipe")}), well]) as tee:
        tee.write(CHUNK)
        tee.write(CHUNK)
    assert well.calls == ["enter", "write", "write", "exit"]


def test_when_the_last_listener_leaves_nothing_more_is_wanted() -> None:
    with pytest.raises(ConsumerClosed), Tee([Recorder({"write": ConsumerClosed("pipe")})]) as tee:
        tee.write(CHUNK)


def test_an_interruption_reaches_all_and_is_not_replaced() -> None:
    sinks = [Recorder(), Recorder({"exit KeyboardInterrupt": DeviceError("late")}), Recorder()]
    with pytest.raises(KeyboardInterrupt), Tee(sinks) as tee:
        tee.write(CHUNK)
        raise KeyboardInterrupt
    assert all(sink.calls[-1] == "exit KeyboardInterrupt" for sink in sinks)
