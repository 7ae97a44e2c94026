"""Loudspeaker: a sink that plays through PortAudio."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from time import perf_counter as clock
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
"""Silence after the end, in addition to the latency: PulseAudio drops buffered samples when a stream stops."""
_STALL_SECONDS = 3.0
"""A device that requests no samples for this long is taken for dead."""
_RELEASE_SECONDS = 2.0
_PATIENT_SECONDS = 0.5
_BUSY_LATENCY_SECONDS = 0.25
"""Latency of the device where the start buffer has taken longer than that: it is not noticed then, and the engine keeps
the processor busy."""
_POLL_SECONDS = 0.02


class Speaker:
    """Plays chunks through PortAudio. The device is open inside the `with` block."""

    def __init__(
        self,
        *,
        device: str | None = None,
        sample_rate: int | None = None,
        latency_seconds: float = 0.08,
        start_seconds: float = 0.12,
        ahead_seconds: float = 10.0,
        start_buffer: Callable[[float], float] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            device: see `find_device`.
            sample_rate: Hz; None is the device's own. Chunks are resampled to it.
            latency_seconds: of the device. PortAudio's "low" setting causes dropouts on a busy machine.
            start_seconds: audio to queue before playback begins, also after a gap. PortAudio first takes a quarter more
                than the latency at once; the rest is the margin of the writer.
            ahead_seconds: `write` blocks while more than this is queued.
            start_buffer: takes the seconds of audio that are queued, and returns how many have to be before playback
                begins, if more than `start_seconds`. Asked with each chunk at the beginning, after `idle` and after a
                gap.
            check: called while the loudspeaker is waited for; raises to give up.
        """
        self._wanted = device
        self._sample_rate = sample_rate or 0  # until the device's own is known
        self._latency_seconds = latency_seconds
        self._start_seconds = min(start_seconds, ahead_seconds)
        self._ahead_seconds = ahead_seconds
        self._start_buffer = start_buffer
        self._check = check
        self._heard_at: float | None = None
        self._playback = Playback()
        self._resampler: Resampler | None = None
        self._started = False
        self._device_calls = DeviceCalls("loudspeaker")
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
    def heard_at(self) -> float | None:
        return self._heard_at

    @property
    def played_seconds(self) -> float:
        """How much of what was written has left the loudspeaker by now."""
        if not self._sample_rate or not self._started:
            return 0.0
        latency = 0.0 if self._playback.finished else self._stream.latency
        return max(0.0, self._playback.taken / self._sample_rate - latency)

    @property
    def starved_seconds(self) -> float:
        """Total length of the gaps that `underruns` counts."""
        return self._playback.starved_samples / self._sample_rate if self._sample_rate else 0.0

    @property
    def _start_samples(self) -> int:
        return round(self._start_seconds * self._sample_rate)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(muted_native_stderr())
            self._device = find_device(self._wanted)
            self._sounddevice = load_sounddevice()
            self._call(self._open)
            undo.callback(self._release_device)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            if kind is None:
                self._drain()
            # Otherwise a hanging thread keeps it alive past interpreter shutdown, where its library fails.
            self._resampler = None

    def write(self, chunk: AudioChunk) -> None:
        """Queue the chunk, and block while too much is queued.

        Raises:
            DeviceError: the device has stopped.
        """
        self._raise_if_stopped()
        if self._resampler is None or self._resampler.from_rate != chunk.sample_rate:
            self._flush()
            self._resampler = Resampler(chunk.sample_rate, self._sample_rate)
        self._put(self._resampler.feed(chunk.samples))
        if self._playback.waiting > self._ahead_seconds * self._sample_rate:
            # Room for the start buffer, and for what is generated while it is played.
            most = max(self._ahead_seconds * self._sample_rate, self._playback.most_held + self._start_samples)
            self._wait(lambda: self._playback.waiting <= most)

    def mark(self, mark: object) -> None:
        """Do nothing: what plays has no use for marks."""

    def idle(self) -> None:
        """Play everything queued. Silence before the next chunk is not an underrun."""
        self._flush()
        self._playback.rest()
        self._start_if_ready()

    def _open(self) -> None:
        self._sample_rate = self._sample_rate or cast(OutputDevice, self._device).sample_rate
        self._stream = self._new_stream(self._latency_seconds)
        self._playback = Playback(
            start_samples=self._start_samples,
            tail_samples=self._tail_samples,
            start_buffer=self._samples_to_wait_for if self._start_buffer else None,
        )

    def _new_stream(self, latency_seconds: float) -> Any:
        device = cast(OutputDevice, self._device)
        try:
            return self._sounddevice.OutputStream(
                device=device.index,
                samplerate=self._sample_rate,
                # On stereo ALSA hardware devices, a mono stream would play on the left only.
                channels=min(device.channels, 2),
                dtype="float32",
                latency=latency_seconds,
                callback=self._fill,
                finished_callback=self._stopped.set,
            )
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"Cannot open the loudspeaker {device.label} at {self._sample_rate} Hz: {error}. "
                "Another program may be using it: close that, or name another device.",
                on_command_line="Or write a file with -o FILE.",
            ) from error

    @property
    def _tail_samples(self) -> int:
        latency: float = self._stream.latency
        return round((latency + _TAIL_SECONDS) * self._sample_rate)

    def _fill(self, out: NDArray[np.float32], frames: int, time: object, status: Any) -> None:
        """PortAudio's callback, on its thread. It must be quick, and exceptions in it would only be printed."""
        self._calls += 1
        try:
            self._playback.fill(out, device_starved=status.output_underflow)
            if self._heard_at is None and self._playback.taken:
                self._heard_at = clock() + self._stream.latency
        except BaseException as error:
            self._callback_error = error
            raise self._sounddevice.CallbackAbort from error
        if self._playback.finished:
            raise self._sounddevice.CallbackStop

    def _put(self, samples: Samples) -> None:
        if len(samples):
            self._playback.put(samples)
            self._start_if_ready()

    def _samples_to_wait_for(self, waiting: int) -> float:
        assert self._start_buffer
        return self._start_buffer(waiting / self._sample_rate) * self._sample_rate

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
        if self._playback.most_held > _PATIENT_SECONDS * self._sample_rate:
            self._prolong_latency()
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._failure(f"cannot be started ({error})") from error

    def _prolong_latency(self) -> None:
        """Open the device again with more latency, because it plays beside an engine that keeps the machine busy."""
        with suppress(DeviceError):
            patient = self._new_stream(max(self._latency_seconds, _BUSY_LATENCY_SECONDS))
            self._stream, before = patient, self._stream
            before.close(ignore_errors=True)
            self._stopped.clear()
            self._playback.tail_left = self._tail_samples

    def _drain(self) -> None:
        self._flush()
        self._playback.end()
        self._start_if_ready()
        if self._started:
            self._wait(self._stopped.is_set)
            self._raise_if_stopped()

    def _wait(self, until: Callable[[], bool]) -> None:
        """Return when `until()` is true. Raises DeviceError if the device stops requesting samples.

        Polls, because a long wait cannot be interrupted with Ctrl-C on Windows. Counts polls and not time, because
        clocks also run while this process is stopped (Ctrl-Z).
        """
        calls, idle_polls = self._calls, 0
        while not until():
            self._check()
            self._raise_if_stopped()
            self._stopped.wait(_POLL_SECONDS)
            idle_polls = idle_polls + 1 if calls == self._calls else 0
            calls = self._calls
            if idle_polls * _POLL_SECONDS > _STALL_SECONDS:
                raise self._failure("does not respond")

    def _raise_if_stopped(self) -> None:
        if self._callback_error is not None:
            raise self._failure(f"failed in its callback ({self._callback_error!r})") from self._callback_error
        stopped = self._started and (self._stopped.is_set() or not self._stream.active)
        if stopped and not self._playback.finished:
            raise self._failure("was disconnected")

    def _failure(self, what: str) -> DeviceError:
        name = self._device.label if self._device else "?"
        seconds = self._playback.waiting / (self._sample_rate or 1)
        if self._started:
            seconds += self._stream.latency
        return DeviceError(
            f"The loudspeaker {name} {what}; about {seconds:.1f} s of audio were not played. "
            "Check that it is connected and that the sound server runs."
        )

    def _release_device(self) -> None:
        """Stop the device at once and close it."""
        self._device_calls.returns(self._close, _RELEASE_SECONDS)

    def _close(self) -> None:
        with suppress(self._sounddevice.PortAudioError):  # already closed
            self._stream.abort()
            self._stream.close()

    def _call(self, call: Callable[[], None]) -> None:
        if not self._device_calls.returns(call, _STALL_SECONDS):
            raise self._failure("does not respond")
