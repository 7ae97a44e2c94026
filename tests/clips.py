"""Clips to clone a voice from, spoken by the built-in voice."""

from contextlib import closing
from functools import cache

from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.synthesis.request import SynthesisRequest

WORDS = "It was a bright cold day in April, and all the clocks of the town were striking thirteen, one after another."


@cache
def spoken_wav(text: str = WORDS) -> bytes:
    with closing(BuiltinEngine()) as engine:
        return b"".join(encoded(engine.stream(SynthesisRequest(text=text)), AudioFormat.WAV))
