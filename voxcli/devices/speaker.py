"""The loudspeaker."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.resample import Resampler
from voxcli.devices.deadline import DeviceCalls
from voxcli.devices.playback import Playback
from voxcli.devices.portaudio import OutputDevice, find_device, load_sounddevice, muted_native_stderr
from voxcli.errors import DeviceError

_TAIL_SECONDS = 0.05
"""Silence after the end, on top of the latency: through PulseAudio, stopping cuts what is still on its way."""
_STALL_SECONDS = 3.0
"""A device that asks for nothing for so long will not ask again."""
_RELEASE_SECONDS = 2.0
_POLL_SECONDS = 0.02


class Speaker:
    """Plays chunks through PortAudio. The device is open from entering to leaving."""

    def __init__(
        self,
        *,
        device: str | None = None,
        sample_rate: int | None = None,
        latency_seconds: float = 0.08,
        start_seconds: float = 0.12,
        ahead_seconds: float = 10.0,
    ) -> None:
        """
        Args:
            device: see `find_device`.
            sample_rate: Hz; None is what the device reports. Chunks are resampled to it.
            latency_seconds: of the device. With PortAudio's own "low", sound tears on a busy machine.
            start_seconds: so much must wait before sound begins, also after a gap. When it begins PortAudio takes
                a quarter more than the latency at one go, and what waits beyond that is the slack of the writer.
            ahead_seconds: `write` blocks while more than this is waiting.
        """
        self._wanted = device
        self._sample_rate = sample_rate or 0  # until the device tells its own
        self._latency_seconds = latency_seconds
        self._start_seconds = min(start_seconds, ahead_seconds)
        self._ahead_seconds = ahead_seconds
        self._playback = Playback()
        self._resampler: Resampler | None = None
        self._started = False
        self._calls_to_it = DeviceCalls("loudspeaker")
        self._stopped = threading.Event()
        self._calls = 0
        self._callback_error: BaseException | None = None
        self._undo = ExitStack()
        self._sounddevice: Any = None
        self._stream: Any = None
        self._device: OutputDevice | None = None

    @property
    def underruns(self) -> int:
        return self._playback.underruns

    @property
    def starved_seconds(self) -> float:
        """How long the gaps were that `underruns` counts."""
        return self._playback.starved_samples / self._sample_rate if self._sample_rate else 0.0

    @property
    def played_seconds(self) -> float:
        """What the device has taken. It is heard one latency later."""
        return self._playback.taken / self._sample_rate if self._sample_rate else 0.0

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(muted_native_stderr())
            self._device = find_device(self._wanted)
            self._sounddevice = load_sounddevice()
            self._call(self._open)
            undo.callback(self._release)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            if kind is None:
                self._drain()
            # A thread that hangs would keep it beyond the end of Python, of which its library complains.
            self._resampler = None

    def write(self, chunk: AudioChunk) -> None:
        """Queue the chunk, and wait while too much is waiting.

        Raises:
            DeviceError: the device has stopped.
        """
        self._raise_if_stopped()
        if self._resampler is None or self._resampler.from_rate != chunk.sample_rate:
            self._flush()
            self._resampler = Resampler(chunk.sample_rate, self._sample_rate)
        self._put(self._resampler.feed(chunk.samples))
        most = self._ahead_seconds * self._sample_rate
        self._wait(lambda: self._playback.waiting <= most)

    def idle(self) -> None:
        """Play what is there to its end. Silence from now to the next chunk is no underrun."""
        self._flush()
        self._playback.rest()
        self._start_if_ready()

    def _open(self) -> None:
        device = cast(OutputDevice, self._device)
        self._sample_rate = self._sample_rate or device.sample_rate
        try:
            self._stream = self._sounddevice.OutputStream(
                device=device.index,
                samplerate=self._sample_rate,
                # A single channel of a device that has more comes out on the left of ALSA's hardware devices.
                channels=min(device.channels, 2),
                dtype="float32",
                latency=self._latency_seconds,
                callback=self._fill,
                finished_callback=self._stopped.set,
            )
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"Cannot open the loudspeaker {device.label} at {self._sample_rate} Hz: {error}. "
                "Another program may hold it: close that, name another device, or write a file with -o FILE."
            ) from error
        self._playback = Playback(
            start_samples=round(self._start_seconds * self._sample_rate),
            tail_samples=round((self._stream.latency + _TAIL_SECONDS) * self._sample_rate),
        )

    def _fill(self, out: NDArray[np.float32], frames: int, time: object, status: Any) -> None:
        """PortAudio's callback, on its thread: must be quick, and what it raises would only be printed."""
        self._calls += 1
        try:
            self._playback.fill(out, device_starved=status.output_underflow)
        except BaseException as error:
            self._callback_error = error
            raise self._sounddevice.CallbackAbort from error
        if self._playback.finished:
            raise self._sounddevice.CallbackStop

    def _put(self, samples: Samples) -> None:
        if len(samples):
            self._playback.put(samples)
            self._start_if_ready()

    def _flush(self) -> None:
        if self._resampler is not None:
            self._put(self._resampler.finish())
            self._resampler = None

    def _start_if_ready(self) -> None:
        if self._started or not self._playback.ready:
            return
        self._call(self._start)
        self._started = True

    def _start(self) -> None:
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._failure(f"cannot be started ({error})") from error

    def _drain(self) -> None:
        self._flush()
        self._playback.end()
        self._start_if_ready()
        if self._started:
            self._wait(self._stopped.is_set)
            self._raise_if_stopped()

    def _wait(self, until: Callable[[], bool]) -> None:
        """Return when `until` holds; a device that stops asking for sound is an error.

        In short turns, for not every system lets Ctrl-C into a long wait. The turns are counted, as clocks also
        run while this process is stopped (Ctrl-Z).
        """
        calls, quiet_turns = self._calls, 0
        while not until():
            self._raise_if_stopped()
            self._stopped.wait(_POLL_SECONDS)
            quiet_turns = quiet_turns + 1 if calls == self._calls else 0
            calls = self._calls
            if quiet_turns * _POLL_SECONDS > _STALL_SECONDS:
                raise self._failure("does not respond")

    def _raise_if_stopped(self) -> None:
        if self._callback_error is not None:
            raise self._failure(f"could not be fed ({self._callback_error!r})") from self._callback_error
        stopped = self._started and (self._stopped.is_set() or not self._stream.active)
        if stopped and not self._playback.finished:
            raise self._failure("went away")

    def _failure(self, what: str) -> DeviceError:
        name = self._device.label if self._device else "?"
        seconds = self._playback.waiting / (self._sample_rate or 1)
        if self._started:
            seconds += self._stream.latency
        return DeviceError(
            f"The loudspeaker {name} {what}; about {seconds:.1f} s of sound were not played. "
            "Check that it is connected and that the sound server runs."
        )

    def _release(self) -> None:
        """Silence the device at once and close it."""
        self._calls_to_it.returns(self._close, _RELEASE_SECONDS)

    def _close(self) -> None:
        with suppress(self._sounddevice.PortAudioError):  # it is gone already
            self._stream.abort()
            self._stream.close()

    def _call(self, call: Callable[[], None]) -> None:
        if not self._calls_to_it.returns(call, _STALL_SECONDS):
            raise self._failure("does not respond")
