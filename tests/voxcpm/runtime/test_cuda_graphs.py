"""Captures: their order, their CUDA streams, what must not happen meanwhile; and how often graphs are launched."""

import gc
from collections.abc import Callable, Iterable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.voxcpm.recorded import RecordedGraphStream
from voxcli.voxcpm.device import prepare_device
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.runtime.cuda_graphs import Launch
from voxcli.voxcpm.runtime.graph_runner import GraphRunner, evaluations_of_step

CPU = torch.device("cpu")


def test_the_largest_graphs_are_captured_first_and_decoding_is_urgent(models: Callable[[str], Model]) -> None:
    """The small ones then fit into the memory of the large ones, and a first chunk waits for no other work."""
    captured: dict[tuple[str, bool], list[int]] = {}

    class Watched(RecordedGraphStream):
        urgent = False

        def _captured(self, fn: Launch, mutated_state: Iterable[Tensor]) -> Launch:
            assert isinstance(fn, partial)
            (rows,) = fn.args
            sizes = captured.setdefault((fn.func.__name__, self.urgent), [])
            sizes.append(rows if isinstance(rows, int) else rows[0] * rows[1])
            return fn

    def new_stream(device: torch.device, *, urgent: bool = False) -> RecordedGraphStream:
        stream = Watched(device)
        stream.urgent = urgent
        return stream

    model = models("voxcpm-0.5b")
    GraphRunner(model._backbone, model._codec, 3, new_stream=new_stream)
    assert {name for name, urgent in captured if urgent} == {"decode"}
    assert {name for name, urgent in captured if not urgent} == {"start", "evaluate", "advance", "_forward"}
    for sizes in captured.values():
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) >= 3


@pytest.mark.parametrize("enabled", [True, False], ids=["as usual", "turned off before"])
def test_no_garbage_is_collected_during_a_capture(enabled: bool) -> None:
    """A dead cycle may hold an old graph, and freeing that voids the capture."""
    seen = []
    (gc.enable if enabled else gc.disable)()
    try:
        RecordedGraphStream(CPU).capture(lambda: seen.append(gc.isenabled()), ())
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()


def test_cudnn_is_not_asked_for_attention() -> None:
    """It compiles a kernel for each number of positions."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        prepare_device(CPU)
        assert torch.backends.cuda.cudnn_sdp_enabled()
        prepare_device(torch.device("cuda", 0))
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)).map(sorted), min_size=1, max_size=9))
def test_who_needs_the_fewest_evaluations_never_waits_for_more_than_a_quarter(needs: list[list[int]]) -> None:
    pairs = [(whole, left) for left, whole in needs]
    evaluations, fewest = evaluations_of_step(pairs), max(4, min(whole for whole, _ in pairs))
    assert all(left <= evaluations for whole, left in pairs if whole <= fewest)
    assert 1 <= evaluations <= 1.25 * fewest
