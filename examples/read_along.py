"""Speak a text while it is still being written, through the loudspeaker and into a file at once."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import voxcli
from voxcli.audio.format import AudioFormat
from voxcli.sinks import ToFile, ToSpeaker

STORY = "**Once** upon a time there was a voice. [pause 0.3s] It spoke before the story was written."


def slow_writer() -> Iterator[str]:
    """Stand in for a language model: a few characters at a time."""
    for start in range(0, len(STORY), 4):
        time.sleep(0.05)
        yield STORY[start : start + 4]


path = Path(sys.argv[1] if len(sys.argv) > 1 else "story.mp3")

with voxcli.open_engine() as engine:
    speech = engine.speak(slow_writer(), markdown=True)
    speech.send(ToSpeaker(), ToFile(path, AudioFormat.MP3, overwrite=True))
