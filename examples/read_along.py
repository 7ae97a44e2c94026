"""Speak a text while it is still being written, through the loudspeaker and into a file at once."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from voxcli.audio.format import AudioFormat
from voxcli.engines import open_engine
from voxcli.sinks import ToFile, ToSpeaker, open_sink
from voxcli.synthesis.narration import Narrator
from voxcli.synthesis.request import Speech, SynthesisRequest
from voxcli.text.parts import read_parts

path = Path(sys.argv[1] if len(sys.argv) > 1 else "story.mp3")


STORY = "**Once** upon a time there was a voice. [pause 0.3s] It spoke before the story was written."


def slow_writer() -> Iterator[str]:
    """Stand in for a language model: a few characters at a time."""
    for start in range(0, len(STORY), 4):
        time.sleep(0.05)
        yield STORY[start : start + 4]


targets = [ToSpeaker(), ToFile(path, AudioFormat.MP3, overwrite=True)]
with open_sink(targets) as sink, closing(open_engine()) as engine:

    def speak(text: str) -> Speech:
        return engine.stream(SynthesisRequest(text=text))

    with closing(Narrator(speak).stream(read_parts(slow_writer(), markdown=True))) as chunks:
        for chunk in chunks:
            sink.write(chunk)
