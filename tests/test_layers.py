"""Structure of the package: imports point down fixed ladders without cycles, heavy libraries have one importer."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

import voxcli
from tests.structure import Module, cycles, import_graph, imported_names, read_modules

PACKAGE = Path(voxcli.__file__).parent
RUNGS = {
    **dict.fromkeys(["errors", "paths", "backoff", "files", "version", "installation", "unix_sockets", "processes"], 0),
    **dict.fromkeys(["text", "connections"], 1),
    **dict.fromkeys(["audio", "models"], 2),
    **dict.fromkeys(["devices", "synthesis"], 3),
    **dict.fromkeys(["sinks", "protocols", "voxcpm", "voices", "documents"], 4),
    "engines": 5,
    "api": 6,
    **dict.fromkeys(["server", "batch", "bench"], 7),
    "cli": 8,
    "__main__": 9,
}
"""The rung of every part of the package. A part imports itself and lower rungs only."""

INNER_RUNGS = {
    "cli": {
        **dict.fromkeys(["exits", "files", "run_summary", "streams"], 0),
        **dict.fromkeys(["console", "settings", "text_source"], 1),
        **dict.fromkeys(["options", "status_line"], 2),
        **dict.fromkeys(["parser", "reports"], 3),
        "commands": 4,
        "app": 5,
        "cluster": 6,
    },
    "server": {
        **dict.fromkeys(["errors", "settings", "monitoring"], 0),
        **dict.fromkeys(["admission", "operating", "private", "streaming"], 1),
        **dict.fromkeys(
            ["bodies", "connection", "keys", "language_model", "middleware", "model_lifecycle", "rewriting"], 2
        ),
        "voice_choice": 3,
        "utterances": 4,
        "service": 5,
        **dict.fromkeys(["routes", "guards", "mcp", "wyoming"], 6),
        "host": 7,
        "app": 8,
        **dict.fromkeys(["cluster", "resident"], 9),
    },
    "voxcpm": {
        **dict.fromkeys(["kernels", "memory", "tokenizer", "torch_import"], 0),
        "network": 1,
        **dict.fromkeys(["codec", "device"], 2),
        **dict.fromkeys(["runtime", "weights"], 3),
        "model": 4,
        "loading": 5,
    },
    "protocols": {
        **dict.fromkeys(["dialect", "names"], 0),
        "fields": 1,
        **dict.fromkeys(["openai", "wyoming"], 2),
        **dict.fromkeys(["voxcpm", "gptsovits", "speech_stream", "elevenlabs"], 3),
    },
}
"""The same inside the large parts."""

MAX_FILES_PER_FOLDER = 20

DOORS = {
    "audio/denoise.py",
    "audio/encode.py",
    "audio/stream_decoding/__init__.py",
    "documents/__init__.py",
    "engines/__init__.py",
    "engines/espeak/engine.py",
    "engines/kokoro/engine.py",
    "engines/local.py",
    "engines/remote/text_settings.py",
    "engines/resident/client.py",
    "engines/resident/connection.py",
    "engines/spelling.py",
    "installation.py",
    "models/hubs.py",
    "synthesis/narration.py",
    "server/bodies.py",
    "sinks/__init__.py",
    "devices/portaudio.py",
    "text/parts.py",
    "text/ssml/__init__.py",
    "text/ssml/other_words.py",
    "voices/library.py",
    "voxcpm/codec/audio_vae.py",
    "voxcpm/kernels/ops.py",
    "voxcpm/loading.py",
    "voxcpm/network/local_dit.py",
    "voxcpm/network/transformer.py",
    "voxcpm/torch_import.py",
    "voxcpm/weights/quantization.py",
}
"""Outside the command line, only these import inside functions: they load what a request needs and nothing else."""

READERS_OF_THE_ENVIRONMENT = re.compile(r"os\.environ|os\.getenv|getenv\(")


def files() -> list[Module]:
    return sorted(read_modules(PACKAGE).values(), key=lambda module: module.path)


@cache
def graph() -> Mapping[str, set[str]]:
    return import_graph(PACKAGE, read_modules(PACKAGE))


def file_of(module: Module) -> str:
    return str(module.path.relative_to(PACKAGE))


def part_of(name: str) -> str:
    return name.partition(".")[0]


def imported_roots(tree: ast.AST) -> set[str]:
    """Return the top-level packages that are imported, inside functions too."""
    return {source.partition(".")[0] for source, _ in imported_names(tree)}


def upward_imports(names: Iterable[str], depth: int, rungs: Mapping[str, int]) -> list[str]:
    """List the imports between different parts, at this depth of their names, that do not point to a lower rung."""
    found = []
    for name in names:
        for target in graph()[name]:
            if name.split(".")[:depth] != target.split(".")[:depth]:
                continue
            own, other = (full.split(".")[depth] if full.count(".") >= depth else "__init__" for full in (name, target))
            if own != other and "__init__" not in (own, other) and rungs[other] >= rungs[own]:
                found.append(f"{name} must not import {target}")
    return found


def test_every_part_imports_from_lower_rungs_only() -> None:
    assert upward_imports(graph(), 0, RUNGS) == []


@pytest.mark.parametrize("part", INNER_RUNGS)
def test_modules_inside_a_part_import_from_lower_rungs_only(part: str) -> None:
    inside = [name for name in graph() if part_of(name) == part]
    missing = {name.split(".")[1] for name in inside if "." in name} - INNER_RUNGS[part].keys()
    assert missing == set(), "give it a rung"
    assert upward_imports(inside, 1, INNER_RUNGS[part]) == []


def test_there_are_no_import_cycles() -> None:
    assert cycles(graph()) == []


def test_a_cycle_is_found_wherever_it_is() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(module.path.parent for module in files())
    assert [str(folder) for folder, count in counts.items() if count > MAX_FILES_PER_FOLDER] == []


def test_imports_inside_functions_exist_at_the_doors_only() -> None:
    found = [
        f"{file_of(module)}:{node.lineno}: {node.name} imports"
        for module in files()
        if part_of(module.name) != "cli" and file_of(module) not in DOORS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and list(imported_names(node))
    ]
    assert found == []


def test_only_the_command_line_and_the_api_read_the_environment() -> None:
    readers = [
        file_of(module) for module in files() if READERS_OF_THE_ENVIRONMENT.search(module.path.read_text("utf-8"))
    ]
    assert [name for name in readers if not name.startswith(("cli/", "api.py"))] == []


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("torch", ("voxcpm/", "engines/local.py")),
        ("sounddevice", ("devices/",)),
        ("typer", ("cli/",)),
        ("fastapi", ("server/",)),
        ("mcp", ("server/mcp/",)),
        ("opentelemetry", ("server/operating/telemetry.py",)),
        ("ray", ("server/cluster/",)),
    ],
)
def test_a_library_is_imported_by_its_own_part_only(library: str, importers: tuple[str, ...]) -> None:
    found = [file_of(module) for module in files() if library in imported_roots(module.tree)]
    assert found
    assert [name for name in found if not name.startswith(importers)] == []


def test_options_are_declared_by_the_command_line_only() -> None:
    declares = re.compile(r"typer\.(Option|Argument)\b")
    found = [file_of(module) for module in files() if declares.search(module.path.read_text("utf-8"))]
    assert [
        name for name in found if not name.startswith(("cli/options/", "cli/parser/", "cli/commands/", "cli/app.py"))
    ] == []


def test_every_module_has_a_docstring() -> None:
    assert [file_of(module) for module in files() if not ast.get_docstring(module.tree)] == []
