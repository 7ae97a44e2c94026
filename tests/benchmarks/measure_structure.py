"""Measure the structure of the package: modules, imports, cycles, folders, and the files that a `say` runs through.

A file counts as run through if one of its functions is called; being imported does not count. `--root` measures another
checkout.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checkpoints import write_checkpoint
from tests.structure import cycles, import_graph, read_modules

ROOT = Path(__file__).resolve().parents[2]
MAX_FILES, SMALL_LINES = 20, 60

TRACED = """
import inspect, json, sys, threading
from pathlib import Path
import voxcli

folder, record = str(Path(voxcli.__file__).parent), sys.argv.pop(1)
called = set()

def importing(frame):
    while frame:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(folder):
            return True
        frame = frame.f_back
    return False

def profile(frame, event, _):
    code = frame.f_code
    if event != "call" or code.co_filename in called or not code.co_filename.startswith(folder):
        return
    if code.co_flags & inspect.CO_OPTIMIZED and not importing(frame):  # a function, not the body of a class or module
        called.add(code.co_filename)

threading.setprofile(profile)
sys.setprofile(profile)
try:
    from voxcli.cli.app import main
    main()
except SystemExit as end:
    code = end.code
else:
    code = 0
sys.setprofile(None)
Path(record).write_text(json.dumps(sorted(str(Path(name).relative_to(folder)) for name in called)))
sys.exit(code)
"""


def files_called(root: Path, *arguments: str) -> list[str]:
    """Run `voxcli` of a checkout, and return the files of the package with a function that was called."""
    with tempfile.TemporaryDirectory() as name:
        record = Path(name, "called.json")
        subprocess.run(
            [sys.executable, "-c", TRACED, str(record), *arguments],
            cwd=name,
            env=os.environ | {"PYTHONPATH": str(root), "VOXCLI_HOME": name},
            check=True,
            capture_output=True,
        )
        called: list[str] = json.loads(record.read_text("utf-8"))
        return called


def files_of_say(root: Path) -> dict[str, list[str]]:
    """Return the files that `voxcli say` runs through, with a tiny random model and with the built-in voice."""
    with tempfile.TemporaryDirectory() as name:
        model = Path(name, "model")
        write_checkpoint(model, "voxcpm-1.5", 1)
        say = ("say", "Hello.", "-q", "-o", str(Path(name, "x.wav")), "--force")
        return {
            "model": files_called(root, *say, "--model", str(model), "--device", "cpu", "--max-len", "4"),
            "built-in voice": files_called(root, *say, "--model", "espeak"),
        }


def print_structure(package: Path) -> None:
    modules = read_modules(package)
    graph = import_graph(package, modules)
    importers = Counter(target for targets in graph.values() for target in targets)
    small = [
        name
        for name, module in modules.items()
        if module.lines < SMALL_LINES and importers[name] == 1 and module.path.name != "__init__.py"
    ]
    folders = Counter(str(module.path.parent.relative_to(package.parent)) for module in modules.values())
    found = cycles(graph)
    print(f"{len(modules):6} modules, {sum(module.lines for module in modules.values())} lines")
    print(f"{sum(map(len, graph.values())):6} imports between modules")
    print(f"{len(found):6} import cycles")
    for cycle in found:
        print(f"         {', '.join(cycle)}")
    print(f"{len(small):6} modules under {SMALL_LINES} lines with a single importer")
    for name in small:
        print(f"         {name}, {modules[name].lines} lines")
    print(f"{max(folders.values()):6} files in the largest folder (at most {MAX_FILES})")
    for folder, count in folders.most_common():
        print(f"{count:10}  {folder}{'  TOO MANY' if count > MAX_FILES else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout; by default that of this script")
    root = parser.parse_args().root.resolve()
    print_structure(root / "voxcli")
    for what, called in files_of_say(root).items():
        print(f"{len(called):6} files run through by `say` with a {what}")
        print("".join(f"         {name}\n" for name in called), end="")


if __name__ == "__main__":
    main()
