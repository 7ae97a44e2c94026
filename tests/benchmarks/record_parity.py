"""Parity with the published package: records its answers to the committed cases, or compares others with ours."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.drawn_cases import drawn_cases, full_cases
from tests.parity.answers import (
    COMMAND_TOLERANCE,
    ENGINE_TOLERANCE,
    Samples,
    difference,
    missing_samples,
    write_answer,
)
from tests.parity.cases import CASES, Case
from tests.parity.prepare import Prepared, prepare

_ENVIRONMENT = Path(__file__).parents[2] / ".venv-parity"
_SCRIPT = Path(__file__).with_name("ask_package.py")

_PACKAGE = ("--no-deps", "voxcpm==2.0.3")
_NEEDS = ("torch>=2.7,<2.14", "transformers<5", "einops", "pydantic", "safetensors", "soundfile", "librosa", "tqdm")
_TORCHAUDIO = ("--no-deps", "torchaudio==2.11.0")


@dataclass(frozen=True, slots=True)
class Answer:
    """Samples of the package, and how close its decisions came to going the other way (see ask_package.py)."""

    samples: Samples
    sample_rate: int
    quantizer: float
    stop: float


def package_python() -> Path:
    """Return the interpreter of an environment with the package, created on the first call."""
    python = _ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = _ENVIRONMENT / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True)
        for wanted in (_NEEDS, _TORCHAUDIO, _PACKAGE):
            subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", "-q", *wanted], check=True)
        _drop_foreign_libraries(python)
        ready.touch()
    return python


def _drop_foreign_libraries(python: Path) -> None:
    """Delete the native libraries of torchaudio if they are built for another torch: no case needs them."""
    if subprocess.run([python, "-c", "import torchaudio"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        for library in _ENVIRONMENT.glob("**/site-packages/torchaudio/lib/*.so"):
            library.unlink()
        subprocess.run([python, "-c", "import torchaudio"], check=True)


class Package:
    """A process with the package loaded, which answers one case after another."""

    def __init__(self, process: "subprocess.Popen[str]", threads: int) -> None:
        self._process = process
        self._threads = threads

    def ask(self, case: Case, files: Prepared, folder: Path) -> Answer:
        """Return what the package generates in float32 on the CPU, without retries or denoising."""
        path = folder / f"{case.name}.npy"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(_job(case, files, path) | {"threads": self._threads}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{case.name}: the package failed, see above")
        seen = json.loads(line)
        return Answer(np.load(path), seen["sample_rate"], seen["quantizer"], seen["stop"])


@contextmanager
def opened_package(python: Path, *, threads: int = 2, log: Path) -> Iterator[Package]:
    """Start the package. Its standard error goes to the file `log`, and is printed if it fails."""
    command = [str(python), "-W", "ignore", str(_SCRIPT)]
    with (
        log.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            yield Package(process, threads)
        except SystemExit:
            sys.stderr.write(log.read_text("utf-8")[-4000:])
            raise
        finally:
            process.stdin.close()  # type: ignore[union-attr]


def _job(case: Case, files: Prepared, answer: Path) -> dict[str, Any]:
    return {
        "family": case.family,
        "checkpoint": str(files.checkpoint),
        "lora": files.lora and str(files.lora),
        "text": case.whole_text,
        "prompt": files.prompt and str(files.prompt),
        "transcript": case.transcript,
        "reference": files.reference and str(files.reference),
        "seed": case.seed,
        "steps": case.steps,
        "guidance": case.guidance,
        "min_patches": case.min_patches,
        "max_patches": case.max_patches,
        "answer": str(answer),
    }


_UNDECIDED = 5e-5
"""In levels and in logits. Two summation orders in float32 differ by up to 2e-5, so a value closer than this to the
middle between two levels may be rounded either way, and both are right."""
_DRAWS = 3


def main() -> int:
    options = _options()
    cases = _chosen(options)
    python = options.python or package_python()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as name,
        opened_package(python, threads=options.threads, log=Path(name) / "package.log") as package,
    ):
        if options.compare or options.seed:
            different = sum(not _is_equal(case, package, Path(name)) for case in cases)
            _print(f"{len(cases) - different} of {len(cases)} cases are equal")
            return 1 if different else 0
        for case in cases:
            answer = package.ask(case, prepare(case, Path(name)), Path(name))
            write_answer(case, answer.samples, answer.sample_rate)
            _print(f"{case.name:28} {len(answer.samples):7} samples · {_margins(answer)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Record the published package's answers to the committed cases. With --compare or --seed, "
        "record nothing and compare new answers with ours, through the Python API and the command line.",
    )
    parser.add_argument("--compare", action="store_true", help="compare the committed cases")
    parser.add_argument("--seed", type=int, nargs="+", metavar="N", help="compare cases drawn from these seeds")
    parser.add_argument("--full", action="store_true", help="with --seed: models of full size; needs 25 GB of memory")
    parser.add_argument("--cases", nargs="+", metavar="WORD", help="only cases whose name contains one of these")
    parser.add_argument(
        "--python", type=Path, help="an interpreter that has the package; by default .venv-parity is created"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of the package")
    parser.add_argument("--folder", type=Path, help="folder for temporary checkpoints")
    options = parser.parse_args()
    if options.full and not options.seed:
        parser.error("--full needs a --seed")
    return options


def _chosen(options: argparse.Namespace) -> Sequence[Case]:
    draw = full_cases if options.full else drawn_cases
    cases = [case for seed in options.seed for case in draw(seed)] if options.seed else CASES
    return [case for case in cases if not options.cases or any(word in case.name for word in options.cases)]


def _is_equal(case: Case, package: Package, folder: Path) -> bool:
    """Compare one answer with ours. While rounding alone may have decided it, redraw the case."""
    for _ in range(_DRAWS):
        files = prepare(case, folder)
        answer = package.ask(case, files, folder)
        good, seen = _compared(case, files, answer, folder)
        undecided = not good and min(answer.quantizer, answer.stop) < _UNDECIDED
        _print(f"{'equal ' if good else 'again ' if undecided else 'DIFFER'} {case.name:28} {seen}")
        if not undecided:
            return good
        case = case.redrawn()
    return False


def _compared(case: Case, files: Prepared, answer: Answer, folder: Path) -> tuple[bool, str]:
    from tests.parity.voxcli_answers import spoken_by_command, spoken_by_engine

    missing = missing_samples(case, files.checkpoint)
    engine = difference(spoken_by_engine(case, files), answer.samples, missing)
    command = difference(spoken_by_command(case, files, folder), answer.samples, missing)
    return engine <= ENGINE_TOLERANCE and command <= COMMAND_TOLERANCE, (
        f"API {engine:.1e} · command line {command:.1e} · {len(answer.samples)} samples, "
        f"{case.steps} steps, cfg {case.guidance:g} · {_margins(answer)}"
    )


def _margins(answer: Answer) -> str:
    return f"margin to another level {answer.quantizer:.1e}, to another stop {answer.stop:.1e}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
