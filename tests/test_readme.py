"""Every console block of the README runs, and says what it says there."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clips import spoken_wav
from tests.hub import Hub, serving
from tests.pulse import PulseServer
from tests.resident import end
from voxcli.engines.resident.registry import Registry

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PATIENCE_SECONDS = 300
RUNS_THESE_TESTS = "bash tests/run"


@dataclass(frozen=True)
class Command:
    line: str
    output: str
    """What the README says that it prints; nothing if that does not matter."""


def console_blocks() -> list[list[Command]]:
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [
        [Command(*found) for found in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]
        for block in blocks
    ]


def shape(text: str) -> str:
    """Leave out what differs from run to run, and from machine to machine.

    That is: numbers, what took long enough to be named, the width of columns, and the precision of a CPU.
    """
    text = re.sub(r"\((?:[a-z ]+ [\d.]+(?:, )?)+\)", "(parts)", text)
    text = re.sub(r"less than a second|\b\d+ seconds?\b", "a moment", text)
    text = re.sub(r"\b(bfloat16|float32)\b", "dtype", text)
    return re.sub(r"\s+", " ", re.sub(r"\d+(?:\.\d+)?(?:e-\d+)?", "0", text)).strip()


def run(command: Command, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, f"$ {command.line}\n{said}"
    if command.output:
        assert shape(command.output) == shape(said), f"$ {command.line}\n{said}"


def test_the_first_command_sets_up_everything_and_speaks(tmp_path: Path, pulse: PulseServer) -> None:
    [command] = console_blocks()[0]
    for name in ("voxcli", "README.md", "LICENSE", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    run(command, tmp_path, os.environ | {"PIP_NO_COMPILE": "0"})  # which is how pip is told not to compile
    assert (tmp_path / "hello.wav").stat().st_size > 20_000
    listed = subprocess.run(
        [tmp_path / ".venv/bin/voxcli", "--version"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert listed.stdout.startswith("voxcli ")


def test_the_second_command_is_what_runs_these_tests() -> None:
    [command] = console_blocks()[1]
    assert command.line == RUNS_THESE_TESTS
    assert (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1] == RUNS_THESE_TESTS


@pytest.fixture(scope="module")
def hub(checkpoints: Callable[[str], Path]) -> Iterator[Hub]:
    """What stands in for Hugging Face: a random VoxCPM1.5 of a few megabytes."""
    files = {path.name: path.read_bytes() for path in checkpoints("voxcpm-1.5").iterdir()}
    with serving(Hub("openbmb/VoxCPM1.5", files)) as hub:
        yield hub


def test_from_top_to_bottom_in_one_folder_every_block_runs_as_printed(
    tmp_path: Path, pulse: PulseServer, hub: Hub
) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = pulse.environment | {"PATH": programs, "VOXCLI_HOME": str(tmp_path / "home"), "PYTHONUTF8": "1"}
    environment |= {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": hub.url, "VOXCLI_THREADS": "1"}
    del environment["VOXCLI_KEEP_ALIVE"]  # the README's reader has engines that stay loaded
    for name in ("ref.wav", "hello.wav"):  # a recording of the reader's, and what the first command has written
        (tmp_path / name).write_bytes(spoken_wav())
    with ExitStack() as servers, engines_ended(tmp_path / "home"):
        for command in itertools.chain(*console_blocks()[2:]):
            if command.line.endswith(" &"):
                servers.enter_context(in_the_background(command.line.removesuffix(" &"), tmp_path, environment))
            else:
                run(command, tmp_path, environment)


@contextmanager
def engines_ended(home: Path) -> Iterator[None]:
    """End the engines that stay loaded, whatever happens."""
    try:
        yield
    finally:
        for entry in Registry(home / "engines").entries():
            end(entry)


@contextmanager
def in_the_background(line: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a server until it is not needed any more."""
    with subprocess.Popen(shlex.split(line), cwd=folder, env=environment, stderr=subprocess.PIPE) as server:
        assert server.stderr
        words = b""
        while b"is ready" not in words:
            words += server.stderr.readline()
            assert server.poll() is None, words.decode()
        try:
            yield
        finally:
            server.terminate()


@pytest.mark.parametrize("block", re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
def test_a_python_block_runs(block: str, tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(b"of the first command")
    environment = os.environ | {"VOXCLI_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hub")}
    subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert (tmp_path / "hello.wav").stat().st_size > 20_000


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 250


def test_every_file_it_names_is_there() -> None:
    for name in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / name).exists(), name
