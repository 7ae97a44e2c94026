"""Benchmark plan: the texts and requests to measure, and their order."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files
from itertools import product

from voxcli.errors import RequestError

_STREAMS_BY_RATE = 4
"""Concurrency assumed for the numbers of requests and warm-ups of an open loop."""


class Mode(StrEnum):
    """How the audio is delivered."""

    STREAM = "stream"
    """As soon as it is generated."""
    WHOLE = "whole"
    """At once, when all of it is generated."""


@dataclass(frozen=True, slots=True)
class Level:
    """Load of a test, either a concurrency or a rate."""

    concurrency: int | None = None
    """Streams at a time; each one that ends is followed by a new request (closed loop)."""
    rate: float | None = None
    """Mean requests per second, at random times, whether or not earlier ones have ended (open loop)."""

    def __str__(self) -> str:
        return f"{self.concurrency} at once" if self.concurrency else f"{self.rate:g} per second"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """One request to measure."""

    subject: str
    """Name of the engine or server."""
    text: str
    """Name of the text."""
    mode: Mode
    number: int
    """Index of the run, from 0. The same run of all alternatives has the same seed."""
    warmup: bool = False
    """Made first, and excluded from all statistics."""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Alternatives to compare: every subject in every mode, with every text."""

    subjects: Sequence[str]
    texts: Sequence[str]
    modes: Sequence[Mode]
    runs: int
    """Per alternative and text."""
    warmup: int
    """Warm-up runs per alternative and text."""

    def one_by_one(self) -> list[BenchRequest]:
        """Return the sequential requests, ordered so that changes over time affect all alternatives alike.

        The alternatives take turns, text by text, and each round starts with another one.
        """
        rounds = [(number, True) for number in range(self.warmup)] + [(number, False) for number in range(self.runs)]
        alternatives = self._alternatives()
        requests = []
        for number, warmup in rounds:
            first = number % len(alternatives)
            for text in self.texts:
                for subject, mode in [*alternatives[first:], *alternatives[:first]]:
                    requests.append(BenchRequest(subject=subject, text=text, mode=mode, number=number, warmup=warmup))
        return requests

    def under_load(self, levels: Sequence[Level], requests: int | None) -> "list[LoadTest]":
        """Return the load tests: level by level, and within each the alternatives in turn.

        Args:
            requests: number per test; None makes `runs` for each concurrent stream, or for each text if those are more.
        """
        return [self._load_test(level, *who, requests) for level, who in product(levels, self._alternatives())]

    def _alternatives(self) -> list[tuple[str, Mode]]:
        return list(product(self.subjects, self.modes))

    def _load_test(self, level: Level, subject: str, mode: Mode, requests: int | None) -> "LoadTest":
        at_once = level.concurrency or _STREAMS_BY_RATE
        count = requests or self.runs * max(at_once, len(self.texts))
        planned = [
            BenchRequest(
                subject=subject, text=self.texts[number % len(self.texts)], mode=mode, number=number, level=level
            )
            for number in range(count)
        ]
        before = [replace(request, warmup=True) for request in planned[:at_once] * self.warmup]
        return LoadTest(level, before, planned)


@dataclass(frozen=True, slots=True)
class LoadTest:
    """The requests to one alternative at one level of load."""

    level: Level
    warmup: list[BenchRequest]
    requests: list[BenchRequest]


def poisson_times(rate: float, count: int, rng: random.Random) -> Iterator[float]:
    """Yield the times of independent requests (a Poisson process), in seconds after the first one."""
    now = 0.0
    for _ in range(count):
        yield now
        now += rng.expovariate(rate)


LENGTHS = ("short", "medium", "long")
LANGUAGES = ("zh", "en")
"""Languages of the standard texts. The Chinese ones are those of neosun100/voxcpm-docker, so that results can be
compared with its measurements; the English ones are translations."""

_FILE_MARK = "@"
_LABEL_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its name."""

    name: str
    text: str


def choose_texts(
    chosen: Sequence[str], language: str, read_file: Callable[[str], str], literal: Sequence[str] = ()
) -> list[Text]:
    """Return the texts that the user chose; by default short, medium and long.

    Args:
        chosen: "short", "medium", "long", "@" and a file name, or a text.
        language: of the standard texts, one of `LANGUAGES`.
        read_file: returns the content of a file.
        literal: texts that are not looked up.

    Raises:
        RequestError: a text is empty, or occurs twice.
    """
    known: dict[str, str] = json.loads(files("voxcli.bench.measure").joinpath("texts.json").read_text("utf-8"))[
        language
    ]
    texts: list[Text] = []
    found = [_find_text(choice, known, read_file) for choice in chosen or (() if literal else LENGTHS)]
    for text in [*found, *(Text(_label(text), text) for text in literal)]:
        if not text.text.strip():
            raise RequestError(f"The text {text.name!r} is empty.")
        if any(text.text == other.text for other in texts):
            raise RequestError(
                f"The text {text.name!r} occurs twice. Name it once, with more runs.",
                on_command_line="Their number is --runs.",
            )
        if any(text.name == other.name for other in texts):
            text = replace(text, name=f"{text.name} ({len(texts) + 1})")
        texts.append(text)
    return texts


def _find_text(choice: str, known: dict[str, str], read_file: Callable[[str], str]) -> Text:
    if choice in known:
        return Text(choice, known[choice])
    if choice.startswith(_FILE_MARK):
        name = choice.removeprefix(_FILE_MARK)
        return Text(name, read_file(name).strip())
    return Text(_label(choice), choice)


def _label(text: str) -> str:
    """Return the beginning of a text as its name."""
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1].rstrip()}…"
