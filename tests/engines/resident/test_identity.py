import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.settings import LocalSettings


@pytest.fixture
def order(tmp_path: Path) -> EngineOrder:
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_text("x")
    return EngineOrder.of("m", tmp_path, LocalSettings(), 300.0, {"CUDA_VISIBLE_DEVICES": "0", "HOME": "/"})


@pytest.mark.parametrize("keep_alive", [300.0, math.inf, 0.5])
def test_an_order_survives_its_way_into_another_process(order: EngineOrder, tmp_path: Path, keep_alive: float) -> None:
    local = LocalSettings(device="cpu", lora=tmp_path, threads=2, clips=tmp_path / "clips", lazy_graphs=True)
    sent = replace(order, local=local, keep_alive=keep_alive)
    received = EngineOrder.from_json(sent.to_json())
    assert received == sent
    assert received.key == sent.key


def test_an_identity_read_from_an_entry_equals_the_one_that_was_written(order: EngineOrder, tmp_path: Path) -> None:
    sent = replace(order, local=LocalSettings(lora=tmp_path, threads=2))
    assert json.loads(json.dumps(sent.identity)) == sent.identity


Change = Callable[[EngineOrder], EngineOrder]


def local(**changes: object) -> Change:
    return lambda order: replace(order, local=replace(order.local, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        local(device="cpu"),
        local(dtype="bfloat16"),
        local(quantize="int8"),
        local(threads=1),
        lambda order: replace(order, surroundings={"CUDA_VISIBLE_DEVICES": "1"}),
        lambda order: replace(order, folder=order.folder.parent),
    ],
)
def test_whatever_changes_the_samples_asks_for_another_engine(order: EngineOrder, change: Change) -> None:
    assert change(order).key != order.key


@pytest.mark.parametrize(
    "change",
    [
        local(slots=3),
        local(lazy_graphs=True),
        local(clips=Path("/somewhere")),
        lambda order: replace(order, keep_alive=1.0),
        lambda order: replace(order, model="another name"),
    ],
)
def test_what_makes_no_difference_to_the_samples_shares_the_engine(order: EngineOrder, change: Change) -> None:
    assert change(order).key == order.key


def test_a_checkpoint_that_was_replaced_asks_for_another_engine(order: EngineOrder) -> None:
    before = order.key
    os.utime(order.folder / "model.safetensors", ns=(1, 1))
    assert order.key != before


def test_a_lora_that_was_trained_again_asks_for_another_engine(order: EngineOrder, tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "lora_weights.safetensors").write_text("1")
    tuned = EngineOrder.of("m", order.folder, LocalSettings(lora=tmp_path / "lora"), 1.0, {})
    before = tuned.key
    (tmp_path / "lora" / "lora_weights.safetensors").write_text("22")
    assert len({order.key, before, tuned.key}) == 3


def test_a_link_to_a_checkpoint_is_the_same_engine(order: EngineOrder, tmp_path: Path) -> None:
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert EngineOrder.of("m", link, LocalSettings(), 300.0, order.surroundings).key == order.key
