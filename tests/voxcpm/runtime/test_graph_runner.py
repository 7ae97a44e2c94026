"""GraphRunner gives the samples of EagerRunner, whatever else is in the batch."""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import write_checkpoint
from tests.voxcpm.recorded import RecordedGraphStream
from tests.voxcpm.speech import clip, samples_of, utterance
from voxcli.audio.chunk import Samples
from voxcli.errors import RequestError
from voxcli.voxcpm.device import Placement, prepare_device
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream
from voxcli.voxcpm.runtime.graph_runner import GraphRunner

Models = Callable[[str], Model]

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(
    scope="module", params=[pytest.param("cuda", marks=[pytest.mark.cuda, NO_CUDA]), "cpu"], ids=["cuda", "cpu"]
)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="module")
def models(device: torch.device, checkpoints: Callable[[str], Path]) -> Models:
    placement = Placement(device, torch.float32)
    return cache(lambda family: load_model(checkpoints(family), placement, threads=1, graphs=False))


@contextmanager
def with_graphs(model: Model, slots: int, *, lazy: bool = True) -> Iterator[Model]:
    """Run the same weights with graphs."""
    new_stream = GraphStream if model.device.type == "cuda" else RecordedGraphStream
    runner = GraphRunner(model._backbone, model._codec, slots, lazy=lazy, new_stream=new_stream)
    other = Model(model.config, model._tokenizer, model._backbone, model._codec, runner, slots)
    yield other
    other.close()


def test_a_stream_is_the_same_by_either_runner(models: Models, family: str) -> None:
    model, said = models(family), utterance(min_patches=6, max_patches=6)
    with with_graphs(model, 1) as other:
        spoken = list(other.stream(said))
        np.testing.assert_allclose(np.concatenate(spoken), samples_of(model, said), atol=1e-4)
    assert [len(chunk) for chunk in spoken] == [model.config.patch_samples] * 6


def test_streams_that_come_and_go_are_what_they_are_alone(models: Models) -> None:
    """More of them than slots, with various lengths and numbers of steps; some leave early."""
    model = models("voxcpm-2")
    said = [
        utterance(
            seed=seed, steps=2 + seed % 4, guidance=1 + seed / 4, text="好" * (1 + 7 * seed), max_patches=1 + seed
        )
        for seed in range(7)
    ]
    heard_until = [99, 99, 1, 99, 2, 99, 3]
    with with_graphs(model, 3) as other, ThreadPoolExecutor(7) as threads:

        def listen(number: int) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
            with closing(other.stream(said[number])) as stream:
                return np.concatenate(list(islice(stream, heard_until[number])))

        spoken = list(threads.map(listen, range(7)))
    for its, heard in zip(said, spoken, strict=True):
        np.testing.assert_allclose(heard, samples_of(model, its)[: len(heard)], atol=1e-4)


def test_capturing_all_graphs_at_once_leaves_no_trace(models: Models) -> None:
    model = models("voxcpm-0.5b")
    with with_graphs(model, 3, lazy=False) as other:
        assert isinstance(other.runner, GraphRunner)
        assert [other.runner._bucket(streams) for streams in (1, 2, 3)] == [1, 2, 3]
        assert sorted(other.runner._decode_graphs) == sorted(other.runner._advance_graphs) == [1, 2, 3]
        assert sorted(other.runner._prefiller._graphs) == [16, 32, 64, 128, 256, 512]
        np.testing.assert_allclose(samples_of(other), samples_of(model), atol=1e-4)


def test_voices_are_the_same_by_either_runner(models: Models) -> None:
    model = models("voxcpm-2")
    prompt = model.encode_clip(clip(model, 0.6), pad_left=True)
    reference = model.encode_clip(clip(model, 0.9, 2), pad_left=False)
    with with_graphs(model, 1) as other:
        for voice in ({"prompt": prompt, "transcript": "是的"}, {"reference": reference}):
            said = utterance(**voice)
            np.testing.assert_allclose(samples_of(other, said), samples_of(model, said), atol=1e-4)


def test_a_sequence_longer_than_all_graphs_is_prefilled_without_one(device: torch.device, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "voxcpm-1.5", seed=3, changes={"max_length": 600})
    model = load_model(tmp_path, Placement(device, torch.float32), threads=1, graphs=False)
    said = utterance(text="你好" * 260, max_patches=2)
    with with_graphs(model, 1) as other:
        np.testing.assert_allclose(samples_of(other, said), samples_of(model, said), atol=1e-4)


def until_full(stream: Iterator[Samples]) -> Iterator[Samples]:
    """Yield the samples up to the last position of the model."""
    with suppress(RequestError):
        yield from stream


def test_speech_may_fill_the_last_position(models: Models) -> None:
    model = models("voxcpm-0.5b")
    beside = utterance(min_patches=20, max_patches=20)
    longest = model.config.max_length
    one = len(model._tokenizer.ids("好"))
    full, nearly = ("好" * (longest - left - one) for left in (0, 6))
    with with_graphs(model, 2) as other, ThreadPoolExecutor(3) as threads:
        said = [utterance(text=text, min_patches=99, max_patches=7, steps=2) for text in (full, nearly)] + [beside]
        spoken = list(threads.map(lambda its: list(until_full(other.stream(its))), said))
    assert [len(heard) for heard in spoken] == [1, 7, 20]
    for its, heard in zip(said, map(np.concatenate, spoken), strict=True):
        np.testing.assert_allclose(heard, np.concatenate(list(until_full(model.stream(its)))), atol=1e-4)


@pytest.mark.parametrize("enabled", [True, False], ids=["as usual", "turned off before"])
def test_no_garbage_is_collected_during_a_capture(enabled: bool) -> None:
    """A dead cycle may hold an old graph, and freeing that voids the capture."""
    seen = []
    (gc.enable if enabled else gc.disable)()
    try:
        RecordedGraphStream(torch.device("cpu")).capture(lambda: seen.append(gc.isenabled()), ())
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()


def test_cudnn_is_not_asked_for_attention() -> None:
    """It compiles a kernel for each number of positions."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        prepare_device(torch.device("cpu"))
        assert torch.backends.cuda.cudnn_sdp_enabled()
        prepare_device(torch.device("cuda", 0))
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
