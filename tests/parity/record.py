"""Asks the published package for its answers, keeps those of the committed cases, and compares others with ours."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.parity.answers import difference, keep_answer, missing_samples
from tests.parity.cases import CASES, Case
from tests.parity.fresh import fresh_cases, full_cases
from tests.parity.package import Answer, Package, opened_package, package_python
from tests.parity.prepare import Prepared, prepare

ENGINE_TOLERANCE = 1e-4
COMMAND_TOLERANCE = 2e-4
"""The command line's file has steps of 3e-5."""

_UNDECIDED = 5e-5
"""In levels and in logits. Two orders of the same float32 sums were seen 2e-5 apart: a value nearer than this to
the middle between two levels is rounded one way by one of them and the other way by the other, and both are right."""
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
            _say(f"{len(cases) - different} of {len(cases)} cases are equal")
            return 1 if different else 0
        for case in cases:
            answer = package.ask(case, prepare(case, Path(name)), Path(name))
            keep_answer(case, answer.samples, answer.sample_rate)
            _say(f"{case.name:28} {len(answer.samples):7} samples · {_margins(answer)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Record the published package's answers to the committed cases. With --compare or --seed, "
        "record nothing and compare fresh answers with ours, through the Python API and the command line.",
    )
    parser.add_argument("--compare", action="store_true", help="compare the committed cases")
    parser.add_argument("--seed", type=int, nargs="+", metavar="N", help="compare cases drawn from these seeds")
    parser.add_argument("--full", action="store_true", help="with --seed: models in their true size, 25 GB of memory")
    parser.add_argument("--cases", nargs="+", metavar="WORD", help="only cases whose name holds one of these")
    parser.add_argument("--python", type=Path, help="an interpreter that has the package; else .venv-parity is made")
    parser.add_argument("--threads", type=int, default=2, help="of the package")
    parser.add_argument("--folder", type=Path, help="where checkpoints lie meanwhile")
    options = parser.parse_args()
    if options.full and not options.seed:
        parser.error("--full needs a --seed")
    return options


def _chosen(options: argparse.Namespace) -> Sequence[Case]:
    draw = full_cases if options.full else fresh_cases
    cases = [case for seed in options.seed for case in draw(seed)] if options.seed else CASES
    return [case for case in cases if not options.cases or any(word in case.name for word in options.cases)]


def _is_equal(case: Case, package: Package, folder: Path) -> bool:
    """Compare one answer with ours, and others in its place while rounding errors alone may have decided it."""
    for _ in range(_DRAWS):
        files = prepare(case, folder)
        answer = package.ask(case, files, folder)
        good, seen = _compared(case, files, answer, folder)
        undecided = not good and min(answer.quantizer, answer.stop) < _UNDECIDED
        _say(f"{'equal ' if good else 'again ' if undecided else 'DIFFER'} {case.name:28} {seen}")
        if not undecided:
            return good
        case = case.redrawn()
    return False


def _compared(case: Case, files: Prepared, answer: Answer, folder: Path) -> tuple[bool, str]:
    from tests.parity.ours import spoken_by_command, spoken_by_engine

    missing = missing_samples(case, files.checkpoint)
    engine = difference(spoken_by_engine(case, files), answer.samples, missing)
    command = difference(spoken_by_command(case, files, folder), answer.samples, missing)
    return engine <= ENGINE_TOLERANCE and command <= COMMAND_TOLERANCE, (
        f"API {engine:.1e} · command line {command:.1e} · {len(answer.samples)} samples, "
        f"{case.steps} steps, cfg {case.guidance:g} · {_margins(answer)}"
    )


def _margins(answer: Answer) -> str:
    return f"nearest to another level {answer.quantizer:.1e}, to another end {answer.stop:.1e}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
