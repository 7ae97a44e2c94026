"""Stems: a file for each speaker, all as long as the whole, and their sum is the whole."""

from pathlib import Path

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.sinks import ToFile, ToStems, open_sink
from voxcli.synthesis.request import SentenceMark
from voxcli.text.marks import Sentence, SpeakingManner

RATE = 8000


@settings(max_examples=25)
@given(turns=st.lists(st.tuples(st.sampled_from([None, "ANNA", "B/N", "narrator"]), st.integers(0, 9)), max_size=8))
def test_the_stems_add_up_to_the_whole(turns: list[tuple[str | None, int]], tmp_path_factory: object) -> None:
    folder: Path = tmp_path_factory.mktemp("stems")  # type: ignore[attr-defined]
    noise = np.random.default_rng(1)
    with open_sink([ToFile(folder / "whole.wav", AudioFormat.WAV), ToStems(folder / "stems")]) as sink:
        sink.write(AudioChunk(np.zeros(50, np.float32), RATE))
        for speaker, count in turns:
            mark = SentenceMark(text=Sentence("a", None, manner=SpeakingManner(speaker=speaker)), start=0.0)
            sink.mark(mark)
            for _ in range(count):
                sink.write(AudioChunk(noise.uniform(-1.2, 1.2, 70).astype(np.float32), RATE))
            sink.mark(SentenceMark(text=mark.text, start=0.0, end=1.0))
            sink.write(AudioChunk(np.zeros(30, np.float32), RATE))
    whole, _ = soundfile.read(folder / "whole.wav", dtype="int16")
    stems = {path.stem: soundfile.read(path, dtype="int16")[0] for path in (folder / "stems").iterdir()}
    assert len(stems) == len({speaker for speaker, _ in turns})
    if stems:
        assert {len(stem) for stem in stems.values()} == {len(whole)}
        np.testing.assert_array_equal(np.sum(list(stems.values()), axis=0, dtype=np.int32), whole)
