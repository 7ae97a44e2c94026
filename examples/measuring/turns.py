"""Contestants speak in turns, so that a noisy machine is noisy for all of them."""

import time
from collections.abc import Sequence
from typing import Protocol

from measuring.dialogue import DialogueEnded
from measuring.figures import Run
from voxcli.errors import VoxError

WARM_UP_PATCHES = 4

_PAUSE = 0.05
"""Seconds between two, so that nothing of the one is left on the machine: threads wait for more work a while."""


class Contestant(Protocol):
    label: str
    most_turns: int
    """That it takes, however many others take."""

    @property
    def most_streams(self) -> int: ...

    def speak(self, streams: int, patches: int) -> list[Run]:
        """Begin so many streams at once, of so many patches each, and return how they came."""

    def close(self) -> None: ...


Failures = dict[str, Exception]
"""Contestant -> why it did not go on."""


def warm_up(contestants: Sequence[Contestant], streams: int) -> Failures:
    """Let each do twice what it will be measured at, for a few patches."""
    failures: Failures = {}
    for contestant in contestants:
        for _ in range(2):
            _spoken(contestant, streams, WARM_UP_PATCHES, failures)
    return failures


def take_turns(
    contestants: Sequence[Contestant], streams: int, patches: int, turns: int, seconds: float
) -> tuple[dict[str, list[list[Run]]], Failures]:
    """Let each speak so often, or until this has taken so many seconds, but at least once.

    Who was first in one turn is last in the next.
    """
    started = time.monotonic()
    heard: dict[str, list[list[Run]]] = {contestant.label: [] for contestant in contestants}
    failures: Failures = {}
    for turn in range(turns):
        if turn and time.monotonic() - started > seconds:
            break
        for contestant in contestants if turn % 2 == 0 else reversed(contestants):
            if turn >= contestant.most_turns:
                continue
            if runs := _spoken(contestant, streams, patches, failures):
                heard[contestant.label].append(runs)
    return {label: runs for label, runs in heard.items() if runs and label not in failures}, failures


def _spoken(contestant: Contestant, streams: int, patches: int, failures: Failures) -> list[Run]:
    if contestant.label in failures:
        return []
    time.sleep(_PAUSE)
    try:
        return contestant.speak(streams, patches)
    except (VoxError, DialogueEnded, RuntimeError) as error:
        failures[contestant.label] = error
        return []
