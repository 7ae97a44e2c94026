"""Speak one sentence into a file."""

import sys

import voxcli

path = sys.argv[1] if len(sys.argv) > 1 else "hello.wav"

with voxcli.open_engine() as engine:
    engine.speak("你好，世界").save(path)
