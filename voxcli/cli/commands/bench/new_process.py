"""New processes of `voxcli say`, timed from outside."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Any

import typer

from voxcli.bench.report.record import NewProcess
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import VoiceOptions
from voxcli.errors import ModelError

_SAY = (sys.executable, "-m", "voxcli", "say")
_QUIETLY = ("--no-split", "--no-play", "-o", "-", "--format", "pcm", "--json", "--quiet")
_READ_BYTES = 65536
_OWN = ("speed", "normalize")


def shared_arguments(context: typer.Context) -> list[str]:
    """Return the arguments of `voxcli bench` that `voxcli say` also accepts, except the server.

    A new process reads the environment and the settings itself.
    """
    groups = (VoiceOptions, EngineOptions, SamplingOptions)
    shared = {field.name for group in groups for field in fields(group)}.union(_OWN) - {"remote"}
    words: list[str] = []
    for param in context.command.params:
        if param.name in shared and on_command_line(context, param.name):
            words += _as_words(param, context.params[param.name])
    return words


def _as_words(param: Any, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [param.opts[0] if value else param.secondary_opts[0]]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for one in values for word in (param.opts[0], str(one))]


def start_process(subject: str, arguments: Sequence[str], text: str) -> NewProcess:
    """Speak a text in a new process, and measure from its start to the first byte of its output.

    Raises:
        ModelError: it failed, with its message.
    """
    started = time.perf_counter()
    events: dict[str, tuple[float, Mapping[str, Any]]] = {}
    with ExitStack() as undo:
        with _deferred_interrupts():
            process = undo.enter_context(
                subprocess.Popen(
                    [*_SAY, *_QUIETLY, *arguments, "--", text],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                )
            )
            reader = threading.Thread(target=_read_events, args=(process, events), name="events", daemon=True)
            reader.start()
            undo.callback(reader.join)  # before the process is left, which closes the pipe
            undo.callback(process.kill)  # does nothing if it has ended
        assert process.stdout
        first = process.stdout.read(1)
        sounded = time.perf_counter()
        while process.stdout.read(_READ_BYTES):
            pass
        process.wait()
        undo.close()  # an interrupt between the last line and the exit of a with block skips the exit
    if not first or "loading" not in events or "done" not in events:
        said = events.get("error", (0.0, {}))[1].get("message", f"exit code {process.returncode}")
        raise ModelError(f"A fresh process could not speak: {said}")
    turned = events["loading"][0]
    first_chunk = float(events["done"][1]["first_chunk_seconds"])
    return NewProcess(
        subject=subject,
        start_seconds=round(turned - started, 6),
        load_seconds=round(max(0.0, sounded - turned - first_chunk), 6),
        first_chunk_seconds=round(first_chunk, 6),
    )


@contextmanager
def _deferred_interrupts() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM until the block ends, so that it is not left with a process that nothing ends."""
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for held_back in received:
        signal.raise_signal(held_back)


def _read_events(process: "subprocess.Popen[bytes]", events: dict[str, tuple[float, Mapping[str, Any]]]) -> None:
    """Record when each kind of event came first."""
    assert process.stderr
    for line in process.stderr:
        if line.startswith(b"{") and line.endswith(b"\n"):  # a killed process may leave half a line
            event = json.loads(line)
            events.setdefault(event["event"], (time.perf_counter(), event))
