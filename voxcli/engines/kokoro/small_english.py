"""hibari: a small English model with the voice of Kokoro's af_heart, some sixty times as fast as Kokoro."""

import threading
import unicodedata

import numpy as np
from hibari import Hibari

from voxcli.audio.chunk import Samples
from voxcli.engines.kokoro.model import SAMPLE_RATE, trimmed
from voxcli.engines.kokoro.session import FAILURES
from voxcli.errors import ModelError
from voxcli.installation import reinstall_command

SPEAKER = "af_heart"
"""The voice of Kokoro that it was made from."""


def can_read(text: str) -> bool:
    """Whether a text has no letters that hibari would leave out or guess."""
    letters = unicodedata.normalize("NFD", text)
    return all(letter.isascii() or not letter.isalpha() for letter in letters)


class SmallEnglish:
    """The model and its dictionary. Streams share it."""

    def __init__(self) -> None:
        """
        Raises:
            ModelError: a file of the package is damaged or missing.
        """
        self._reading = threading.Lock()
        try:
            self._model = Hibari(threads=1)
            self.phonemes("Ready.")  # loads the dictionary
        except (OSError, ValueError, KeyError, *FAILURES) as error:
            raise ModelError(
                f"Cannot load hibari, which speaks English: {error}.",
                on_command_line=f"Install it again: {reinstall_command('hibari-tts')}",
            ) from error

    def phonemes(self, text: str) -> str:
        """Return the phonemes of a sentence, in Kokoro's alphabet."""
        with self._reading:
            return " ".join(self._model.phonemize(text))

    def speak(self, phonemes: str, speed: float, pause: float) -> Samples:
        """Return the sound of a piece, always the same for the same piece; see `KokoroModel.speak`."""
        samples = self._model.from_phonemes(phonemes, speed, seed=0)
        assert self._model.sample_rate == SAMPLE_RATE
        return trimmed(np.asarray(samples, np.float32).clip(-1, 1), pause)
