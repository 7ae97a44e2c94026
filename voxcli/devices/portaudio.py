"""PortAudio: loading it, and finding loudspeakers."""

import ctypes
import importlib
import logging
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from voxcli.devices.deadline import DeviceCalls
from voxcli.errors import DeviceError, did_you_mean

_log = logging.getLogger(__name__)

_LOAD_SECONDS = 5.0
"""Timeout of the sound server."""

_LIBRARY_FIX = {
    "linux": "Install it: sudo apt install libportaudio2 (Debian, Ubuntu), sudo dnf install portaudio (Fedora).",
    "darwin": "Install the Python package sounddevice again.",
    "win32": "Install the Python package sounddevice again.",
}
_NO_DEVICE_FIX = {
    "linux": (
        "Start PulseAudio or PipeWire. If one runs, ALSA may lack its plugin: sudo apt install libasound2-plugins. "
        "Over ssh, in a container or in WSL, PULSE_SERVER must name a sound server that can be reached."
    ),
}


@dataclass(frozen=True, slots=True)
class OutputDevice:
    """A loudspeaker as PortAudio lists it."""

    index: int
    name: str
    host: str
    """The host API, such as "ALSA" or "Core Audio"; a loudspeaker may be listed once for each."""
    channels: int
    sample_rate: int
    """Hz. The native rate if PortAudio knows it; for ALSA devices 44100 if they support it."""
    is_default: bool

    @property
    def label(self) -> str:
        return f"{self.name}, {self.host}"


def list_devices() -> list[OutputDevice]:
    """Return the devices that can play, in PortAudio's order. Devices connected after the first call are missing.

    Raises:
        DeviceError: PortAudio is not installed.
    """
    sounddevice = load_sounddevice()
    hosts = [host["name"] for host in sounddevice.query_hostapis()]
    default = sounddevice.default.device[1]
    return [
        OutputDevice(
            index=found["index"],
            name=found["name"],
            host=hosts[found["hostapi"]],
            channels=found["max_output_channels"],
            sample_rate=round(found["default_samplerate"]),
            is_default=found["index"] == default,
        )
        for found in sounddevice.query_devices()
        if found["max_output_channels"] > 0
    ]


def find_device(wanted: str | None) -> OutputDevice:
    """Return the device with this index, this name, or a name that contains `wanted`; None is the system default.

    Raises:
        DeviceError: no device matches, or several do.
    """
    devices = list_devices()
    if not devices:
        fix = _NO_DEVICE_FIX.get(sys.platform, "Connect one.")
        raise DeviceError(f"There is no loudspeaker to play on. {fix}", on_command_line="Or write a file with -o FILE.")
    found = _matching(wanted, devices)
    if len(found) == 1:
        return found[0]
    listing = "".join(f"\n  {device.index}  {device.label}" for device in found or devices)
    if found:
        raise DeviceError(f"Several loudspeakers match {wanted!r}. Name one of them, or give its number:{listing}")
    if wanted is None:
        raise DeviceError(f"The system has no default loudspeaker. Name one, or give its number:{listing}")
    guess = did_you_mean(wanted, [device.name for device in devices])
    raise DeviceError(f"There is no loudspeaker {wanted!r}.{guess} Available:{listing}")


def check_loudspeaker(wanted: str | None) -> None:
    """Check that there is a loudspeaker, one that was connected in the meantime too. Only while nothing is played.

    Raises:
        DeviceError: see `find_device`.
    """
    loaded = "sounddevice" in sys.modules
    try:
        find_device(wanted)
    except DeviceError:
        if not loaded or _calls.hanging:
            raise
        with muted_native_stderr():
            if not _calls.returns(_look_again, _LOAD_SECONDS):
                raise
        find_device(wanted)


_calls = DeviceCalls("sound server")


def _look_again() -> None:
    sounddevice = load_sounddevice()
    sounddevice._terminate()
    sounddevice._initialize()


def _matching(wanted: str | None, devices: Sequence[OutputDevice]) -> list[OutputDevice]:
    if wanted is None:
        return [device for device in devices if device.is_default]
    if wanted.isdecimal():
        return [device for device in devices if device.index == int(wanted)]
    if exact := [device for device in devices if wanted in (device.name, device.label)]:
        # A name may be listed once for each host API; the preferred one comes first.
        return exact[:1]
    return [device for device in devices if wanted.casefold() in device.label.casefold()]


def load_sounddevice() -> ModuleType:
    """Import PortAudio's binding, which loads the library and looks for devices.

    The only place that imports it, so that it is loaded only for playing or recording.

    Raises:
        DeviceError: the library is missing, or the sound server does not respond.
    """
    if "sounddevice" not in sys.modules:
        with _stderr_restored():
            if not DeviceCalls("sound server").returns(_import_sounddevice, _LOAD_SECONDS):
                raise DeviceError(
                    "The sound server does not respond. Restart it.", on_command_line="Or write a file with -o FILE."
                )
    return sys.modules["sounddevice"]


def _import_sounddevice() -> None:
    try:
        importlib.import_module("sounddevice")
    except OSError as error:
        fix = _LIBRARY_FIX.get(sys.platform, "Install it.")
        raise DeviceError(f"The PortAudio library, which plays and records sound, is missing. {fix}") from error


@contextmanager
def _stderr_restored() -> Generator[None]:
    """Restore standard error. PortAudio's binding redirects it while loading, permanently if that hangs."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def muted_native_stderr() -> Generator[None]:
    """Suppress what C libraries print to stderr; Python's own output to it is not affected.

    PortAudio, ALSA, JACK and libpulse print problems that we report ourselves, also from PortAudio's thread during
    playback. Redirecting file descriptor 2 for that long would suppress our own messages too, and ALSA's error handler
    covers ALSA only. glibc keeps its stderr in a variable; pointing it to /dev/null affects C's stdio alone. Other
    threads may print meanwhile, so both files stay open. With debug logging, nothing is suppressed.
    """
    if sys.platform != "linux" or _log.isEnabledFor(logging.DEBUG):
        yield
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # musl keeps its stderr in read-only memory
        yield
        return
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    before = stderr.value
    stderr.value = _null_file()
    try:
        yield
    finally:
        stderr.value = before


@cache
def _null_file() -> int | None:
    """Return a FILE* for /dev/null that is never closed."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    file: int | None = libc.fopen(os.devnull.encode(), b"we")
    return file
