"""How much of a text was spoken, when a run is stopped."""

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.commands.speak_job import SpeakJob, SpeakRun
from voxcli.cli.console import Console
from voxcli.cli.reports.text import TextReport
from voxcli.cli.text_source import Whole
from voxcli.engines.settings import EngineSettings
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import SentenceMark

CHUNK = AudioChunk(np.ones(16000, np.float32) / 2, 16000)
PIECES = [SentenceMark(text="One two.", start=0.0), CHUNK, CHUNK, SentenceMark(text="One two.", start=0.0, end=2.0)]


class Output:
    """A sink, of which a listener has heard one second, or that plays nothing."""

    underruns = heard_at = None

    def __init__(self, played_seconds: float | None) -> None:
        self.played_seconds = played_seconds

    def write(self, chunk: AudioChunk) -> None: ...

    def mark(self, mark: SentenceMark) -> None: ...

    def idle(self) -> None: ...


@pytest.mark.parametrize(("played", "text"), [(0.0, ""), (1.0, "One"), (None, "One two.")])
def test_only_what_has_left_the_loudspeaker_counts_if_there_is_one(played: float | None, text: str) -> None:
    job = SpeakJob(
        text=Whole("One two. Three."),
        markdown=False,
        split=True,
        engine=EngineSettings(),
        delivery=Delivery(),
        targets=[],
    )
    run = SpeakRun(job, TextReport(Console(quiet=True)), lambda: None)
    assert run.spoken().text == ""
    run.write(iter(PIECES), Output(played))  # type: ignore[arg-type]
    assert run.spoken().text == text
