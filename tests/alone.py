"""Tests marked `alone` have the machine to themselves, where workers run tests side by side."""

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOM = Path(__file__)
DOOR = Path(__file__).with_name("conftest.py")
"""Any two files would do: they are only locked."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with place(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def place(*, alone: bool) -> Iterator[None]:
    with DOOR.open() as door, ROOM.open() as room:
        fcntl.flock(door, fcntl.LOCK_EX)  # held by who wants to be alone, until all others have left
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
