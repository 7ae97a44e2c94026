"""Turns that workers of pytest-xdist take.

Tests marked `real_time` mostly wait for what they play, and something else may make them miss a deadline. They run
first, beside each other only. A test marked `alone` runs beside none.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

WORKERS = 1 << 10
"""The most that there may be. Of a file that all of them open, each locks its own byte while it runs a test. A test in
real time locks all bytes together with others of its kind, and one that runs alone locks them for itself."""

_PRIORITY = -10


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    turns = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]  # one for all workers
    number = int(item.config.workerinput["workerid"].removeprefix("gw"))
    with locked(turns, number, item):
        return (yield)


@contextmanager
def locked(turns: Path, number: int, item: pytest.Item) -> Iterator[None]:
    alone, real_time = (item.get_closest_marker(name) is not None for name in ("alone", "real_time"))
    count, start = (WORKERS, 0) if alone or real_time else (1, number)
    # Whoever waits for others holds the queue, so that nobody overtakes it.
    with (turns / "queue").open("wb") as queue, (turns / "running").open("ab+") as running:
        fcntl.lockf(queue, fcntl.LOCK_EX)
        fcntl.lockf(running, fcntl.LOCK_SH if real_time else fcntl.LOCK_EX, count, start)
        fcntl.lockf(queue, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have all workers begin with the tests in real time, the same number each."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    first = [item for item in items if item.get_closest_marker("real_time")]
    rest = [item for item in items if not item.get_closest_marker("real_time")]
    shares = []
    for left in range(workers, 0, -1):  # as they are handed out: in one piece to each worker
        size = (len(first) + len(rest)) // left
        share, first = first[: len(first) // left], first[len(first) // left :]
        shares += share + rest[: size - len(share)]
        rest = rest[size - len(share) :]
    items[:] = shares


def hurry(pid: int) -> None:
    """Put a program that plays or records before others, where the system lets us."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _PRIORITY)
