"""Progress of loading: written and read back, counted from several threads, and in words."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from voxcli.synthesis.loading import LoadingProgress, LoadingStage, StageCounter


@pytest.mark.parametrize("stage", LoadingStage)
def test_progress_is_read_back_as_it_was_written(stage: LoadingStage) -> None:
    progress = LoadingProgress(stage, 3, 7)
    assert LoadingProgress.from_dict(json.loads(json.dumps(progress.to_dict()))) == progress


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"stage": "dancing", "done": 0, "total": 1},
        {"stage": "reading", "done": -1, "total": 1},
        {"stage": "reading", "done": 2, "total": 1},
        {"stage": "reading", "done": 0.5, "total": 1},
        {"stage": "reading", "done": 0, "total": None},
    ],
)
def test_what_is_no_progress_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"progress of loading|LoadingStage"):
        LoadingProgress.from_dict(document)


def test_a_count_advanced_from_several_threads_only_grows_up_to_its_total() -> None:
    reported: list[LoadingProgress] = []
    counter = StageCounter(reported.append, LoadingStage.READING, 100)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(60):
            threads.submit(counter.advance, 2)
    counter.finish()
    done = [progress.done for progress in reported]
    assert (done[0], done[-1]) == (0, 100)
    assert all(before <= after for before, after in pairwise(done))


def test_a_count_that_fell_short_is_finished_once() -> None:
    reported: list[LoadingProgress] = []
    counter = StageCounter(reported.append, LoadingStage.CAPTURING, 3)
    counter.advance()
    counter.finish()
    counter.finish()
    assert [progress.done for progress in reported] == [0, 1, 3]


@pytest.mark.parametrize(
    ("progress", "amount"),
    [
        (LoadingProgress(LoadingStage.STARTING), ""),
        (LoadingProgress(LoadingStage.READING, 811_999_999, 1_950_000_000), "811 of 1950 MB"),
        (LoadingProgress(LoadingStage.QUANTIZING, 1, 70_000), "0 of 1 MB"),
        (LoadingProgress(LoadingStage.READING, 9_999_999_999, 12_500_000_000), "9 of 12 GB"),
        (LoadingProgress(LoadingStage.CAPTURING, 3, 27), "3 of 27"),
    ],
)
def test_an_amount_is_said_in_the_unit_of_its_stage(progress: LoadingProgress, amount: str) -> None:
    assert progress.amount == amount


def test_a_process_that_waits_for_an_engine_needs_nothing_heavy_for_it() -> None:
    code = "import sys, voxcli.synthesis.loading; print([n for n in ('numpy', 'torch', 'rich') if n in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"
