"""Measure how soon a text sounds. The loop is the same; this time nobody listens."""

from contextlib import closing

from voxcli.engines import open_engine
from voxcli.synthesis.request import SynthesisRequest
from voxcli.synthesis.timing import Stopwatch

with closing(open_engine()) as engine:
    for text in ("Hello, world.", "Hello, world. " * 10):
        stopwatch = Stopwatch()
        for _ in stopwatch.timed(engine.stream(SynthesisRequest(text=text))):
            pass
        timings = stopwatch.timings
        assert timings.first_sound is not None
        print(f"{len(text):4} characters: sound after {timings.first_sound * 1000:.1f} ms, {timings.audio:.1f} s of it")
