"""Microphone: recording through PortAudio."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.devices.deadline import DeviceCalls
from voxcli.devices.portaudio import load_sounddevice, muted_native_stderr
from voxcli.errors import DeviceError

_STALL_SECONDS = 5.0
"""A device that delivers nothing for this long is taken for dead. Bluetooth headsets take two or three."""
_RELEASE_SECONDS = 2.0
_POLL_SECONDS = 0.02


class Microphone:
    """Records through PortAudio. The device is open and recording inside the `with` block."""

    def __init__(self, device: str | None = None) -> None:
        """device: its number, its name or a part of it; None is the system default."""
        self.label = device or "of this system"
        """Once it is open, its name and host API."""
        self.sample_rate = 0
        """Hz. The device's own."""
        self.gaps = 0
        """Input overflows: how often samples were lost because they were not read in time."""
        self._wanted = device
        self._blocks: SimpleQueue[Samples] = SimpleQueue()
        self._stopped = threading.Event()
        self._calls = DeviceCalls("microphone")
        self._undo = ExitStack()
        self._sounddevice: Any = None
        self._stream: Any = None

    def __enter__(self) -> Self:
        """Open the device, and return once samples arrive.

        Raises:
            DeviceError: there is no such device, it cannot be opened, or it delivers nothing.
        """
        with ExitStack() as undo:
            undo.enter_context(muted_native_stderr())
            self._sounddevice = load_sounddevice()
            self._call(self._open)
            undo.callback(self._release)
            self._call(self._start)
            self._next_block()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def record(self, seconds: float) -> Generator[AudioChunk]:
        """Yield the next `seconds` of audio as they are recorded.

        Raises:
            DeviceError: the device has stopped.
        """
        while not self._blocks.empty():
            self._blocks.get()
        missing = round(seconds * self.sample_rate)
        while missing > 0:
            block = self._next_block()[:missing]
            missing -= len(block)
            yield AudioChunk(block, self.sample_rate)

    def _open(self) -> None:
        found = self._find()
        self.label = f"{found['name']}, {self._sounddevice.query_hostapis(found['hostapi'])['name']}"
        self.sample_rate = round(found["default_samplerate"])
        try:
            self._stream = self._sounddevice.InputStream(
                device=found["index"],
                samplerate=self.sample_rate,
                channels=1,
                dtype="float32",
                latency="high",
                callback=self._receive,
                finished_callback=self._stopped.set,
            )
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"Cannot open the microphone {self.label} at {self.sample_rate} Hz: {error}. "
                "Another program may be using it: close that, or choose another microphone.",
                on_command_line="Name it with --microphone.",
            ) from error

    def _find(self) -> dict[str, Any]:
        wanted = self._wanted
        number_or_name = int(wanted) if wanted and wanted.isdecimal() else wanted
        try:
            found: dict[str, Any] = self._sounddevice.query_devices(number_or_name, "input")
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise self._not_found() from error
        return found

    def _not_found(self) -> DeviceError:
        inputs = [found for found in self._sounddevice.query_devices() if found["max_input_channels"] > 0]
        if not inputs:
            return DeviceError(
                "There is no microphone to record with. Connect one and enable it in the system's sound "
                "settings, or record elsewhere.",
                on_command_line="Pass the file with --prompt.",
            )
        listing = "".join(f"\n  {found['index']}  {found['name']}" for found in inputs)
        if self._wanted is None:
            return DeviceError(
                f"The system has no default microphone. Available:{listing}",
                on_command_line="\nName one with --microphone.",
            )
        return DeviceError(f"{self._wanted!r} matches no microphone, or several. Available:{listing}")

    def _start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._failure(f"cannot be started ({error})") from error

    def _receive(self, samples: NDArray[np.float32], frames: int, time: object, status: Any) -> None:
        """PortAudio's callback, on its thread."""
        self.gaps += bool(status.input_overflow)
        self._blocks.put(samples[:, 0].copy())

    def _next_block(self) -> Samples:
        """Return the next block of samples.

        Polls, because a long wait cannot be interrupted with Ctrl-C on Windows. Counts polls and not time, because
        clocks also run while this process is stopped (Ctrl-Z).
        """
        for _ in range(round(_STALL_SECONDS / _POLL_SECONDS)):
            try:
                return self._blocks.get(timeout=_POLL_SECONDS)
            except Empty:
                if self._stopped.is_set() or not self._stream.active:
                    raise self._failure("was disconnected") from None
        raise self._failure("does not respond")

    def _failure(self, what: str) -> DeviceError:
        return DeviceError(
            f"The microphone {self.label} {what}. Check that it is connected and that the sound server runs."
        )

    def _release(self) -> None:
        self._calls.returns(self._close, _RELEASE_SECONDS)

    def _close(self) -> None:
        with suppress(self._sounddevice.PortAudioError):  # already closed
            self._stream.abort()
            self._stream.close()

    def _call(self, call: Callable[[], None]) -> None:
        if not self._calls.returns(call, _STALL_SECONDS):
            raise self._failure("does not respond")
