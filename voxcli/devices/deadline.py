"""Deadlines for calls to an audio device, which may hang."""

import atexit
import logging
import sys
import threading
from collections.abc import Callable

from voxcli.errors import DeviceError

_log = logging.getLogger(__name__)


class DeviceCalls:
    """Calls PortAudio on separate threads, with a timeout.

    While a sound server hangs, calls to it block in C, where KeyboardInterrupt is not raised. After a call has timed
    out, no other may be made: PulseAudio's client would abort the process.
    """

    def __init__(self, device: str) -> None:
        """device: its name in the log, such as "loudspeaker"."""
        self._device = device
        self.hanging = False
        """A call has timed out."""

    def returns(self, call: Callable[[], None], seconds: float) -> bool:
        """Return whether the call completes in time. Raises the DeviceError that it raises."""
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
            _log.warning("The %s does not respond; it is left open.", self._device)
            if binding := sys.modules.get("sounddevice"):
                # It would wait for the same device when Python exits.
                atexit.unregister(binding._exit_handler)
        return not self.hanging
