"""Compare how soon voxcli starts with an empty Typer program and with importing what it needs.

All contestants run in turn, several rounds; the ratios of their medians are printed, since machines differ.
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


def seconds_to_run(arguments: list[str]) -> float:
    """Time a whole process."""
    started = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - started


def seconds_to_first_byte(file: Path) -> float:
    """Time from the start of `voxcli say` until sound is in its file."""
    header_bytes = 80
    file.unlink(missing_ok=True)
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "voxcli", "say", "x", "-q", "-o", str(file)]) as process:
        while not (file.exists() and file.stat().st_size > header_bytes):
            if process.poll() not in (None, 0):
                raise SystemExit(f"voxcli failed with {process.returncode}")
            time.sleep(0.0005)
        return time.perf_counter() - started


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY_TYPER, "utf-8")
        contestants: dict[str, Callable[[], float]] = {
            "empty Typer program, --help": lambda: seconds_to_run([sys.executable, str(empty), "--help"]),
            "empty Typer program, a command": lambda: seconds_to_run([sys.executable, str(empty), "first"]),
            "importing what is needed": lambda: seconds_to_run([sys.executable, "-c", NEEDED]),
            "voxcli --help": lambda: seconds_to_run([sys.executable, "-m", "voxcli", "--help"]),
            "voxcli say, first byte in the file": lambda: seconds_to_first_byte(Path(folder, "x.wav")),
        }
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, measure in contestants.items():
                times[name].append(measure())
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{median * 1000:6.0f} ms  {name}")
    help_ratio = medians["voxcli --help"] / medians["empty Typer program, --help"]
    byte_ratio = medians["voxcli say, first byte in the file"] / medians["empty Typer program, --help"]
    needed_ratio = medians["voxcli say, first byte in the file"] / medians["importing what is needed"]
    print(f"help: {help_ratio:.2f} times an empty Typer program (target 1.3)")
    print(f"first byte: {byte_ratio:.2f} times an empty Typer program (target 2.5)")
    print(f"first byte: {needed_ratio:.2f} times importing what is needed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    main(parser.parse_args().rounds)
