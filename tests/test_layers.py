"""Imports point down the ladder, heavy libraries stay behind their doors."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxcli

PACKAGE = Path(voxcli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

RUNGS = {
    "backoff": 0,
    "errors": 0,
    "files": 0,
    "paths": 0,
    "text": 10,
    "audio": 20,
    "models": 20,
    "speech": 25,
    "timing": 26,
    "narration": 26,
    "synthesis": 30,
    "devices": 30,
    "voices": 40,
    "espeak": 40,
    "voxcpm": 40,
    "protocols": 40,
    "sinks": 40,
    "engines": 50,
    "microphone": 50,
    "api": 60,
    "bench": 70,
    "server": 70,
    "cli": 80,
}
"""Every part of the package has one. A part imports itself and lower rungs."""

DOORS = {
    "audio/denoise.py",
    "audio/encode.py",
    "audio/stream_decoding/__init__.py",
    "engines/__init__.py",
    "engines/espeak/engine.py",
    "engines/local.py",
    "engines/spelling.py",
    "models/hubs.py",
    "synthesis/narration.py",
    "sinks/__init__.py",
    "devices/portaudio.py",
    "text/parts.py",
    "voxcpm/kernels/ops.py",
}
"""Outside the command line, only these import inside functions: they load what a user asked for and nothing else."""

READERS_OF_THE_ENVIRONMENT = re.compile(r"os\.environ|os\.getenv|getenv\(")


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_imports_from_lower_rungs_only(module: Path) -> None:
    part = part_of(module)
    if part in ("__init__", "__main__"):
        return
    for imported in imported_modules(ast.parse(module.read_text("utf-8"))):
        words = imported.split(".")
        if words[0] == "voxcli" and len(words) > 1 and words[1] != part:
            assert RUNGS[words[1]] < RUNGS[part], f"{name_of(module)} must not import {imported}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_inside_functions_exist_at_the_doors_only(module: Path) -> None:
    if part_of(module) == "cli" or name_of(module) in DOORS:
        return
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert list(imported_modules(node)) == [], f"{name_of(module)}: {node.name} imports"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_command_line_reads_the_environment(module: Path) -> None:
    if part_of(module) != "cli":
        assert not READERS_OF_THE_ENVIRONMENT.search(module.read_text("utf-8"))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_network_imports_torch(module: Path) -> None:
    roots = {name.partition(".")[0] for name in imported_modules(ast.parse(module.read_text("utf-8")))}
    assert part_of(module) == "voxcpm" or name_of(module) == "engines/local.py" or "torch" not in roots


def test_every_module_says_in_its_first_line_what_lives_there() -> None:
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse(module.read_text("utf-8")))
        assert docstring, f"{name_of(module)} does not"
