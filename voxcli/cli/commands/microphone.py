"""Recording with the microphone, with the level and the remaining time shown."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console
from voxcli.devices.microphone import Microphone

_SOFTEST_DBFS = -60.0
"""Lower end of the level bar."""


def record(seconds: float, device: str | None, console: Console) -> AudioChunk:
    """Record with the microphone of this name or number, or with the default one.

    Raises:
        DeviceError: there is no microphone, or it fails.
    """
    with Microphone(device) as microphone:
        console.note(f"recording {seconds:g} s: speak now")
        chunks = []
        with _showing(seconds, console) as show:
            for chunk in microphone.record(seconds):
                chunks.append(chunk.samples)
                show(chunk)
    console.note("recorded")
    if microphone.gaps:
        console.warning("The recording has gaps, because this machine was too busy.")
    return AudioChunk(np.concatenate(chunks), microphone.sample_rate)


@contextmanager
def _showing(seconds: float, console: Console) -> Iterator[Callable[[AudioChunk], None]]:
    """Show the remaining time, and the level as a bar, on a terminal."""
    if console.quiet or not console.rich.is_terminal:
        yield lambda chunk: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    left = seconds
    columns = [TextColumn("{task.description}", markup=False), BarColumn()]
    with Progress(*columns, console=console.rich, transient=True) as progress:
        task = progress.add_task("", total=-_SOFTEST_DBFS)

        def show(chunk: AudioChunk) -> None:
            nonlocal left
            left -= chunk.seconds
            progress.update(task, description=f"{math.ceil(left)} s left", completed=_level(chunk) - _SOFTEST_DBFS)

        yield show


def _level(chunk: AudioChunk) -> float:
    """Return the level in dBFS, at least the lower end of the bar."""
    power = float(np.mean(np.square(chunk.samples)))
    return max(10 * math.log10(power), _SOFTEST_DBFS) if power else _SOFTEST_DBFS
