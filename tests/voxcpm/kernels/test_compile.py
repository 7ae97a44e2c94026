"""Every kernel compiles for the GPUs that it is used on, without such a GPU, and with the Triton of older torch."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

# Not imported here: the interpreter of test_kernels.py has to be chosen before that.
if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not available for this system", allow_module_level=True)

ROOT = Path(__file__).parents[3]
KERNELS = {"80": 10, "90": 11, "100": 11}
"""Without the one for fp8 on the first, which has none."""

OLDER = ROOT / ".venv-tests" / "triton-3.6"
"""The Triton of torch 2.11, installed by `tests/run`."""


def compiled(*capabilities: str, path: Path | None = None) -> list[list[str]]:
    """Compile all kernels in a fresh process, and return a line for each: version, capability, name."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join([*([str(path)] if path else []), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.voxcpm.kernels.compile_kernels", *capabilities],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_all_kernels_compile() -> None:
    lines = compiled(*KERNELS)
    assert Counter(line[1] for line in lines) == KERNELS
    assert {line[0] for line in lines} == {importlib.metadata.version("triton")}


@pytest.mark.skipif(not OLDER.is_dir(), reason="Triton 3.6 is not installed: tests/run does it")
def test_all_kernels_compile_with_the_triton_of_torch_2_11() -> None:
    lines = compiled(*KERNELS, path=OLDER)
    assert Counter(line[1] for line in lines) == KERNELS
    assert all(line[0].startswith("3.6.") for line in lines)
