"""Playing in a process of its own, and comparing what was heard with what was played."""

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.forks import ORIGIN, Forked
from tests.turns import hurry
from voxcli.audio.chunk import Samples

PATIENCE_SECONDS = 30.0
STEP = 1 / 32768


class Player:
    """A process that runs player.py."""

    def __init__(self, process: Forked) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, word: str) -> None:
        """Wait until the player says so."""
        assert self._process.stdout
        assert self._process.stdout.readline().decode().strip() == word

    def go_on(self) -> None:
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def outcome(self, complaints: str = "") -> dict[str, Any]:
        """Wait for the end. Nothing but `complaints` may have been said on stderr by then."""
        said, said_on_stderr = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert said_on_stderr.decode() == complaints, said_on_stderr.decode()
        result: dict[str, Any] = json.loads(said.splitlines()[-1])
        return result


@contextmanager
def playing(
    environment: dict[str, str], samples: Samples, rate: int, steps: list[list[Any]], **speaker: Any
) -> Iterator[Player]:
    base = Path(environment["HOME"]) / random.randbytes(6).hex()
    sound, orders = base.with_suffix(".npy"), base.with_suffix(".json")
    np.save(sound, samples)
    orders.write_text(json.dumps({"speaker": speaker, "rate": rate, "steps": steps}))
    files, pipe = [str(sound), str(orders)], subprocess.PIPE
    with ORIGIN.start(Path.cwd(), environment, files, (pipe, pipe, pipe), program="tests.devices.player") as process:
        hurry(process.pid)
        # A player that hangs is a failure too, and not one to wait for.
        watch = threading.Timer(PATIENCE_SECONDS, process.kill)
        watch.start()
        try:
            yield Player(process)
        finally:
            watch.cancel()
            process.kill()


def play(
    environment: dict[str, str], samples: Samples, rate: int, steps: list[list[Any]], **speaker: Any
) -> dict[str, Any]:
    with playing(environment, samples, rate, steps, **speaker) as player:
        return player.outcome()


def noise(seconds: float, rate: int, seed: int = 0) -> Samples:
    """Speech-like in loudness, and nowhere like itself, so that a lost sample shows."""
    samples = np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate)).astype(np.float32)
    samples[[0, -1]] = 0.4
    return samples


def place_of(sound: Samples, heard: Samples) -> int:
    """Return where in `heard` `sound` begins, by cross-correlation."""
    size = len(heard) + len(sound)
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(heard)]))


def assert_heard(sound: Samples, heard: Samples) -> None:
    """Check that exactly this was heard, with silence around it."""
    place = place_of(sound, heard)
    rest = np.concatenate([heard[:place], heard[place + len(sound) :]])
    assert np.max(np.abs(rest), initial=0.0) <= STEP
    there = heard[place : place + len(sound)]
    assert len(there) == len(sound)
    assert np.max(np.abs(there - np.clip(sound, -1, 1))) <= 2 * STEP


def writes(count: int, *sizes: int) -> list[list[Any]]:
    """Return the steps that write `count` samples in pieces of these sizes, over and over."""
    bounds = [0]
    while bounds[-1] < count:
        bounds.append(min(count, bounds[-1] + sizes[len(bounds) % len(sizes)]))
    return [["write", start, end] for start, end in pairwise(bounds)]
