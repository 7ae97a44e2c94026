"""File locks that keep other workers of pytest-xdist idle while a test marked `alone` runs."""

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RUNNING = Path(__file__)
"""Locked shared by every running test, and exclusively by one that runs alone."""

QUEUE = Path(__file__).with_name("conftest.py")
"""Held while waiting for RUNNING, so that a test that runs alone is not overtaken. Any two files would do."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with locked(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def locked(*, alone: bool) -> Iterator[None]:
    with QUEUE.open() as queue, RUNNING.open() as running:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield
