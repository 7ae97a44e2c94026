"""English of hibari: its dictionary, and its small model with the voice of Kokoro's af_heart, sixty times as fast."""

import threading
import unicodedata

import numpy as np
from hibari import Hibari
from hibari.g2p import G2P

from voxcli.audio.chunk import Samples
from voxcli.engines.kokoro.alphabet import in_alphabet
from voxcli.engines.kokoro.model import SAMPLE_RATE, trimmed
from voxcli.engines.kokoro.session import FAILURES
from voxcli.errors import ModelError
from voxcli.installation import reinstall_command

SPEAKER = "af_heart"
"""The voice of Kokoro that the small model was made from."""

_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, *FAILURES)


class EnglishDictionary:
    """How English words are pronounced: read in their context, unknown ones by a small network."""

    def __init__(self, *, british: bool) -> None:
        """
        Raises:
            ModelError: a file of the package is damaged or missing.
        """
        self._reading = threading.Lock()
        try:
            self._words = G2P(british=british)
            self._words("Qxz.")  # loads the network
        except _DAMAGE as error:
            raise _unusable(error) from error

    def phonemes(self, text: str) -> str:
        """Return the phonemes of a sentence, in Kokoro's alphabet; empty if it has letters of other languages."""
        letters = unicodedata.normalize("NFD", text)
        if not all(letter.isascii() or not letter.isalpha() for letter in letters):
            return ""
        with self._reading:
            # A link would be read by its address, if that is in slashes.
            return in_alphabet(self._words(text.replace("](", "] (")))


class SmallEnglish:
    """The model. Streams share it."""

    def __init__(self) -> None:
        """
        Raises:
            ModelError: a file of the package is damaged or missing.
        """
        try:
            self._model = Hibari(threads=1)
        except _DAMAGE as error:
            raise _unusable(error) from error

    def speak(self, phonemes: str, speed: float, pause: float) -> Samples:
        """Return the sound of a piece, always the same for the same piece; see `KokoroModel.speak`."""
        samples = self._model.from_phonemes(phonemes, speed, seed=0)
        assert self._model.sample_rate == SAMPLE_RATE
        return trimmed(np.asarray(samples, np.float32).clip(-1, 1), pause)


def _unusable(error: Exception) -> ModelError:
    return ModelError(
        f"Cannot load hibari, which reads English: {error}.",
        on_command_line=f"Install it again: {reinstall_command('hibari-tts')}",
    )
