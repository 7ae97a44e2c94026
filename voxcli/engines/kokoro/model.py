"""Kokoro's ONNX model: phonemes and a style in, sound out. It runs on onnxruntime."""

import gc

import numpy as np
import onnxruntime

from voxcli.audio.chunk import Samples
from voxcli.engines.kokoro.alphabet import tokens_of
from voxcli.engines.kokoro.pieces import MOST
from voxcli.engines.kokoro.session import FAILURES
from voxcli.engines.kokoro.styles import Floats
from voxcli.errors import ModelError

SAMPLE_RATE = 24_000
SLOWEST, FASTEST = 0.5, 2.0
"""The range of the model's own speed."""

_STYLE, _SPEED = "style", "speed"
_FRAME_SECONDS = 0.01
_QUIET_DB = 45.0
"""Frames this far below the loudest one are not speech."""
_BEFORE, _AFTER = 0.03, 0.05
"""Seconds that are kept around what is loud: a soft consonant may be there."""


class KokoroModel:
    """A session of onnxruntime. Streams share it: several threads may call it at once."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """
        Raises:
            ModelError: it is the session of another model.
        """
        names = {entry.name for entry in session.get_inputs()}
        tokens = names - {_STYLE, _SPEED}
        if len(names) != 3 or len(tokens) != 1:
            raise ModelError(f"This is not the model of Kokoro: it takes {', '.join(sorted(names))}.")
        self._tokens = tokens.pop()  # its name depends on who exported the model
        self._session: onnxruntime.InferenceSession | None = session

    def speak(self, phonemes: str, style: Floats, speed: float, pause: float) -> Samples:
        """Return the sound of one piece, (n,) samples at `SAMPLE_RATE`.

        Args:
            phonemes: 1 to `MOST` characters of the alphabet.
            style: (510, 256), of a voice.
            speed: `SLOWEST` to `FASTEST`.
            pause: seconds of quiet that are kept at the end, or made.

        Raises:
            ModelError: the model failed, or is closed.
        """
        session = self._session
        if session is None:
            raise ModelError("The model of Kokoro is closed.")
        assert 0 < len(phonemes) <= MOST
        given = {
            self._tokens: np.array([[0, *tokens_of(phonemes), 0]], np.int64),
            _STYLE: style[len(phonemes) - 1][np.newaxis],
            _SPEED: np.array([speed], np.float32),
        }
        try:
            samples = np.asarray(session.run(None, given)[0], np.float32).reshape(-1)
        except FAILURES as error:
            raise ModelError(f"Kokoro failed on {phonemes[:40]!r}: {_first_line(error)}.") from error
        return trimmed(samples.clip(-1, 1), pause)

    def close(self) -> None:
        """Free the model, as soon as no stream runs it."""
        self._session = None
        gc.collect()


def trimmed(samples: Samples, pause: float) -> Samples:
    """Cut the quiet before and after speech, and leave or make a pause of some seconds at the end."""
    size = round(_FRAME_SECONDS * SAMPLE_RATE)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    levels = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0)
    loud = np.flatnonzero(levels > levels.max(initial=0.0) * 10 ** (-_QUIET_DB / 20))
    if not len(loud):
        return samples[:0]
    first = max(loud[0] * size - round(_BEFORE * SAMPLE_RATE), 0)
    end = (loud[-1] + 1) * size
    wanted = max(pause, _AFTER)
    kept = samples[first : end + round(wanted * SAMPLE_RATE)]
    return np.pad(kept, (0, max(0, end + round(wanted * SAMPLE_RATE) - first - len(kept))))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
