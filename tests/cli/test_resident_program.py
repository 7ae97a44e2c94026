"""The program of a resident engine: room in memory, outdated engines, and the entry that it keeps."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from voxcli.cli.commands import resident as program
from voxcli.cli.commands.warm import find_entry
from voxcli.engines.resident import running
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import LOADING, READY, EngineEntry, Registry
from voxcli.engines.settings import LocalSettings
from voxcli.errors import OutOfMemory
from voxcli.processes import started_at

TOO_SMALL = OutOfMemory(
    "The model needs 5.0 GiB on cpu, and 3.1 GiB are free.", on_command_line="Pass --quantize int8."
)


@dataclass
class Fleet:
    """Other engines that are said to run, of which some leave memory to a new one when they end."""

    engines: list[running.RunningEngine] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    tries: int = 0
    needed: int = 0
    """How many have to end until the memory holds another one."""

    def add(self, key: str, *, idle: float = 0.0, streams: int = 0, state: str = READY, **values: Any) -> None:
        known = {"pid": 1, "started": 1, "state": state, "model": key, "identity": IDENTITY, **values}
        told = {"streams": streams, "waiting": 0, "idle_seconds": idle, "memory_bytes": 3 * 2**30}
        self.engines.append(running.RunningEngine(EngineEntry(key, known), told if state == READY else None))

    def stop(self, engine: running.RunningEngine, *, now: bool = False) -> None:
        assert not now
        self.engines.remove(engine)
        self.stopped.append(engine.entry.key)

    def open(self, *arguments: object, **options: object) -> str:
        self.tries += 1
        if len(self.stopped) < self.needed:
            raise TOO_SMALL
        return "engine"


IDENTITY = {"folder": "/other", "weights": [], "version": "0.1.0", "installed": 1}


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    fleet = Fleet()
    for module in (program, running):
        monkeypatch.setattr(module, "running_engines", lambda registry: list(fleet.engines))
    monkeypatch.setattr(running, "wait_for_end", lambda entry, seconds: True)
    monkeypatch.setattr(running.RunningEngine, "stop", lambda engine, now=False: fleet.stop(engine, now=now))
    monkeypatch.setattr(program, "open_engine", fleet.open)
    return fleet


@pytest.fixture
def order(tmp_path: Path) -> EngineOrder:
    return EngineOrder.of("m", tmp_path, LocalSettings(), 300.0, {})


@pytest.fixture
def diary(order: EngineOrder, tmp_path: Path) -> Iterator[program._Diary]:
    registry = Registry(tmp_path / "engines")
    registry.prepare()
    diary = program._Diary(order, order.key, registry)
    yield diary
    diary.close()


def opened(order: EngineOrder, diary: program._Diary) -> object:
    return program._open_with_room(order, Registry(Path("unused")), diary)


def test_the_longest_idle_engines_leave_until_there_is_room(
    fleet: Fleet, order: EngineOrder, diary: program._Diary
) -> None:
    fleet.add("young", idle=5)
    fleet.add("oldest", idle=500)
    fleet.add("speaking", streams=1)
    fleet.add("old", idle=50)
    fleet.needed = 2
    assert opened(order, diary) == "engine"
    assert fleet.stopped == ["oldest", "old"]


def test_engines_that_speak_or_load_or_serve_never_leave_and_are_named(
    fleet: Fleet, order: EngineOrder, diary: program._Diary
) -> None:
    fleet.add("idle one", idle=5)
    fleet.add("speaking one", streams=1)
    fleet.add("loading one", state=LOADING)
    fleet.add("served one", idle=900, serves="http://127.0.0.1:7861")
    fleet.needed = 9
    with pytest.raises(OutOfMemory) as raised:
        opened(order, diary)
    assert fleet.stopped == ["idle one"]
    assert str(raised.value) == (
        f"{TOO_SMALL} In memory: speaking one (speaking, 3.0 GiB), loading one (loading), "
        "served one (served at http://127.0.0.1:7861, 3.0 GiB)."
    )
    assert "voxcli stop" in raised.value.for_command_line


def test_an_engine_that_does_not_fit_alone_says_only_that(
    fleet: Fleet, order: EngineOrder, diary: program._Diary
) -> None:
    fleet.needed = 1
    with pytest.raises(OutOfMemory) as raised:
        opened(order, diary)
    assert raised.value is TOO_SMALL
    assert fleet.tries == 1


@pytest.mark.parametrize(
    ("change", "leaves"),
    [
        ({"version": "0.0.9"}, True),
        ({"installed": 0}, True),
        ({"weights": [["model.safetensors", 1, 1]]}, True),
        ({"version": "99.0.0"}, False),
        ({"device": "cuda"}, False),
        ({"folder": "/other", "version": "0.0.9"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("busy", [False, True])
def test_an_idle_engine_of_an_older_voxcli_or_of_replaced_files_leaves(
    fleet: Fleet, order: EngineOrder, diary: program._Diary, change: dict[str, Any], leaves: bool, busy: bool
) -> None:
    fleet.add("other", identity=order.identity | change, streams=int(busy))
    opened(order, diary)
    assert fleet.stopped == (["other"] if leaves and not busy else [])


def test_an_order_for_the_device_that_was_chosen_finds_the_engine(order: EngineOrder, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "engines")
    registry.prepare()
    own = {"pid": os.getpid(), "started": started_at(os.getpid()), "state": READY, "model": "m"}
    registry.write(order.key, {**own, "identity": order.identity, "resolved": {"device": "cpu", "dtype": "bfloat16"}})
    named = replace(order, local=replace(order.local, device="cpu", dtype="bfloat16"))
    other = replace(order, local=replace(order.local, device="cpu", dtype="float32"))
    assert [found and found.key for found in (find_entry(one, registry) for one in (order, named, other))] == [
        order.key,
        order.key,
        None,
    ]
