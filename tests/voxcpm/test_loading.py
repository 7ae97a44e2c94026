"""Progress of loading: stages in order, each from nothing to its total, and never backwards."""

import os
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from torch import Tensor

from tests.voxcpm.conftest import CPU
from tests.voxcpm.recorded import RecordedGraphStream
from tests.voxcpm.speech import samples_of
from voxcli.engines import open_engine
from voxcli.engines.settings import LocalSettings
from voxcli.errors import ModelError
from voxcli.synthesis.loading import LoadingProgress, LoadingStage
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.runtime.cuda_graphs import Launch
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder

KERNELS = Path(os.environ["VOXCLI_KERNELS"])
LONG = 20
"""Updates that a bar needs at least."""


def check_order(reported: list[LoadingProgress]) -> dict[LoadingStage, list[LoadingProgress]]:
    """Check that the stages come in order, and each only grows, from 0 to its total. Return them by stage."""
    stages = {stage: list(its) for stage, its in groupby(reported, key=lambda progress: progress.stage)}
    assert sum(map(len, stages.values())) == len(reported), "a stage came twice"
    order = list(LoadingStage)
    assert sorted(stages, key=order.index) == list(stages)
    for its in stages.values():
        assert (its[0].done, its[-1].done) == (0, its[-1].total)
        assert len({progress.total for progress in its}) == 1
        assert all(before.done <= after.done for before, after in pairwise(its))
    return stages


def sizes(folder: Path) -> tuple[int, int]:
    """Return the bytes of the codec's file and of the network's."""
    return next(folder.glob("audiovae.*")).stat().st_size, next(folder.glob("*model.*")).stat().st_size


@pytest.mark.parametrize("family", ["voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2"])
def test_every_byte_of_the_weights_is_counted(checkpoints: Callable[[str], Path], family: str) -> None:
    reported: list[LoadingProgress] = []
    settings = LocalSettings(dtype="float32", threads=1)
    open_engine(str(checkpoints(family)), settings=settings, on_loading=reported.append).close()
    stages = check_order(reported)
    assert list(stages) == [LoadingStage.STARTING, LoadingStage.READING]
    assert stages[LoadingStage.READING][-1].total == sum(sizes(checkpoints(family)))
    steps = [after.done - before.done for before, after in pairwise(stages[LoadingStage.READING])]
    assert len(steps) >= LONG
    # The last step is what is in no tensor, such as the headers: little, so that the bar does not jump.
    assert steps[-1] < 0.25 * stages[LoadingStage.READING][-1].total


def test_quantizing_is_a_stage_of_its_own_until_its_result_is_kept(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, kept = checkpoints("voxcpm-1.5"), PreparedFolder(tmp_path)
    codec, network = sizes(folder)
    totals = []
    for _ in range(2):
        reported: list[LoadingProgress] = []
        model = load_model(
            folder, CPU, quantize="int8", threads=1, prepared=kept, kernels=KERNELS, on_loading=reported.append
        )
        samples_of(model)
        model.close()
        totals.append({stage: its[-1].total for stage, its in check_order(reported).items()})
    totals[0].pop(LoadingStage.COMPILING, None)  # unless another test has compiled the same
    assert totals[0] == {LoadingStage.READING: codec, LoadingStage.QUANTIZING: network}
    assert list(totals[1]) == [LoadingStage.READING]


def test_every_graph_is_run_once_and_counted(checkpoints: Callable[[str], Path]) -> None:
    model = load_model(checkpoints("voxcpm-1.5"), CPU, threads=1)
    reported: list[LoadingProgress] = []
    calls: list[str] = []

    class CountedStream(RecordedGraphStream):
        def warm_up(self, fn: Launch, mutated_state: Iterable[Tensor]) -> None:
            calls.append("warm up")

        def _captured(self, fn: Launch, mutated_state: Iterable[Tensor]) -> Launch:
            calls[-1:] = ["capture"]
            return super()._captured(fn, mutated_state)

    GraphRunner(model._backbone, model._codec, 3, new_stream=CountedStream, on_loading=reported.append)
    (its,) = check_order(reported).values()
    assert set(calls) == {"capture"}
    assert its[-1] == LoadingProgress(LoadingStage.CAPTURING, len(calls), len(calls))
    model.close()


def test_what_fails_is_reported_as_far_as_it_came(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for file in checkpoints("voxcpm-1.5").iterdir():
        data = file.read_bytes()
        (folder / file.name).write_bytes(data[: len(data) // 2] if file.name.startswith("model.") else data)
    reported: list[LoadingProgress] = []
    with pytest.raises(ModelError, match="damaged"):
        open_engine(str(folder), settings=LocalSettings(threads=1), on_loading=reported.append)
    assert all(progress.done < progress.total or not progress.total for progress in reported)
    assert reported[0].stage is LoadingStage.STARTING
