"""The line at the end of a run, and where its seconds come from."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.cli.console import wrap_phrases
from voxcli.cli.run_summary import Laps, RunSummary, described_speed, summary_phrases
from voxcli.synthesis.timing import Timings


def summary(before_sound: dict[str, float] | None, *, played: bool = True, speed: float = 4.1) -> RunSummary:
    return RunSummary(
        model="voxcpm-1.5",
        timings=Timings(working=12.3 / speed, audio=12.3, chunks=80),
        audio_seconds=12.3,
        before_sound=before_sound,
        underruns=0 if played else None,
        outputs=[] if played else ["hello.wav"],
        seed=None,
        steps=[10],
    )


LOADED = {"start": 0.25, "load": 3.31, "text": 0.001, "first chunk": 0.24, "buffer": 0.0, "loudspeaker": 0.12}


def test_it_says_what_was_made_and_what_the_time_from_enter_to_sound_was_spent_on() -> None:
    assert " ".join(summary_phrases(summary(LOADED))) == (
        "played · 12.3 s · voxcpm-1.5 · 4.1× faster than real time · 0 underruns · "
        "heard after 3.92 s (start 0.25, load 3.31, first chunk 0.24, loudspeaker 0.12)"
    )
    assert " ".join(summary_phrases(summary({"start": 0.29, "first chunk": 0.02}, played=False))) == (
        "hello.wav · 12.3 s · voxcpm-1.5 · 4.1× faster than real time · "
        "sound after 0.31 s (start 0.29, first chunk 0.02)"
    )


def test_without_sound_it_says_so() -> None:
    assert " ".join(summary_phrases(summary(None, played=False))).endswith(" real time · no sound")


@pytest.mark.parametrize(("columns", "most"), [(80, 2), (50, 4)])
def test_it_fits_a_terminal(columns: int, most: int) -> None:
    lines = wrap_phrases(summary_phrases(summary(LOADED)), columns)
    assert len(lines) <= most
    assert max(map(len, lines)) <= columns


@given(st.dictionaries(st.sampled_from(list(LOADED)), st.floats(0, 60), min_size=1))
def test_the_parts_that_are_named_add_up_to_the_whole(before_sound: dict[str, float]) -> None:
    line = " ".join(summary_phrases(summary(before_sound)))
    whole = float(re.findall(r"heard after ([\d.]+) s", line)[0])
    named = [float(seconds) for seconds in re.findall(r"[a-z] ([\d.]+)[,)]", line)]
    assert sum(named) == pytest.approx(whole, abs=0.07 * (len(before_sound) + 1))


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        (240, "240× faster than real time"),
        (4.14, "4.1× faster than real time"),
        (1.0, "as fast as real time"),
        (0.6, "0.6× real time, slower than speech"),
        (0.01, "far slower than speech"),
    ],
)
def test_a_speed_says_whether_it_is_faster_or_slower_than_speech(speed: float, words: str) -> None:
    assert described_speed(speed) == words


def test_laps_add_up_to_the_time_since_the_program_was_started() -> None:
    laps = Laps()
    laps.end("start")
    began = time.perf_counter()
    assert laps.seconds["start"] > 0
    laps.end("load", began + 3)
    laps.end("buffer", began + 2)  # was over before: no time of its own
    laps.end("load", began + 4)
    laps.end("loudspeaker", began + 5)
    assert list(laps.seconds) == ["start", "load", "loudspeaker"]
    assert laps.seconds["load"] == pytest.approx(4, abs=0.01)
    assert sum(laps.seconds.values()) == pytest.approx(laps.seconds["start"] + 5, abs=0.01)
