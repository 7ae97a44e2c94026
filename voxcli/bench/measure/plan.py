"""Which requests are made, and in which order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product


class Mode(StrEnum):
    """How an answer comes."""

    STREAM = "stream"
    """Sound as soon as it exists."""
    WHOLE = "whole"
    """All of it at once, when all of it exists."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much is asked for at once. One of the two is given."""

    concurrency: int | None = None
    """So many streams at any time: each end is followed by a new request."""
    rate: float | None = None
    """So many requests per second, at random moments, whether or not earlier ones are done."""

    def __str__(self) -> str:
        return f"{self.concurrency} at once" if self.concurrency else f"{self.rate:g} per second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request that is to be measured."""

    subject: str
    """Who is asked."""
    text: str
    """By its name."""
    mode: Mode
    number: int
    """Which run it is, from 0: the same of all alternatives get the same seed."""
    warmup: bool = False
    """Made first, and never counted."""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured against what."""

    subjects: Sequence[str]
    texts: Sequence[str]
    modes: Sequence[Mode]
    runs: int
    """Of each."""
    warmup: int
    """Runs of each that do not count."""

    def one_by_one(self) -> list[Ask]:
        """Order the runs so that whatever changes with time meets all alternatives alike.

        They take turns, text by text, and another one is first each time.
        """
        rounds = [(number, True) for number in range(self.warmup)] + [(number, False) for number in range(self.runs)]
        alternatives = self._alternatives()
        asks = []
        for number, warmup in rounds:
            first = number % len(alternatives)
            for text in self.texts:
                for subject, mode in [*alternatives[first:], *alternatives[:first]]:
                    asks.append(Ask(subject=subject, text=text, mode=mode, number=number, warmup=warmup))
        return asks

    def under_load(self, levels: Sequence[Level], requests: int | None) -> "list[LoadTest]":
        """Order what is measured under load: level by level, and alternatives in turn within each.

        Args:
            requests: how many make a test; None takes `runs` of every stream, or of every text if those are more.
        """
        return [self._load_test(level, *who, requests) for level, who in product(levels, self._alternatives())]

    def _alternatives(self) -> list[tuple[str, Mode]]:
        return list(product(self.subjects, self.modes))

    def _load_test(self, level: Level, subject: str, mode: Mode, requests: int | None) -> "LoadTest":
        at_once = level.concurrency or _FEW
        count = requests or self.runs * max(at_once, len(self.texts))
        asks = [
            Ask(subject=subject, text=self.texts[number % len(self.texts)], mode=mode, number=number, level=level)
            for number in range(count)
        ]
        before = [replace(ask, warmup=True) for ask in asks[:at_once] * self.warmup]
        return LoadTest(level, before, asks)


_FEW = 4
"""Streams at once, where only a rate is given."""


@dataclass(frozen=True, slots=True)
class LoadTest:
    """The requests that one alternative gets at one level of load."""

    level: Level
    warmup: list[Ask]
    asks: list[Ask]


def poisson_times(rate: float, count: int, rng: random.Random) -> Iterator[float]:
    """Yield when requests come that know nothing of each other, in seconds from the first, which comes at once."""
    now = 0.0
    for _ in range(count):
        yield now
        now += rng.expovariate(rate)
