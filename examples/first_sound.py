"""Measure how soon the first chunk of a text arrives."""

import time

import voxcli

with voxcli.open_engine() as engine:
    for text in ("Hello, world.", "Hello, world. " * 10):
        started, first, seconds = time.perf_counter(), None, 0.0
        for piece in engine.speak(text).pieces():
            if isinstance(piece, voxcli.SentenceMark):
                continue
            first = first or time.perf_counter() - started
            seconds += piece.seconds
        assert first is not None
        print(f"{len(text):4} characters: first chunk after {first * 1000:.1f} ms, {seconds:.1f} s of speech")
