"""GraphRunner gives the samples of EagerRunner, whatever else is in the batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.checkpoints import write_checkpoint
from tests.voxcpm.recorded import RecordedGraphStream
from tests.voxcpm.speech import clip, samples_of, utterance
from voxcli.audio.chunk import Samples
from voxcli.errors import RequestError
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model, Utterance
from voxcli.voxcpm.network.sequence import build_sequence, length_of
from voxcli.voxcpm.runtime import eager_runner, graph_runner
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.stream import Stream

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
        assert [other.runner._graphs.bucket(streams) for streams in (1, 2, 3)] == [1, 2, 3]
        parts = ("start", "evaluate", "decode", "advance")
        assert sorted(other.runner._graphs._graphs) == sorted((part, rows) for part in parts for rows in (1, 2, 3))
        alone = {(1, length) for length in (16, 32, 64, 128, 256, 512)}
        together = {(3, 16), (3, 32), (3, 64), (3, 128), (2, 256)}
        assert other.runner._prefiller._graphs.keys() == alone | together
        assert other.runner._slots._table._evaluations == {steps: steps - 1 for steps in range(4, 11)}
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


def new_stream(model: Model, said: Utterance) -> Stream:
    return model._new_stream(said, model._limit_of(said)[0])[0]


def spoken_by(stream: Stream) -> Samples:
    def fail() -> None:
        raise AssertionError("its audio was never delivered")

    spoken = []
    while (samples := stream.next_audio(fail)) is not None:
        spoken.append(samples)
    return np.concatenate(spoken)


@torch.inference_mode()
def run(runner: GraphRunner, arrivals: dict[int, list[Stream]]) -> dict[Stream, list[int]]:
    """Run streams that arrive before certain steps until all are over. Return the steps in which each got a patch."""
    with runner.device_context():
        return _run(runner, arrivals)


def _run(runner: GraphRunner, arrivals: dict[int, list[Stream]]) -> dict[Stream, list[int]]:
    active, steps = list[Stream](), {stream: list[int]() for streams in arrivals.values() for stream in streams}
    for number in count():
        if arriving := arrivals.get(number):
            runner.begin(arriving)
            active += arriving
        before = {stream: stream.patches_generated for stream in active}
        runner.step(active)
        for stream in list(active):
            if stream.patches_generated > before[stream]:
                steps[stream].append(number)
            if stream.over:
                runner.leave(stream)
                active.remove(stream)
        if all(stream.over for stream in steps) and not runner.has_pending_output:
            break
    return steps


def runner_of(model: Model, slots: int) -> GraphRunner:
    new_stream = GraphStream if model.device.type == "cuda" else RecordedGraphStream
    return GraphRunner(model._backbone, model._codec, slots, lazy=True, new_stream=new_stream)


def test_a_stream_with_many_steps_holds_up_no_other_and_is_what_it_is_alone(models: Models) -> None:
    """It joins late, others leave while it is in the middle of a patch, and its row is moved."""
    model = models("voxcpm-0.5b")
    said = [
        utterance(seed=1, steps=5, max_patches=4),
        utterance(seed=2, steps=4, text="好" * 20, max_patches=8),
        utterance(seed=3, steps=33, guidance=1.5, max_patches=2),
        utterance(seed=4, steps=1, max_patches=3),
    ]
    said = [replace(its, min_patches=99) for its in said]
    streams = [new_stream(model, its) for its in said]
    steps = run(runner_of(model, 4), {0: [streams[1]], 1: [streams[0], streams[2]], 3: [streams[3]]})
    # 32 evaluations are four for each step of the others, then all that are left, and then all of the next patch.
    assert [steps[stream] for stream in streams] == [[1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7], [8, 9], [3, 4, 5]]
    for its, stream in zip(said, streams, strict=True):
        np.testing.assert_allclose(spoken_by(stream), samples_of(model, its), atol=1e-4)


class CountedSeed:
    """The noise of one stream, as it is drawn on a GPU for all rows at once."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._count = (torch.tensor([number], device=device) for number in (seed, 0))

    def fill(self, noise: Tensor) -> None:
        ops.draw_noise(noise, self._seed, self._count, self._count >= 0)


def test_noise_that_is_drawn_for_all_rows_at_once_is_that_of_each_stream(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("voxcpm-1.5")
    monkeypatch.setattr(graph_runner, "can_draw_noise", lambda *given: True)
    monkeypatch.setattr(eager_runner, "new_generator", CountedSeed)
    monkeypatch.setattr(eager_runner, "draw_noise", lambda noise, generator: generator.fill(noise))
    said = [
        utterance(seed=2**40 + number, steps=steps, min_patches=99, max_patches=patches)
        for number, (steps, patches) in enumerate([(3, 5), (12, 2), (2, 3), (4, 2)])
    ]
    streams = [new_stream(model, its) for its in said]
    run(runner_of(model, 3), {0: streams[:2], 2: streams[2:3], 5: streams[3:]})
    for its, stream in zip(said, streams, strict=True):
        np.testing.assert_allclose(spoken_by(stream), samples_of(model, its), atol=1e-4)


def test_streams_that_begin_at_once_are_prefilled_together(models: Models) -> None:
    """Texts of several lengths, a reference and a prompt, each of them what it is alone."""
    model = models("voxcpm-2")
    prompt = model.encode_clip(clip(model, 0.6), pad_left=True)
    reference = model.encode_clip(clip(model, 0.9, 2), pad_left=False)
    said = [utterance(seed=seed, text="好" * (1 + 3 * seed), max_patches=2, steps=2) for seed in range(0, 9, 2)]
    said += [utterance(prompt=prompt, transcript="是的", steps=2), utterance(reference=reference, steps=2)]
    streams = [new_stream(model, its) for its in said]
    lengths = {1 << max(4, (length_of(stream.sequence) - 1).bit_length()) for stream in streams}
    runner = runner_of(model, 16)
    run(runner, {0: streams})
    assert len(lengths) < 4
    assert {length for _, length in runner._prefiller._graphs} == lengths
    assert len(runner._prefiller._graphs) == len(lengths), "a launch for each length"
    for its, stream in zip(said, streams, strict=True):
        np.testing.assert_allclose(spoken_by(stream), samples_of(model, its), atol=1e-4)


def test_sixty_four_streams_that_begin_at_once_are_prefilled_in_four_launches(models: Models) -> None:
    model = models("voxcpm-2")
    prefiller = runner_of(model, 64)._prefiller
    sequences = [build_sequence(list(range(17 + number % 15)), None, None) for number in range(64)]
    batches = list(prefiller.batches(sequences))
    assert [len(batch) for batch in batches] == [16] * 4
    assert sorted(index for batch in batches for index in batch) == list(range(64))


def test_rows_without_a_stream_look_at_no_past(models: Models) -> None:
    runner, model = runner_of(models("voxcpm-2"), 4), models("voxcpm-2")
    streams = [new_stream(model, utterance(seed=seed, steps=2, min_patches=99, max_patches=6)) for seed in range(4)]
    streams[3].limit = 2
    run(runner, {0: streams})
    assert runner._slots._lengths[3] <= 1


def test_the_prompt_of_a_voice_is_decoded_once(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models("voxcpm-2")
    prompt = model.encode_clip(clip(model, 0.6), pad_left=True)
    said = utterance(prompt=prompt, transcript="是的", steps=2, max_patches=2)
    with with_graphs(model, 1) as other:
        first = samples_of(other, said)
        batches: list[int] = []
        decode = AudioVAE.decode

        def counted(codec: AudioVAE, latents: Tensor, state: DecoderState) -> Tensor:
            batches.append(latents.size(2))
            return decode(codec, latents, state)

        monkeypatch.setattr(AudioVAE, "decode", counted)
        np.testing.assert_array_equal(samples_of(other, said), first)
        assert batches == [], "its graphs had been captured, and nothing else was decoded"
