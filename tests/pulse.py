"""A real sound server without hardware, and recordings of what its loudspeakers play."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import pytest

from tests.sound import from_int16
from tests.turns import hurry
from voxcli.audio.chunk import Samples

SINKS = {"speaker48": 48000, "speaker44": 44100}
"""The server's loudspeakers with their rates in Hz; the first is the default."""
PATIENCE_SECONDS = 20.0
_SILENCE_SECONDS = 0.3


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


class Recording:
    """What a loudspeaker plays, from entering to leaving."""

    def __init__(self, sink: str, environment: dict[str, str]) -> None:
        self.sample_rate = SINKS[sink]
        self._data = bytearray()
        command = ["parec", "-d", f"{sink}.monitor", "--format=s16le", f"--rate={self.sample_rate}"]
        command += ["--channels=2", "--latency-msec=10", "--raw"]
        self._recorder = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        hurry(self._recorder.pid)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        wait_until(lambda: bool(self._data), "the first bytes of a recording")
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                # The recorder is a little late; what was asked to play is all here once silence follows.
                end = len(self._data)
                wait_until(lambda: self._silent_since(end), "silence at the end of a recording")
        finally:
            self._recorder.terminate()
            self._recorder.wait()
            self._reader.join()

    @property
    def samples(self) -> Samples:
        """Mono; both channels must have played the same."""
        both = from_int16(bytes(self._data[: len(self._data) // 4 * 4])).reshape(-1, 2)
        assert np.array_equal(both[:, 0], both[:, 1])
        return both[:, 0]

    @property
    def sounding_seconds(self) -> float:
        """From the first sample that is not silent to the last."""
        loud = np.flatnonzero(self.samples)
        return float(loud[-1] - loud[0] + 1) / self.sample_rate if len(loud) else 0.0

    def _silent_since(self, end: int) -> bool:
        needed = 4 * round(_SILENCE_SECONDS * self.sample_rate)
        return len(self._data) >= end + needed and not any(self._data[-needed:])

    def _read(self) -> None:
        assert self._recorder.stdout
        with self._recorder.stdout as stream:
            while data := os.read(stream.fileno(), 1 << 16):
                self._data += data


class PulseServer:
    """PulseAudio with null sinks, apart from whatever else runs on this machine."""

    def __init__(self, directory: Path) -> None:
        """directory: with a short name, as paths of unix sockets are limited to some 100 characters."""
        (directory / "run").mkdir(mode=0o700)
        self._socket = directory / "run" / "pa.sock"
        self._log = directory / "log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULSE_")},
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "PULSE_SERVER": f"unix:{self._socket}",
        }
        """For clients."""
        self._server = self._launch()

    def client(self, sink: str) -> dict[str, str]:
        """Return the environment of a program whose default loudspeaker is `sink`."""
        return {**self.environment, "PULSE_SINK": sink}

    @property
    def pid(self) -> int:
        return self._server.pid

    @contextmanager
    def recording(self, sink: str = "speaker48") -> Iterator[Recording]:
        with Recording(sink, self.environment) as recording:
            yield recording

    def close(self) -> None:
        self._server.kill()
        self._server.wait()

    def _launch(self) -> subprocess.Popen[bytes]:
        loads = [f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}"]
        # Without norewinds the monitor is seconds late and loses the first samples.
        loads += [
            f"module-null-sink sink_name={name} rate={rate} channels=2 format=s16le norewinds=1"
            for name, rate in SINKS.items()
        ]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr"]
        command += [f"--load={load}" for load in loads]
        with self._log.open("wb") as log:
            server = subprocess.Popen(command, env=self.environment, stderr=log)
        hurry(server.pid)
        try:
            wait_until(lambda: self._answers(server), "PulseAudio to answer")
        except BaseException:
            server.kill()
            server.wait()
            raise
        return server

    def _answers(self, server: subprocess.Popen[bytes]) -> bool:
        assert server.poll() is None, f"PulseAudio ended at once:\n{self._log.read_text()}"
        return subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode == 0


@contextmanager
def running_pulse() -> Iterator[PulseServer]:
    if sys.platform != "linux":
        pytest.skip("the sound server of these tests is PulseAudio on Linux")
    missing = [program for program in ("pulseaudio", "pactl", "parec") if not shutil.which(program)]
    if missing:
        pytest.fail(
            f"{', '.join(missing)} not found. Install what plays sound without hardware: "
            "sudo apt install pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins"
        )
    with TemporaryDirectory(prefix="pulse-", dir="/tmp") as directory:
        server = PulseServer(Path(directory))
        try:
            yield server
        finally:
            server.close()


@pytest.fixture(scope="session")
def pulse() -> Generator[PulseServer]:
    """A sound server for all tests that leave it running."""
    with running_pulse() as server:
        yield server


@pytest.fixture
def own_pulse() -> Generator[PulseServer]:
    """A sound server to be killed."""
    with running_pulse() as server:
        yield server
