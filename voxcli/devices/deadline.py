"""Calls to an audio device, which may never come back."""

import atexit
import logging
import sys
import threading
from collections.abc import Callable

from voxcli.errors import DeviceError

_log = logging.getLogger(__name__)


class DeviceCalls:
    """Calls PortAudio on threads of their own, and waits for them so long and no longer.

    While a sound server hangs, calls to it hang in C, where no Ctrl-C reaches them. When one has not come back no other
    may be made: PulseAudio's client would abort the process.
    """

    def __init__(self, device: str) -> None:
        """device: for the log, such as "loudspeaker"."""
        self._device = device
        self.hanging = False
        """One has not come back."""

    def returns(self, call: Callable[[], None], seconds: float) -> bool:
        """Tell whether a call comes back in time. A DeviceError from it is raised here."""
        if self.hanging:
            return False
        errors: list[DeviceError] = []

        def work() -> None:
            try:
                call()
            except DeviceError as error:
                errors.append(error)

        thread = threading.Thread(target=work, name=self._device, daemon=True)
        thread.start()
        thread.join(seconds)
        if errors:
            raise errors[0]
        if thread.is_alive():
            self.hanging = True
            _log.warning("The %s does not respond, and is left open.", self._device)
            if binding := sys.modules.get("sounddevice"):
                # When Python ends, it would wait for the same device.
                atexit.unregister(binding._exit_handler)
        return not self.hanging
