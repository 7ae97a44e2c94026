"""Wheel and source distribution: they hold everything, and say the same version."""

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from twine.commands.check import check

from voxcli.version import __version__

ROOT = Path(__file__).parents[2]
MOST_PACKAGES = 31
"""That come with it, without any extra."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a wheel and a source distribution of this tree."""
    folder = str(tmp_path_factory.mktemp("dist"))
    [wheel] = WheelBuilder(str(ROOT)).build(directory=folder, versions=["standard"])
    [source] = SdistBuilder(str(ROOT)).build(directory=folder, versions=["standard"])
    return Path(wheel), Path(source)


def files_of_the_package() -> Iterator[str]:
    for path in (ROOT / "voxcli").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT).as_posix()


def test_both_hold_every_file_of_the_package(built: tuple[Path, Path]) -> None:
    expected = set(files_of_the_package())
    assert {"voxcli/docs/servers.md", "voxcli/engines/kokoro/styles.bin", "voxcli/engines/kokoro/NOTICE"} <= expected
    with zipfile.ZipFile(built[0]) as wheel:
        inside = set(wheel.namelist())
    info = f"voxcli-{__version__}.dist-info"
    assert {name for name in inside if not name.startswith(info)} == expected
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= inside
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert expected | {"pyproject.toml", "README.md", "LICENSE", "examples/deploy/Dockerfile", "tests/run"} <= names


def test_what_git_does_not_know_is_in_neither(built: tuple[Path, Path]) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    untracked = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    known = {*listed.stdout.splitlines(), *untracked.stdout.splitlines(), "PKG-INFO", ".gitignore"}
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert names - known == set()


def test_the_version_is_in_one_place_and_the_changes_begin_with_it(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        metadata = Parser().parsestr(wheel.read(f"voxcli-{__version__}.dist-info/METADATA").decode())
    assert metadata["Version"] == __version__
    changes = (ROOT / "voxcli/docs/changelog.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)$", changes, re.MULTILINE)[0] == __version__
    assert not re.search(r"^version\b", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)


def test_an_index_would_take_them(built: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert not check([str(one) for one in built], strict=True)


def pythons() -> Iterator[str]:
    """Yield the versions of Python that run here."""
    for minor in range(11, 16):
        if (found := shutil.which(f"python3.{minor}")) and not subprocess.run(
            [found, "--version"], capture_output=True, check=False
        ).returncode:
            yield found


@pytest.mark.benchmark
@pytest.mark.parametrize("python", list(pythons()))
def test_a_wheel_speaks_in_a_new_environment(built: tuple[Path, Path], tmp_path: Path, python: str) -> None:
    subprocess.run([python, "-m", "venv", tmp_path / "env"], check=True)
    subprocess.run([tmp_path / "env/bin/pip", "install", "-q", built[0]], check=True)

    def said(*arguments: str) -> str:
        done = subprocess.run(
            [tmp_path / "env/bin/voxcli", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "VOXCLI_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said("say", "Hello.", "-o", "hello.wav")
    assert (tmp_path / "hello.wav").stat().st_size > 10_000
    assert said("help", "changelog").startswith("# Changes")
    assert said("help", "man").startswith(".TH VOXCLI")
    assert f"{__version__}, installed by pip from {built[0]}" in said("doctor")
    listed = subprocess.run([tmp_path / "env/bin/pip", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) <= 2 + 1 + MOST_PACKAGES + 2, listed.stdout  # itself, pip and setuptools


@pytest.mark.benchmark
@pytest.mark.skipif(not shutil.which("uv"), reason="needs uv")
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_all_extras_can_be_installed_together(version: str) -> None:
    extras = [word for extra in ("all", "ray", "mcp") for word in ("--extra", extra)]
    command = ["uv", "pip", "compile", "-q", "--no-config", "--only-binary", ":all:", "--python-version", version]
    subprocess.run(
        [*command, "--python-platform", "x86_64-manylinux_2_28", *extras, "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
