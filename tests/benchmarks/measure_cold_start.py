"""Measure cold starts: from the start of `voxcli say` in a process of its own to its first chunk.

Several installations, such as before and after a change, several quantizations, and both ways to load a model run in
turns: in the process itself, and in an engine that the command starts and that is stopped again. The ratios of their
medians are what counts. Files are read before each run, so that no time goes to the disk. Each installation has its own
cache, and its first start, which fills it, is told apart.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

PLAIN = "none"
HERE, ENGINE = "in this process", "engine"
"""Where the model is loaded."""
KEEP_ALIVE = {HERE: "0", ENGINE: "10m"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """An installation, by its Python, a quantization, and where the model is loaded."""

    name: str
    python: str
    quantize: str
    where: str
    home: Path


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds."""

    wall: float
    """Until the first chunk."""
    cpu: float
    """Of the process and of what it waited for, which speaks two patches. That of an engine is not in it."""
    load: float
    """Of the wall time, what went to the imports and the model."""


def start(contestant: Contestant, model: Path) -> Start:
    """Run one contestant."""
    for file in (*model.iterdir(), *contestant.home.glob("cache/*/*")):
        if file.is_file():
            _read(file)
    options = [] if contestant.quantize == PLAIN else ["--quantize", contestant.quantize]
    command = [contestant.python, "-m", "voxcli", "say", "Hello there.", "-m", str(model), *options]
    output = contestant.home / "x.wav"
    command += ["--seed", "3", "--max-len", "2", "--json", "--force", "-o", str(output)]
    environment = {**os.environ, "VOXCLI_HOME": str(contestant.home), "VOXCLI_KEEP_ALIVE": KEEP_ALIVE[contestant.where]}
    before = os.times()
    started = time.perf_counter()
    wall, report = 0.0, {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "first_audio":
                wall = time.perf_counter() - started
            elif event["event"] in ("done", "error"):
                report = event
    after = os.times()
    if contestant.where == ENGINE:
        stop = [contestant.python, "-m", "voxcli", "stop", "--all", "--now"]
        subprocess.run(stop, env=environment, check=False, capture_output=True)
    if process.returncode:
        raise SystemExit(f"{contestant.name} failed: {report.get('message', process.returncode)}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    # It had another name once.
    load = report.get("before_sound", {}).get("load_seconds") or report.get("loading_seconds", 0.0)
    return Start(wall, cpu, load)


def _read(file: Path) -> None:
    with file.open("rb") as source:
        while source.read(1 << 24):
            pass


def cpu_name() -> str:
    """Return the name of this processor and what it has for matrix products."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    facts = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    wanted = ("avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
    found = [flag for flag in wanted if flag in facts.get("flags", "").split()]
    return f"{facts.get('model name')} ({os.cpu_count()} CPUs, {', '.join(found) or 'no bfloat16'})"


def contestants(pythons: list[str], quantizations: list[str], wheres: list[str], folder: Path) -> Iterator[Contestant]:
    """Yield every installation with every quantization and every way to load."""
    for number, given in enumerate(pythons):
        name, _, python = given.rpartition("=")
        for quantize, where in product(quantizations, wheres):
            home = folder / f"{number}-{quantize}"  # one cache for both ways
            home.mkdir(exist_ok=True)
            named = f"{name or f'installation {number + 1}'}, {quantize}, {where}"
            yield Contestant(named, python, quantize, where, home)


def main(model: Path, pythons: list[str], quantizations: list[str], wheres: list[str], rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        all_of_them = list(contestants(pythons, quantizations, wheres, Path(folder)))
        print(f"{cpu_name()}, load {os.getloadavg()[0]:.1f}")
        firsts = {contestant.name: start(contestant, model) for contestant in all_of_them}
        found: dict[str, list[Start]] = {contestant.name: [] for contestant in all_of_them}
        for _ in range(rounds):
            for contestant in all_of_them:
                found[contestant.name].append(start(contestant, model))
    print("  first  median    best    load   CPU s   seconds to the first chunk")
    medians = {name: statistics.median(one.wall for one in its) for name, its in found.items()}
    for name, its in found.items():
        load, cpu = (statistics.median(getattr(one, field) for one in its) for field in ("load", "cpu"))
        best = min(one.wall for one in its)
        print(f"{firsts[name].wall:7.2f} {medians[name]:7.2f} {best:7.2f} {load:7.2f} {cpu:7.2f}   {name}")
    count = len(quantizations) * len(wheres)
    for baseline, contestant in zip(all_of_them, all_of_them[count:], strict=False):
        ratio = medians[baseline.name] / medians[contestant.name]
        print(f"{contestant.name}: {ratio:.2f} times as fast as {baseline.name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a checkpoint")
    parser.add_argument("--python", action="append", metavar="[NAME=]PYTHON", help="several run in turns")
    parser.add_argument("--quantize", action="append", help=f"{PLAIN} or int8; several in turns")
    parser.add_argument("--where", action="append", choices=list(KEEP_ALIVE), help="both if it is not given")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    main(
        given.model.resolve(),
        given.python or [sys.executable],
        given.quantize or [PLAIN, "int8"],
        given.where or list(KEEP_ALIVE),
        given.rounds,
    )
