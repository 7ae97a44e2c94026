"""What a bench leaves behind: all that was measured, and under which circumstances, as JSON with a schema."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from voxcli.bench.measure.plan import Level, Mode
from voxcli.bench.measure.texts import Text
from voxcli.bench.measure.validity import Failure
from voxcli.bench.report.statistics import Summary
from voxcli.errors import RequestError

VERSION = 1

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One request. Seconds are from asking, and null if it did not come so far."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    """Who was asked."""
    text: str
    """By its name."""
    mode: Mode
    number: int
    """Which run of its kind it is, from 0."""
    seed: int | None
    """Null where the protocol has none."""
    warmup: bool
    """Whether it was made only to warm up. Then it counts nowhere."""
    level: Level | None
    """How much was asked for at once; null: one by one."""
    started_seconds: float
    """From the beginning of the bench."""
    first_byte_seconds: float | None
    """To the first byte of sound: headers, of HTTP or of a file, do not count."""
    first_chunk_seconds: float | None
    """To the first samples."""
    first_sound_seconds: float | None
    """To the chunk with the first 10 ms above -50 dBFS."""
    total_seconds: float
    """To the end of the answer."""
    audio_seconds: float
    """Decoded samples over their rate."""
    real_time_factor: float | None
    """Total over audio."""
    chunks: int
    """Pieces in which samples came."""
    bytes: int
    """Of encoded sound; of a model in the same process, of its samples in 16 bits."""
    starved_seconds: float
    """How long a player would have run dry."""
    arrivals: tuple[tuple[float, float], ...]
    """For every chunk, when it came and how much sound there was then with it, in seconds."""
    failure: Failure | None
    """Why it does not count; null if it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who was asked, as far as it is known."""

    __pydantic_config__ = _DOCUMENTED

    name: str
    """In runs."""
    model: str | None
    """Null leaves it to the server."""
    revision: str | None = None
    """The commit of the checkpoint."""
    url: str | None = None
    """Of a server; null: in this process."""
    dialect: str | None = None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    load_seconds: float | None = None
    """How long it took to make it ready; of a server, to find out what it is."""
    seeded: bool = True
    """Whether it takes seeds."""
    slots: int | None = None
    """How many streams it runs at once; others wait in this process. Null leaves it to the server."""
    server: Mapping[str, Any] = field(default_factory=dict)
    """What a server says of itself, by the path that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured, and with what."""

    __pydantic_config__ = _DOCUMENTED

    voxcli: str
    commit: str | None
    """Of the checkout that ran; a + says that it was changed."""
    python: str
    system: str
    cpu: str
    cores: int
    load: float | None
    """How many processes wanted to run in the minute before."""
    torch: str | None
    cuda: str | None
    gpu: str | None
    driver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked for."""

    __pydantic_config__ = _DOCUMENTED

    modes: tuple[Mode, ...]
    runs: int
    warmup: int
    requests: int | None
    """Under load, in each test; null: by the number of runs."""
    concurrency: tuple[int, ...]
    rates: tuple[float, ...]
    prebuffer_seconds: float
    steps: int
    guidance: float
    seed: int
    """Of the first run; the next has the next."""
    speed: float
    voice: str | None
    """Its name, or that of its clip."""
    style: str | None = None
    """In words."""
    min_patches: int = 2
    max_patches: int | None = None
    retries: int = 0
    """Of speech far too long for its text."""
    normalize: bool = False
    """Whether numbers are spelled out first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """One fresh process of `voxcli say`, in seconds that add up to the first byte of its sound."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    start_seconds: float
    """From the start of the process until it turns to the model."""
    load_seconds: float
    """Until the model is ready, or the server is reached."""
    first_chunk_seconds: float
    """From asking until it speaks; the graphs of a GPU are captured here."""

    @property
    def first_byte_seconds(self) -> float:
        return self.start_seconds + self.load_seconds + self.first_chunk_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was measured."""

    __pydantic_config__ = _DOCUMENTED

    created: str
    """When it began, as in ISO 8601."""
    command: str
    partial: bool
    """Whether it was stopped before its end."""
    took_seconds: float
    settings: Settings
    machine: Machine
    texts: tuple[Text, ...]
    subjects: tuple[Subject, ...]
    runs: tuple[Run, ...]
    """In the order in which they ended."""
    cold: tuple[Cold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All runs of one kind."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    mode: Mode
    text: str | None
    """Null: all of them, under load."""
    level: Level | None
    good: int
    failed: int
    starved: int
    """Good runs in which a player would have run dry."""
    outliers: int
    """Good runs whose first byte is far from that of the others; not told under load, where queues make it vary."""
    metrics: Mapping[str, Summary]
    """Of the good runs, by the names of their fields."""
    audio_per_second: float | None
    """Under load, all streams together."""
    requests_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """How much sooner the first byte comes when it is streamed: medians."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    text: str | None
    """Null: the mean of all texts."""
    whole_seconds: float
    """Until the first byte of those who wait for the whole."""
    stream_seconds: float
    """Until the first byte of a stream."""
    seconds: float
    """How much sooner that is."""
    percent: float
    """Of the time that the whole takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What follows from a record."""

    __pydantic_config__ = _DOCUMENTED

    verdict: str
    groups: tuple[Group, ...]
    improvements: tuple[Improvement, ...]
    remarks: tuple[str, ...]
    """What makes the numbers less sure, or less many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole file."""

    __pydantic_config__ = _DOCUMENTED

    voxcli_bench: int
    """The version of this form."""
    record: Record
    report: Report | None = None
    """Derived from the record, which alone is read back."""


_ADAPTER = TypeAdapter(Document)
_PAIR = re.compile(r"\[\n\s+(-?[\d.e-]+),\n\s+(-?[\d.e-]+)\n\s+\]")
"""Two numbers on four lines. Within strings there are no line breaks."""


def to_json(record: Record, report: Report) -> str:
    """Write a record, and what follows from it."""
    document = Document(voxcli_bench=VERSION, record=record, report=report)
    written = json.dumps(_ADAPTER.dump_python(document, mode="json"), ensure_ascii=False, indent=1)
    return _PAIR.sub(r"[\1, \2]", written) + "\n"


def from_json(data: bytes, name: str) -> Record:
    """Read a record.

    Args:
        name: for messages.

    Raises:
        RequestError: it is none.
    """
    try:
        version = json.loads(data).get("voxcli_bench")
    except (ValueError, AttributeError, RecursionError):
        version = None
    if version is None:
        raise RequestError(f"{name} is not what `voxcli bench` writes with --save or --json.")
    if version != VERSION:
        raise RequestError(f"{name} was written by another version of voxcli (form {version}). Measure it anew.")
    try:
        return _ADAPTER.validate_json(data).record
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestError(f"{name} is damaged: {place}: {first['msg']}.") from error


def schema() -> dict[str, Any]:
    """Describe the form of the file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_ADAPTER.json_schema(mode="serialization")}
