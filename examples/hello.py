"""Say one sentence into a file: an engine, a loop, a sink."""

import sys
from contextlib import closing
from pathlib import Path

from voxcli.audio.format import AudioFormat
from voxcli.engines import open_engine
from voxcli.sinks import ToFile, open_sink
from voxcli.synthesis.request import SynthesisRequest

path = Path(sys.argv[1] if len(sys.argv) > 1 else "hello.wav")
request = SynthesisRequest(text="你好，世界")

with open_sink([ToFile(path, AudioFormat.WAV, overwrite=True)]) as sink, closing(open_engine()) as engine:
    for chunk in engine.stream(request):
        sink.write(chunk)
