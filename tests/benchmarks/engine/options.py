"""Command line options of measure_engine.py."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

TEXT = "今天天气很好，我们说说中国的人工智能。"
"""One token per character (19), with the published tokenizers as with the small one of the random checkpoint."""
GUIDANCE = 2.0
SEED = 7

MAX_PATCHES = 6 * len(TEXT) + 9
"""Both engines end generation beyond this number."""

FAMILIES = {"0.5b": "voxcpm-0.5b", "1.5": "voxcpm-1.5", "2": "voxcpm-2"}

STREAMS = {"cuda": (1, 8, 32, 64), "cpu": (1, 2, 4)}
RUNS = {"cuda": 20, "cpu": 3}
PATCHES = {"cuda": 50, "cpu": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    family: str
    device: str
    dtype: str
    quantize: str | None
    streams: tuple[int, ...]
    steps: int
    patches: int
    runs: int
    size: str
    against: bool
    """Whether the package is measured too."""
    python: Path
    package: Path | None
    voxcpm_cpp: Path | None
    """Folder of VoxCPM.cpp, built, with converted models in it."""
    folder: Path | None
    json: Path | None
    minutes: float
    long_text: bool
    time_anyway: bool
    """Whether engines whose outputs differ are timed all the same."""
    profile: bool
    """Whether to time the parts of a patch, and nothing else."""

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    @property
    def slots(self) -> int:
        return max(self.streams)


def read_options(arguments: list[str], about: str) -> Options:
    parser = _parser(about)
    given = parser.parse_args(arguments)
    kind = given.device.partition(":")[0]
    if kind not in STREAMS:
        parser.error("pass --device cuda, cuda:N or cpu")
    options = Options(
        family=FAMILIES[given.model.lower().removeprefix("voxcpm-").removeprefix("voxcpm")],
        device=given.device,
        dtype=given.dtype,
        quantize=given.quantize,
        streams=tuple(sorted(given.streams or STREAMS[kind])),
        steps=given.steps,
        patches=given.patches or PATCHES[kind],
        runs=given.runs or RUNS[kind],
        size=given.size,
        against=given.against == "package",
        python=given.python or _python_for(given.package),
        package=given.package,
        voxcpm_cpp=given.voxcpm_cpp,
        folder=given.folder,
        json=given.json,
        minutes=given.minutes,
        long_text=given.long_text,
        time_anyway=given.time_anyway,
        profile=given.profile,
    )
    if not 2 <= options.patches <= MAX_PATCHES:
        parser.error(f"--patches must be from 2 to {MAX_PATCHES}: the text is {len(TEXT)} characters")
    if min(options.streams) < 1 or options.runs < 1 or options.steps < 2 or options.minutes <= 0:
        parser.error("--streams and --runs must be at least 1, --steps at least 2, --minutes above 0")
    return options


def _python_for(package: Path | None) -> Path:
    """Return the interpreter for the package: of the environment that record_parity.py made, else our own."""
    made = Path(__file__).parents[3] / ".venv-parity/bin/python"
    return made if package is None and made.exists() else Path(sys.executable)


def _parser(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="1.5", help="0.5b, 1.5 or 2", type=_model)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--streams", type=_numbers, help="concurrent streams, such as 1,8,32,64; 1,2,4 on the CPU")
    parser.add_argument("--against", choices=["package"], help="measure the published package `voxcpm` too")
    parser.add_argument("--package", type=Path, metavar="PATH", help="a folder that contains `voxcpm/`")
    parser.add_argument(
        "--voxcpm-cpp", type=Path, metavar="FOLDER", help="measure VoxCPM.cpp, with the *.gguf in it, too"
    )
    parser.add_argument("--python", type=Path, help="an interpreter that has the package")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--quantize", choices=["int8", "fp8"], help="measure this quantization too")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--patches", type=int, help="per stream; 50 on a GPU, 12 on the CPU")
    parser.add_argument("--runs", type=int, help="rounds; 20 on a GPU, 3 on the CPU")
    parser.add_argument("--size", default="full", choices=["full", "tiny"], help="tiny is for trying this script out")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep the checkpoint here for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="time limit; what does not fit is skipped and reported"
    )
    parser.add_argument(
        "--long-text", action="store_true", help="compare a step behind 20 positions with one behind 400"
    )
    parser.add_argument("--time-anyway", action="store_true", help="time engines even if their outputs differ")
    parser.add_argument(
        "--profile", action="store_true", help="print where the time of a patch goes, part by part, and nothing else"
    )
    return parser


def _model(name: str) -> str:
    if name.lower().removeprefix("voxcpm-").removeprefix("voxcpm") not in FAMILIES:
        raise argparse.ArgumentTypeError(f"unknown model {name}: use {', '.join(FAMILIES)}")
    return name


def _numbers(text: str) -> tuple[int, ...]:
    return tuple({int(number) for number in text.split(",")})
