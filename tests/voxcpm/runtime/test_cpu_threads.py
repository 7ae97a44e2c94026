"""The number of cores that a process may use, and how OpenMP threads wait."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from voxcli.voxcpm.runtime.cpu_threads import count_cores, limit_openmp_spinning


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


@pytest.mark.parametrize(
    ("running", "spins"),
    [([1], "10000"), ([4, 4, 1], "10000"), ([2, 2, 3, 2, 2], "1000"), ([0], "10000")],
    ids=["alone", "beside short work", "beside a computation", "unknown"],
)
def test_threads_spin_less_beside_something_that_computes(running: list[int], spins: str) -> None:
    environment: dict[str, str] = {}
    limit_openmp_spinning(environment, iter(running).__next__)
    assert environment == {"GOMP_SPINCOUNT": spins}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_something_that_computes_is_seen() -> None:
    loop = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(loop, stdout=subprocess.PIPE) as computing:
        assert computing.stdout
        computing.stdout.readline()
        environment: dict[str, str] = {}
        limit_openmp_spinning(environment)
        computing.kill()
    assert environment == {"GOMP_SPINCOUNT": "1000"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch comes with another OpenMP")
def test_the_openmp_of_torch_takes_how_to_wait() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    limit_openmp_spinning(environment)
    environment["OMP_DISPLAY_ENV"] = "verbose"
    said = subprocess.run(
        [sys.executable, "-c", "import torch"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"GOMP_SPINCOUNT = '{environment['GOMP_SPINCOUNT']}'" in said.stderr
