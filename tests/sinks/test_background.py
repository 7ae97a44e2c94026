"""A loudspeaker that is opened on a thread, and what goes wrong with it."""

import threading
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import soundfile

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.errors import DeviceError
from voxcli.sinks import Sink, ToFile, ToSpeaker, open_sink
from voxcli.sinks.background import OpenedInBackground
from voxcli.sinks.base import Tee
from voxcli.synthesis.request import SentenceMark

CHUNK = AudioChunk(np.zeros(10, np.float32), 8000)


class Recorder:
    underruns = 3
    heard_at = 5.0

    def __init__(self, may_open: threading.Event | None = None, error: DeviceError | None = None) -> None:
        self._may_open, self._error = may_open, error
        self.seen: list[str] = []

    def __enter__(self) -> Self:
        if self._may_open:
            assert self._may_open.wait(10)
        if self._error:
            raise self._error
        self.seen.append(f"opened on {threading.current_thread().name}")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.seen.append(f"closed with {error}")

    def write(self, chunk: AudioChunk) -> None:
        self.seen.append("written")

    def mark(self, mark: SentenceMark) -> None: ...

    def idle(self) -> None:
        self.seen.append("idle")


def test_it_is_opened_while_other_things_are_done_and_waited_for_by_the_first_chunk() -> None:
    may_open, recorder = threading.Event(), Recorder()
    recorder._may_open = may_open
    with OpenedInBackground(lambda: recorder) as sink:
        assert recorder.seen == []
        assert (sink.underruns, sink.heard_at) == (0, None)
        sink.check()
        threading.Timer(0.05, may_open.set).start()
        sink.write(CHUNK)
        sink.idle()
        assert (sink.underruns, sink.heard_at) == (3, 5.0)
    assert recorder.seen == ["opened on open the loudspeaker", "written", "idle", "closed with None"]


def test_an_interruption_waits_until_it_is_open_and_closes_it() -> None:
    recorder = Recorder(may_open := threading.Event())
    with pytest.raises(KeyboardInterrupt), OpenedInBackground(lambda: recorder):
        threading.Timer(0.05, may_open.set).start()
        raise KeyboardInterrupt
    assert recorder.seen[1:] == ["closed with "]


def test_what_goes_wrong_is_raised_by_the_first_chunk_or_at_the_end() -> None:
    def failing() -> Sink:
        return Recorder(error=DeviceError("There is no loudspeaker."))

    with pytest.raises(DeviceError, match="no loudspeaker"), OpenedInBackground(failing) as sink:
        sink.write(CHUNK)
    with pytest.raises(DeviceError, match="no loudspeaker"), OpenedInBackground(failing):
        pass
    with pytest.raises(KeyboardInterrupt), OpenedInBackground(failing):  # not hidden by it
        raise KeyboardInterrupt


def test_beside_a_file_it_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcli.sinks._open_speaker", lambda *settings: Recorder(error=DeviceError("No loudspeaker.")))
    targets = [ToFile(path := tmp_path / "x.wav", AudioFormat.WAV), ToSpeaker()]
    with pytest.raises(DeviceError), open_sink(targets, in_background=True) as sink:
        sink.write(CHUNK)
        sink.write(CHUNK)
    assert soundfile.info(path).frames == 20


def test_the_loudspeaker_comes_after_the_file_whose_encoder_has_to_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[float] = []

    def open_speaker(start_buffer: object, ahead_seconds: float, device: object) -> Recorder:
        ahead.append(ahead_seconds)
        return Recorder()

    monkeypatch.setattr("voxcli.sinks._open_speaker", open_speaker)
    both = open_sink([ToSpeaker(), ToFile(tmp_path / "x.wav", AudioFormat.WAV)])
    assert isinstance(both, Tee)
    assert isinstance(both._sinks[1], Recorder)
    open_sink([ToSpeaker()])
    assert ahead[0] > ahead[1], "the file would wait until what is in it has been played"
