"""Threads step back where others work, and come again when they are gone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.voxcpm.runtime.cpu_threads import ThreadGovernor, count_cores, limit_openmp_spinning

Machine = Callable[[int], float]
"""Seconds that a piece of work takes with so many threads."""


def quiet(threads: int) -> float:
    return 0.02 + 0.2 / threads


def crowded(free: int) -> Machine:
    """A machine on which threads beyond the free cores make all others wait."""

    def seconds(threads: int) -> float:
        return quiet(threads) * (1 if threads <= free else 10)

    return seconds


def work(governor: ThreadGovernor, machine: Machine, pieces: int) -> list[int]:
    """Return how many threads did each piece."""
    used = []
    for _ in range(pieces):
        used.append(governor.threads)
        assert governor.measured(machine(governor.threads)) == governor.threads
    return used


@given(st.integers(1, 64), st.lists(st.floats(1.0, 1.49), max_size=200))
def test_a_quiet_machine_uses_all_of_them_though_work_varies(most: int, noise: list[float]) -> None:
    governor = ThreadGovernor(most)
    for factor in noise:
        assert governor.measured(quiet(most) * factor) == most


@given(st.integers(1, 32), st.data())
def test_a_crowded_machine_gets_as_many_as_have_a_core(most: int, data: st.DataObject) -> None:
    free = data.draw(st.integers(max(1, most // 2), most))
    governor = ThreadGovernor(most)
    work(governor, quiet, 3)
    work(governor, crowded(free), 4 + most)
    assert sum(threads != free for threads in work(governor, crowded(free), 500)) <= 12


@given(st.integers(1, 32), st.integers(1, 32), st.integers(0, 500))
def test_they_come_back_when_it_is_quiet(most: int, free: int, crowded_pieces: int) -> None:
    governor = ThreadGovernor(most)
    work(governor, quiet, 3)
    work(governor, crowded(free), crowded_pieces)
    assert set(work(governor, quiet, 66 + most + 20)[-20:]) == {most}


def test_work_that_only_takes_longer_keeps_its_threads() -> None:
    governor = ThreadGovernor(8)
    work(governor, quiet, 5)
    used = work(governor, lambda threads: 3 * quiet(threads), 50)
    assert sum(threads != 8 for threads in used) == 1


def test_one_hiccup_costs_little() -> None:
    governor = ThreadGovernor(2)
    work(governor, quiet, 5)
    governor.measured(5.0)
    used = work(governor, quiet, 10)
    assert sum(threads != 2 for threads in used) <= 4


def test_trials_in_vain_grow_rare_but_never_end() -> None:
    governor = ThreadGovernor(4)
    work(governor, quiet, 3)
    used = work(governor, crowded(3), 1000)
    trials = [piece for piece, threads in enumerate(used) if threads == 4]
    gaps = [later - earlier for earlier, later in pairwise(trials[1:])]
    assert gaps == sorted(gaps)
    assert 60 < gaps[-1] < 70


@given(st.integers(1, 9), st.lists(st.floats(1e-3, 100), max_size=300))
def test_there_are_never_too_many_nor_none(most: int, seconds: list[float]) -> None:
    governor = ThreadGovernor(most)
    for each in seconds:
        assert 1 <= governor.measured(each) <= most


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def siblings(pairs: Iterable[str]) -> dict[str, str]:
    return {
        f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list": f"{pair}\n"
        for pair in pairs
        for processor in pair.split(",")
    }


def test_hyper_threads_of_one_core_are_one(tmp_path: Path) -> None:
    root = system(tmp_path, siblings(["0,4", "1,5", "2,6", "3,7"]))
    assert count_cores(root, range(8)) == 4
    assert count_cores(root, {0, 4}) == 1
    assert count_cores(root, {0, 1, 5, 6}) == 3


def test_where_nobody_tells_every_processor_is_a_core(tmp_path: Path) -> None:
    assert count_cores(tmp_path, range(6)) == 6


@pytest.mark.parametrize(("granted", "cores"), [("max 100000", 8), ("150000 100000", 2), ("5000 100000", 1)])
@pytest.mark.parametrize("group", ["", "kube/pod/"])
def test_a_container_gets_what_it_is_granted(tmp_path: Path, group: str, granted: str, cores: int) -> None:
    root = system(
        tmp_path, {"proc/self/cgroup": "0::/kube/pod/app 1\n", f"sys/fs/cgroup/{group}cpu.max": f"{granted}\n"}
    )
    assert count_cores(root, range(8)) == cores


@pytest.mark.parametrize(("granted", "cores"), [("-1", 8), ("300000", 3)])
def test_so_does_one_of_the_first_version(tmp_path: Path, granted: str, cores: int) -> None:
    group = "sys/fs/cgroup/cpu/docker/"
    files = {
        "proc/self/cgroup": "9:memory:/docker\n3:cpu,cpuacct:/docker\n0::/\n",
        f"{group}cpu.cfs_quota_us": granted,
        f"{group}cpu.cfs_period_us": "100000",
    }
    assert count_cores(system(tmp_path, files), range(8)) == cores


def test_this_machine_has_cores() -> None:
    assert 1 <= count_cores() <= (os.cpu_count() or 1)


def test_what_the_user_says_of_waiting_stands() -> None:
    for said in ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}):
        environment = dict(said)
        limit_openmp_spinning(environment)
        assert environment == said


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch comes with another OpenMP")
def test_the_openmp_of_torch_takes_how_to_wait() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    limit_openmp_spinning(environment)
    environment["OMP_DISPLAY_ENV"] = "verbose"
    said = subprocess.run(
        [sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"GOMP_SPINCOUNT = '{environment['GOMP_SPINCOUNT']}'" in said.stderr
