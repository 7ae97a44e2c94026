"""Measure start-up: `import voxcli`, `voxcli --help` and the first byte of `voxcli say`, each against a baseline.

All programs run in turns, for several rounds. The ratios of their medians are what counts, since machines differ.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

EMPTY_TYPER = """
import typer
app = typer.Typer()
@app.command()
def first() -> None: "One."
@app.command()
def second() -> None: "Two."
app()
"""
NEEDED = "import typer, rich.console, numpy, ctypes, espeakng_loader, platformdirs"

PYTHON, IMPORT = "python -c pass", "python -c 'import voxcli'"
TYPER_HELP, HELP = "empty Typer program, --help", "voxcli --help"
IMPORTS, FIRST_BYTE = "importing what `say` needs", "voxcli say, first byte in the file"

RATIOS = (
    (IMPORT, PYTHON, None),
    (HELP, TYPER_HELP, 1.15),
    (FIRST_BYTE, TYPER_HELP, 1.9),
    (FIRST_BYTE, IMPORTS, None),
)
"""What is measured, its baseline, and the limit for the ratio if there is one."""


def seconds_to_run(*arguments: str) -> float:
    """Time a whole process of Python."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def seconds_to_first_byte(file: Path) -> float:
    """Time from the start of `voxcli say` until its file has more than a header."""
    header_bytes = 80
    file.unlink(missing_ok=True)
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "voxcli", "say", "x", "-q", "-o", str(file)]) as process:
        while not (file.exists() and file.stat().st_size > header_bytes):
            if process.poll() not in (None, 0):
                raise SystemExit(f"voxcli failed with exit code {process.returncode}")
            time.sleep(0.0005)
        return time.perf_counter() - started


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY_TYPER, "utf-8")
        programs: dict[str, Callable[[], float]] = {
            PYTHON: lambda: seconds_to_run("-c", "pass"),
            IMPORT: lambda: seconds_to_run("-c", "import voxcli"),
            TYPER_HELP: lambda: seconds_to_run(str(empty), "--help"),
            IMPORTS: lambda: seconds_to_run("-c", NEEDED),
            HELP: lambda: seconds_to_run("-m", "voxcli", "--help"),
            FIRST_BYTE: lambda: seconds_to_first_byte(Path(folder, "x.wav")),
        }
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, measure in programs.items():
                times[name].append(measure())
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{median * 1000:6.0f} ms  {name}")
    for name, baseline, limit in RATIOS:
        target = f" (at most {limit})" if limit else ""
        print(f"{name}: {medians[name] / medians[baseline]:.2f} times {baseline}{target}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    main(parser.parse_args().rounds)
