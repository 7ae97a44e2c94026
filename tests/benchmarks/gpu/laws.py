"""Laws that mean something on a GPU: runs every test marked `cuda`, and imports no other file of tests.

A machine with a GPU may lack most of voxcli's dependencies. So the shared set-up of the tests is left out, and files
without such a test are not even imported. Arguments are passed to pytest.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402

pytest_plugins = ["tests.tiny", "tests.voxcpm.conftest"]
"""What these tests need of the shared set-up."""

_WORKERS = 8
_SECONDS_PER_TEST = 90


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out files and folders without a test for a GPU."""
    if collection_path.is_dir():
        return None if any(map(_is_for_a_gpu, collection_path.rglob("test_*.py"))) else True
    return None if _is_for_a_gpu(collection_path) else True


def _is_for_a_gpu(path: Path) -> bool:
    return "pytest.mark.cuda" in path.read_text("utf-8")


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the options of pytest: with workers and a time limit, where the plugins for them are installed."""
    options = ["--noconftest", "-p", "tests.benchmarks.gpu.laws", "-p", "no:cacheprovider", "-m", "cuda", "-q"]
    if importlib.util.find_spec("xdist"):
        options += ["-n", str(_WORKERS)]
    if importlib.util.find_spec("pytest_timeout"):
        options += ["--timeout", str(_SECONDS_PER_TEST)]
    return [*options, "--rootdir", str(ROOT), *arguments, str(ROOT / "tests")]


if __name__ == "__main__":
    sys.exit(pytest.main(command_line(sys.argv[1:])))
