"""Memory that moves into huge pages keeps its addresses and its content, also for who reads it meanwhile."""

import mmap
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxcli.voxcpm.weights.huge_pages import HUGE_BYTES, Mapping, can_move, move_to_huge_pages, small_mappings

pytestmark = pytest.mark.skipif(not can_move(), reason="this system has no huge pages")

SIZE = 12 * HUGE_BYTES + 12345
RANDOM = np.random.default_rng(5).integers(0, 1 << 30, SIZE // 4 + 1, np.uint32).view(np.uint8)[:SIZE]


@contextmanager
def mapped(path: Path) -> Iterator[NDArray[np.uint8]]:
    path.write_bytes(RANDOM.tobytes())
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_COPY)
    yield np.frombuffer(memory, np.uint8)


@contextmanager
def being_read(data: NDArray[np.uint8], found: set[int]) -> Iterator[None]:
    """Sum the data up all the time, on a thread that other Python code does not hold up."""
    started, ended = threading.Event(), threading.Event()

    def read() -> None:
        while not ended.is_set():
            found.add(int(data.sum(dtype=np.uint64)))
            started.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert started.wait(20)
        yield
    finally:
        ended.set()
        thread.join()


def small_memory() -> NDArray[np.uint8]:
    """Return memory in small pages."""
    memory = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, np.uint8)


def linux_version() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def range_of(data: NDArray[np.uint8]) -> tuple[int, int]:
    return data.ctypes.data, data.nbytes


def whole_pages(data: NDArray[np.uint8]) -> int:
    """Return the bytes of the huge pages that lie in the data as a whole."""
    start, size = range_of(data)
    return ((start + size) // HUGE_BYTES - -(-start // HUGE_BYTES)) * HUGE_BYTES


@given(st.integers(1, 40 * HUGE_BYTES), st.integers(0, 40 * HUGE_BYTES))
def test_the_pieces_are_all_huge_pages_of_a_mapping(start: int, size: int) -> None:
    pieces = list(Mapping(start, start + size, True, 0.0).pieces)
    pages = [page for at, length in pieces for page in range(at, at + length, HUGE_BYTES)]
    assert pages == [
        page for page in range(0, start + size, HUGE_BYTES) if page >= start and page + HUGE_BYTES <= start + size
    ]
    assert all(length % HUGE_BYTES == 0 for _, length in pieces)


def test_a_mapped_file_is_the_same_in_huge_pages(tmp_path: Path) -> None:
    path, sums = tmp_path / "weights", set[int]()
    with mapped(path) as data:
        start, size = range_of(data)
        with being_read(data, sums):
            moved = move_to_huge_pages([Mapping(start, start + size, True, 0.0)], threading.Event())
        assert moved == whole_pages(data)
        assert range_of(data) == (start, size)
        np.testing.assert_array_equal(data, RANDOM)
        assert small_mappings([range_of(data)]) == []
    assert sums == {int(RANDOM.sum(dtype=np.uint64))}
    assert path.read_bytes() == RANDOM.tobytes()


@pytest.mark.skipif(linux_version() < (6, 1), reason="this Linux moves no memory")
def test_memory_is_the_same_in_huge_pages() -> None:
    data, sums = small_memory(), set[int]()
    data[:] = RANDOM
    with being_read(data, sums):
        moved = move_to_huge_pages(small_mappings([range_of(data)]), threading.Event())
    assert moved >= whole_pages(data)  # and what else lies in the same pages
    np.testing.assert_array_equal(data, RANDOM)
    assert sums == {int(RANDOM.sum(dtype=np.uint64))}


def test_nothing_moves_once_it_is_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with mapped(tmp_path / "weights") as data:
        start, size = range_of(data)
        assert move_to_huge_pages([Mapping(start, start + size, True, 0.0)], cancelled) == 0


def test_what_shows_a_file_is_told_from_memory(tmp_path: Path) -> None:
    plain = small_memory()
    plain[:] = 1
    with mapped(tmp_path / "weights") as data:
        assert data.sum(dtype=np.uint64)
        data[:HUGE_BYTES] = 7  # is memory from now on
        found = small_mappings([(plain.ctypes.data + 5, plain.nbytes - 10), range_of(data), (1 << 20, 10)])
    assert {one.is_file for one in found} == {False}
    assert any(one.start <= plain.ctypes.data < one.end and one.huge == 0 for one in found)
