"""Neither a stream that begins nor a step makes the host wait for the device, but for the results of earlier steps.

The device is torch's meta device, on which everything but its memory is that of a GPU's tensors.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.voxcpm.recorded import SYNCHRONIZING
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.network.sequence import AudioSegment, build_sequence
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.weights.checkpoint import new_backbone, new_codec

META, CPU = torch.device("meta"), torch.device("cpu")

COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default, torch.ops.aten.to.dtype_layout}

FROM_PYTHON = {torch.ops.aten.scalar_tensor.default, torch.ops.aten.lift_fresh.default}
"""How a number is assigned to an element. A GPU waits for it to be copied from memory that is not pinned."""


class NoWaiting(TorchDispatchMode):
    """Fails at operations that would block the host until a GPU has done its work."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        devices = {tensor.device for tensor in tensors}
        if made_on := kwargs.get("device"):
            devices.add(made_on)
        if META in devices:
            assert func not in SYNCHRONIZING, f"{func} waits for the device"
            assert func not in FROM_PYTHON, f"{func} copies a number from memory that is not pinned"
        if len(devices) > 1:
            assert func in COPIES, f"{func} mixes devices"
            assert kwargs.get("non_blocking") or args[2:] == (True,), f"{func} from {tensors[-1].device} blocks"
            self.copies += 1
            if tensors[0].device == CPU and func is torch.ops.aten.copy_.default:
                return tensors[0]  # nothing can be read from the meta device
        return func(*args, **kwargs)


@pytest.fixture(scope="module")
def runner(checkpoints: Callable[[str], Path]) -> GraphRunner:
    config = replace(read_config(checkpoints("voxcpm-2")), max_length=1024)
    with META:
        backbone, codec = new_backbone(config), new_codec(config.codec)
    backbone.prepare()
    codec.prepare()
    return GraphRunner(backbone, codec, 8, lazy=True)


def stream_of(
    length: int, steps: int, prompt: AudioSegment | None = None, reference: AudioSegment | None = None
) -> Stream:
    return Stream(
        sequence=build_sequence(list(range(length)), prompt, reference),
        reference=reference,
        prompt_patches=(prompt.patches,) if prompt else (),
        steps=steps,
        guidance=2.0,
        seed=3,
        min_patches=9,
        limit=4,
    )


def test_streams_begin_step_and_leave_without_a_wait(runner: GraphRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcli.voxcpm.runtime.graph_runner.new_generator", lambda seed, device: torch.Generator())
    config = runner._backbone.config
    with torch.inference_mode():
        patches = torch.zeros(3, config.patch_size, config.latent_dim, device=META)
        clip = AudioSegment(patches, torch.zeros(3, config.base_lm.hidden, device=META))
        waves = [
            [stream_of(5, 10)],
            [stream_of(20, 10), stream_of(21, 30), stream_of(600, 7)],
            [stream_of(5, 2, prompt=clip), stream_of(6, 2, reference=clip)],
        ]
        active: list[Stream] = []
        with NoWaiting() as watched:
            for wave in waves:
                runner.begin(wave)
                active += wave
                runner.step(active)
            runner.leave(active.pop(1))
            runner.step(active)
        assert watched.copies > 0
    assert [stream.patches_generated for stream in active[-2:]] == [2, 2]


def test_a_wait_would_be_noticed() -> None:
    lengths = torch.zeros(4, dtype=torch.int64, device=META)
    with NoWaiting():
        lengths[1:2].fill_(3)
        with pytest.raises(AssertionError, match="not pinned"):
            lengths[1] = 3
        with pytest.raises(AssertionError, match="blocks"):
            lengths[:2] = torch.tensor([1, 2])
        with pytest.raises(AssertionError, match="blocks"):
            torch.tensor([1, 2]).to(META)
        with pytest.raises(AssertionError, match="mixes"):
            lengths[torch.tensor([1, 2])]
        with pytest.raises(AssertionError, match="waits"):
            lengths.nonzero()
