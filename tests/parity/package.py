"""The published package in an environment of its own, made once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.answers import Samples
from tests.parity.cases import Case
from tests.parity.prepare import Prepared

_ENVIRONMENT = Path(__file__).parents[2] / ".venv-parity"
_SCRIPT = Path(__file__).with_name("ask_package.py")

_PACKAGE = ("--no-deps", "voxcpm==2.0.3")
_NEEDS = ("torch>=2.7,<2.14", "transformers<5", "einops", "pydantic", "safetensors", "soundfile", "librosa", "tqdm")
_TORCHAUDIO = ("--no-deps", "torchaudio==2.11.0")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the package said, and how near its decisions came to falling the other way (see `ask_package`)."""

    samples: Samples
    sample_rate: int
    quantizer: float
    stop: float


def package_python() -> Path:
    """Return the interpreter of an environment with the package, made on the first call."""
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
    """Leave of torchaudio what is Python: its libraries are built for one torch, and nothing asked here needs them."""
    if subprocess.run([python, "-c", "import torchaudio"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        for library in _ENVIRONMENT.glob("**/site-packages/torchaudio/lib/*.so"):
            library.unlink()
        subprocess.run([python, "-c", "import torchaudio"], check=True)


class Package:
    """A process that has the package loaded and answers one case after the other."""

    def __init__(self, process: "subprocess.Popen[str]", threads: int) -> None:
        self._process = process
        self._threads = threads

    def ask(self, case: Case, files: Prepared, folder: Path) -> Answer:
        """Return the package's whole answer in float32 on the CPU, without any of its extras."""
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
    """Start the package; its words go to the file `log`, and onto the screen if it fails."""
    command = [str(python), "-W", "ignore", str(_SCRIPT)]
    with (
        log.open("w", encoding="utf-8") as words,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True) as process,
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
