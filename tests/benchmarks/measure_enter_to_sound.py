"""Measure what a user of `voxcli say` waits for: from Enter to the request, to the first byte and to the first sound.

Four ways to speak run in turns, for several rounds: the model in the process itself, a warm engine, `--remote` to a
server on this machine, and the built-in voice. An empty Typer program runs beside them. A table of medians is printed.

Enter is the moment before the process is started. The request has left when the first POST is given to the system; the
first byte is the first sample in a file; the first sound is the first sample that the monitor of a PulseAudio null
sink passes on. The monitor of a null sink is up to 20 ms early or late. Playback starts at once (--start-buffer 0),
even where the machine speaks slower than real time.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checkpoints import write_checkpoint
from tests.pulse import PulseServer, running_pulse
from voxcli.bench.measure.machine import find_machine

EMPTY_TYPER = """
import typer
app = typer.Typer()
@app.command()
def say(text: str) -> None: "Speak."
app()
"""
SAY = """
import socket, sys, time
notes = sys.argv[1]
def noting(send):
    def noted(self, data, *flags):
        if bytes(data[:5]) == b"POST ":
            with open(notes, "a") as file:
                print(time.monotonic(), file=file)
        return send(self, data, *flags)
    return noted
socket.socket.send, socket.socket.sendall = map(noting, (socket.socket.send, socket.socket.sendall))
sys.argv = sys.argv[2:]
from voxcli.cli.app import main
main()
"""
"""Runs voxcli, and notes in a file when requests leave."""

WAV_HEADER_BYTES = 80
POLL_SECONDS = 0.001
START_SECONDS = 300.0
SHORT = "8"
"""Patches; random weights do not tell where a text ends."""


Events: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Way:
    """A way to speak: arguments of `voxcli say`."""

    name: str
    arguments: tuple[str, ...]
    home: Path
    """VOXCLI_HOME."""


@dataclass
class Times:
    """Seconds from Enter, of all rounds."""

    request: list[float] = field(default_factory=list)
    byte: list[float] = field(default_factory=list)
    sound: list[float] = field(default_factory=list)
    chunk: list[float] = field(default_factory=list)
    """From the request to the first chunk, as the program reports it."""


class Monitor:
    """Listens to a null sink, and notes when the first sample that is not silent arrives."""

    def __init__(self, pulse: PulseServer, sink: str) -> None:
        self.sounded_at: float | None = None
        self._silent_since = time.monotonic()
        command = ["parec", "-d", f"{sink}.monitor", "--format=s16le", "--latency-msec=10", "--raw"]
        self._recorder = subprocess.Popen(command, env=pulse.environment, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *failure: object) -> None:
        self._recorder.kill()
        self._recorder.wait()

    def reset(self) -> None:
        """Forget what was heard, once it is silent."""
        while time.monotonic() < self._silent_since + 0.3:
            time.sleep(POLL_SECONDS)
        self.sounded_at = None

    def _read(self) -> None:
        assert self._recorder.stdout
        with self._recorder.stdout as stream:
            while data := os.read(stream.fileno(), 1 << 16):
                if any(data):
                    self._silent_since = now = time.monotonic()
                    self.sounded_at = self.sounded_at or now


class Measurement:
    """Runs of `voxcli say`, each timed."""

    def __init__(self, folder: Path, text: str, pulse: PulseServer, monitor: Monitor) -> None:
        self._folder, self._text = folder, text
        self._monitor = monitor
        self._environment = pulse.client("speaker48")

    def write_file(self, way: Way, times: Times) -> None:
        """Time a run into a file."""
        file = self._folder / "speech.wav"
        file.unlink(missing_ok=True)
        written: list[float] = []

        def look() -> None:
            if not written and file.exists() and file.stat().st_size > WAV_HEADER_BYTES:
                written.append(time.monotonic())

        entered, events = self._run(way, ["-o", str(file)], look)
        times.byte.append(written[0] - entered)
        times.chunk.append(events["done"]["first_chunk_seconds"])
        if noted := self._notes.read_text("utf-8").split():
            times.request.append(float(noted[0]) - entered)

    def play(self, way: Way, times: Times) -> None:
        """Time a run into the loudspeaker."""
        self._monitor.reset()
        entered, _ = self._run(way, ["--start-buffer", "0"], lambda: None)
        assert self._monitor.sounded_at, "nothing was heard"
        times.sound.append(self._monitor.sounded_at - entered)

    @property
    def _notes(self) -> Path:
        return self._folder / "requests"

    def _run(
        self, way: Way, target: list[str], look: Callable[[], None]
    ) -> tuple[float, Mapping[str, Mapping[str, float]]]:
        """Return when the process was started, and the last event of each kind."""
        self._notes.write_text("", "utf-8")
        arguments = [str(self._notes), "voxcli", "say", self._text, "--json", *way.arguments, *target]
        environment = self._environment | {"VOXCLI_HOME": str(way.home)}
        entered = time.monotonic()
        command = [sys.executable, "-c", SAY, *arguments]
        # The warnings of random weights are of no interest; an error is an event too.
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            lines: list[str] = []
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
            reader.start()
            while process.poll() is None:
                look()
                time.sleep(POLL_SECONDS)
            reader.join()
        look()
        events = {event["event"]: event for event in map(json.loads, lines)}
        if "done" not in events:
            raise SystemExit(f"voxcli failed: {events.get('error') or lines}")
        return entered, events


def seconds_of_empty_program(file: Path) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, str(file), "text"], check=True)
    return time.monotonic() - started


@contextmanager
def served(model: Sequence[str], home: Path, log: Path) -> Iterator[str]:
    """Serve a model in a process of its own, and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"VOXCLI_HOME": str(home)}
    command = [sys.executable, "-m", "voxcli", "serve", "--port", str(port), *model]
    with log.open("wb") as messages, subprocess.Popen(command, env=environment, stderr=messages) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"voxcli serve did not start: {log.read_text('utf-8')}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def warmed(home: Path) -> Iterator[None]:
    """Stop the engines that were left running."""
    try:
        yield
    finally:
        command = [sys.executable, "-m", "voxcli", "stop", "--all", "--now"]
        subprocess.run(command, env=os.environ | {"VOXCLI_HOME": str(home)}, check=False, capture_output=True)


def measure(checkpoint: Path, text: str, rounds: int, options: list[str], folder: Path) -> None:
    empty = folder / "empty.py"
    empty.write_text(EMPTY_TYPER, "utf-8")
    homes = {name: folder / name for name in ("here", "there")}
    for home in homes.values():
        home.mkdir()
    model = ["--model", str(checkpoint), *options]
    with ExitStack() as running:
        pulse = running.enter_context(running_pulse())
        monitor = running.enter_context(Monitor(pulse, "speaker48"))
        running.enter_context(warmed(homes["here"]))
        url = running.enter_context(served(model, homes["there"], folder / "log"))
        ways = [
            Way("in this process", (*model, "--no-warm", "--max-len", SHORT), homes["here"]),
            Way("warm engine", (*model, "--keep-alive", "10m", "--max-len", SHORT), homes["here"]),
            Way("--remote, voxcli serve", ("--remote", url, "--max-len", SHORT), homes["there"]),
            Way("built-in voice", ("--model", "espeak"), homes["here"]),
        ]
        measurement = Measurement(folder, text, pulse, monitor)
        for way in ways:  # starts the warm engine, fills caches
            measurement.write_file(way, Times())
        times = {way.name: Times() for way in ways}
        empties = []
        for _ in range(rounds):
            empties.append(seconds_of_empty_program(empty))
            for way in ways:
                measurement.write_file(way, times[way.name])
                measurement.play(way, times[way.name])
    print_table(times, statistics.median(empties), rounds)


def print_table(times: Mapping[str, Times], empty: float, rounds: int) -> None:
    machine = find_machine()
    print(f"{machine.cpu}, {machine.cores} cores; {machine.gpu or 'no GPU'}; medians of {rounds} rounds, in ms.\n")
    print("| from Enter to | request sent | first byte in a file | first sound played | the engine's first chunk |")
    print("|---|---|---|---|---|")
    for name, found in times.items():
        cells = [_median(values) for values in (found.request, found.byte, found.sound, found.chunk)]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nAn empty Typer program runs for {1000 * empty:.0f} ms.", end="")
    if sent := times["warm engine"].request:
        print(
            f" With a warm engine, the request leaves after {statistics.median(sent) / empty:.2f} times that.", end=""
        )
    print()


def _median(values: list[float]) -> str:
    return f"{1000 * statistics.median(values):.0f}" if values else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Options of the model follow: --dtype, --quantize …")
    parser.add_argument("checkpoint", type=Path, nargs="?", help="folder; without one, a tiny random model is drawn")
    parser.add_argument("--text", default="你好，世界。", help="one short sentence")
    parser.add_argument("--rounds", type=int, default=9)
    given, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="enter-") as folder:
        checkpoint = given.checkpoint
        if checkpoint is None:
            checkpoint = Path(folder, "model")
            write_checkpoint(checkpoint, "voxcpm-1.5", seed=3)
        measure(checkpoint.resolve(), given.text, given.rounds, options, Path(folder))


if __name__ == "__main__":
    main()
