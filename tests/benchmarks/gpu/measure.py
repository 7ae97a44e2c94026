"""The run on a GPU: two commands, A and B, each a list of programs with time limits. See README.md beside this file.

Whatever one program comes to, the next ones run. Everything they print goes into files, at most eight a command, and
the part that decides something is printed.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
ENGINE = ROOT / "tests" / "benchmarks" / "measure_engine.py"

SECONDS = {"A": 300.0, "B": 230.0}
"""Time limits of the commands: a machine with a GPU is lent for minutes."""

MAX_FILES = 8

_LEFT_FOR_REPORT = 12.0
"""Seconds that an engine's own time limit leaves, for its start and its report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of a command."""

    name: str
    """Its output goes to a file of this name."""
    arguments: Callable[[float], Sequence[str]]
    """From the seconds that are left, the script and its arguments."""
    seconds: float
    """Time limit."""
    shown: str
    """Regular expression for the lines of its output that are printed."""
    lines: int = 40
    """At most this many of them, the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all programs are given."""

    device: str
    size: str
    folder: Path
    """Where the random checkpoints are."""
    out: Path
    package: Path | None
    """A folder with the published package, to compare with."""

    @property
    def trial(self) -> bool:
        """Whether the programs are only tried out, on a CPU."""
        return self.device == "cpu"

    def json(self, name: str) -> list[str]:
        return ["--json", str(self.out / f"{name}.json")]


def programs_of(command: str, setting: Setting) -> list[Program]:
    """Return the programs of A or of B."""
    if command == "A":
        return [_laws(setting), _tiny(setting), _probe("1.5", setting, 110), _engine("1.5", setting, 8, compare=True)]
    few = ["--streams", "1", "--only", "first_chunk"]
    return [
        _probe("2", setting, 90, "--only", "first_chunk,host,together,parts,kernels,halves"),
        _variant("cudnn-attention", setting, 35, "--cudnn-attention", "--slots", "1", *few),
        _variant("fp8", setting, 50, "--quantize", "fp8", "--streams", "1,64", "--only", "first_chunk,together,parts"),
        _engine("2", setting, 4, compare=False),
    ]


def _laws(setting: Setting) -> Program:
    arguments = [str(FOLDER / "laws.py"), *(["--collect-only"] if setting.trial else [])]
    return Program(
        name="laws", arguments=lambda left: arguments, seconds=80, shown="passed|failed|collected|^FAILED|^ERROR"
    )


def _tiny(setting: Setting) -> Program:
    """Equality of a tiny model by every way to run it; its speed says nothing."""
    arguments = _engine_arguments("2", setting, streams="1,3", runs=1, size="tiny", compare=True)
    arguments += ["--patches", "6", "--minutes", "0.8", *setting.json("tiny")]
    arguments += [] if setting.trial else ["--quantize", "fp8"]
    return Program(
        name="tiny", arguments=lambda left: arguments, seconds=55, shown="equal|DIFFER|FAILED|[Ee]rror|not compared"
    )


def _probe(model: str, setting: Setting, seconds: float, *more: str) -> Program:
    name = f"probe-{model}"
    arguments = [*_probe_arguments(model, setting), *more, *setting.json(name)]
    return Program(name=name, arguments=lambda left: arguments, seconds=seconds, shown=r"^(?!   +\d)", lines=60)


def _variant(name: str, setting: Setting, seconds: float, *more: str) -> Program:
    if setting.trial:  # a CPU has no fp8
        more = tuple(argument for argument in more if argument not in ("--quantize", "fp8"))
    arguments = [*_probe_arguments("1.5", setting), *more]
    return Program(name=name, arguments=lambda left: arguments, seconds=seconds, shown="", lines=14)


def _engine(model: str, setting: Setting, runs: int, *, compare: bool) -> Program:
    name = f"engine-{model}"
    streams = "1,2" if setting.trial else "1,8,64" if compare else "1,64"
    fixed = _engine_arguments(model, setting, streams=streams, runs=runs, size=setting.size, compare=compare)
    fixed += setting.json(name)

    def arguments(left: float) -> list[str]:
        minutes = max(0.1, (left - _LEFT_FOR_REPORT) / 60)
        return [*fixed, "--minutes", f"{0.6 if setting.trial else minutes:.2f}"]

    return Program(name=name, arguments=arguments, seconds=240, shown="", lines=48)


def _probe_arguments(model: str, setting: Setting) -> list[str]:
    arguments = [str(FOLDER / "probe.py"), "--model", model, "--device", setting.device, "--size", setting.size]
    return [*arguments, "--folder", str(setting.folder)]


def _engine_arguments(model: str, setting: Setting, *, streams: str, runs: int, size: str, compare: bool) -> list[str]:
    arguments = [str(ENGINE), "--time-anyway", "--model", model, "--device", setting.device, "--size", size]
    arguments += ["--streams", streams, "--runs", str(runs), "--folder", str(setting.folder)]
    arguments += ["--dtype", "float32"] if setting.trial else []  # for which a CPU compiles least
    if compare and setting.package:
        arguments += ["--against", "package", "--package", str(setting.package)]
    return arguments


@dataclass(slots=True)
class Command:
    """A command that is being run."""

    name: str
    setting: Setting
    _started: float = field(default_factory=time.monotonic)
    _said: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds."""
        return self._started + SECONDS[self.name] - time.monotonic()

    def run(self) -> list[str]:
        """Run all programs, and return the names of those that failed."""
        self.setting.out.mkdir(parents=True, exist_ok=True)
        writing = list(self._write_checkpoints())
        self._say(_describe_machine())
        failed = []
        for program in programs_of(self.name, self.setting):
            if program.name.startswith(("probe", "engine")):
                for process in writing:
                    process.wait()
            if not self._run_program(program):
                failed.append(program.name)
        self._say(f"{self.name}: {SECONDS[self.name] - self.left:.0f} s; failed: {', '.join(failed) or 'nothing'}")
        (self.setting.out / f"{self.name}.txt").write_text("\n".join(self._said) + "\n", "utf-8")
        return failed

    def _write_checkpoints(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Write the random checkpoints beside the first programs, which need none of full size."""
        for model in ("1.5", "2"):
            command = [*_probe_arguments(model, self.setting), "--checkpoint-only"]
            yield subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, env=_environment())

    def _run_program(self, program: Program) -> bool:
        limit = min(program.seconds, self.left)
        self._say(f"== {program.name}, {SECONDS[self.name] - self.left:.0f} s")
        if limit <= 0:
            self._say("no time left")
            return False
        path = self.setting.out / f"{program.name}.txt"
        with path.open("wb") as output:
            command = [sys.executable, *program.arguments(limit)]
            # A group of its own, so that its children end with it.
            process = subprocess.Popen(
                command, cwd=ROOT, env=_environment(), stdout=output, stderr=subprocess.STDOUT, process_group=0
            )
            try:
                code = process.wait(limit)
                ended = f"exit status {code}"
            except subprocess.TimeoutExpired:
                code, ended = 1, f"stopped after {limit:.0f} s"
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lines = path.read_text("utf-8", "replace").splitlines()
        self._say(*[line[:330] for line in lines if re.search(program.shown, line)][-program.lines :])
        if code:
            self._say(f"{program.name}: {ended}")
        return code == 0

    def _say(self, *lines: str) -> None:
        for line in lines:
            print(line, flush=True)
        self._said += lines


def _environment() -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return os.environ | offline | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _describe_machine() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        card = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        card = "no NVIDIA GPU"
    return f"{card}; {os.cpu_count()} cores; Python {sys.version.split()[0]}"


def read_setting(arguments: Sequence[str]) -> tuple[str, Setting]:
    """Return the command and its setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=list(SECONDS))
    parser.add_argument("--trial", action="store_true", help="tiny models on the CPU, to try the programs out")
    parser.add_argument("--folder", type=Path, default=ROOT / ".gpu" / "checkpoints", help="for random checkpoints")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ROOT / ".gpu" / "out")))
    parser.add_argument("--package", type=Path, help="a folder that contains `voxcpm/`, to compare with")
    given = parser.parse_args(arguments)
    device, size = ("cpu", "tiny") if given.trial else ("cuda", "full")
    return given.command, Setting(device=device, size=size, folder=given.folder, out=given.out, package=given.package)


if __name__ == "__main__":
    name, setting = read_setting(sys.argv[1:])
    sys.exit(1 if Command(name, setting).run() else 0)
