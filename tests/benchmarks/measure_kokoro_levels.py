"""Levels of Kokoro's voices: how loud each speaks, and the gain that makes them equally loud.

    python tests/benchmarks/measure_kokoro_levels.py

prints the table `_GAINS` of voxcli/engines/kokoro/speakers.py. A minute of CPU time for three voices.
"""

import sys
from collections.abc import Iterator

import numpy as np

import voxcli
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.loudness import loudness
from voxcli.audio.pcm import concatenated
from voxcli.engines.kokoro.speakers import GAINS, SMALL, VOICES
from voxcli.text.language import base_language

LEVEL = -20.0
"""LUFS."""
HIGHEST = 0.89
"""Of the samples, so that a louder sentence is not clipped."""
TEXTS = {
    "zh": "清晨很安静，细雨轻轻落在院子里。我打开窗户，听了一会儿雨声。请问最近的地铁站在哪里？",
    "en": "The morning was quiet, and a light rain fell on the garden. Could you tell me where the station is?",
    "es": "La mañana estaba tranquila y caía una lluvia fina. ¿Dónde está la estación, por favor?",
    "fr": "Le matin était calme, et une pluie fine tombait sur le jardin. Où se trouve la gare, s'il vous plaît ?",
    "it": "La mattina era tranquilla e cadeva una pioggia sottile. Scusi, dov'è la stazione?",
    "pt": "A manhã estava tranquila e caía uma chuva fina. Por favor, onde fica a estação?",
    "hi": "सुबह शांत थी और हल्की बारिश हो रही थी। कृपया बताइए, स्टेशन कहाँ है?",
}


def spoken(engine: voxcli.SpeechEngine, voice: str | None) -> AudioChunk:
    language = base_language(VOICES[voice].language if voice else "en") or "en"
    return concatenated(list(engine.speak(TEXTS[language], voice=voice, language=language if voice else None)))


def gains() -> Iterator[tuple[str, float]]:
    """Yield the name of each voice with its gain in dB."""
    with voxcli.open_engine("kokoro") as engine:
        for name in (SMALL, *VOICES):
            sound = spoken(engine, None if name == SMALL else name)
            peak = 20 * np.log10(np.abs(sound.samples).max() / HIGHEST)
            yield name, round(GAINS[name] + min(LEVEL - loudness(sound), -peak), 1)


if __name__ == "__main__":
    for name, gain in gains():
        sys.stdout.write(f"{name} {gain:+.1f}\n")
        sys.stdout.flush()
