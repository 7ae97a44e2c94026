"""Benchmark records: everything measured and its conditions, as JSON that follows `record.schema.json`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from voxcli.bench.measure.plan import Level, Mode, Text
from voxcli.bench.measure.validity import Failure
from voxcli.bench.report.statistics import Summary
from voxcli.errors import RequestError

VERSION = 1

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One request. Times are in seconds since the request; null if that point was not reached."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    """Name of the engine or server."""
    text: str
    """Name of the text."""
    mode: Mode
    number: int
    """Index of the run within its group, from 0."""
    seed: int | None
    """Null if the subject does not support seeds."""
    warmup: bool
    """Whether it was a warm-up, which no statistic includes."""
    level: Level | None
    """Load; null for sequential requests."""
    started_seconds: float
    """Since the start of the benchmark."""
    first_byte_seconds: float | None
    """First byte of audio, not counting HTTP and file headers."""
    first_chunk_seconds: float | None
    """First decoded samples."""
    first_sound_seconds: float | None
    """Chunk with the first 10 ms above -50 dBFS."""
    total_seconds: float
    """End of the response."""
    audio_seconds: float
    """Duration of the decoded samples."""
    real_time_factor: float | None
    """Total divided by audio."""
    chunks: int
    """Number of chunks in which the samples arrived."""
    bytes: int
    """Size of the encoded audio; for a model in the same process, of its samples in 16 bits."""
    starved_seconds: float
    """How long playback would have stalled."""
    arrivals: tuple[tuple[float, float], ...]
    """For each chunk, its time of arrival and the duration of all audio so far, in seconds."""
    failure: Failure | None
    """Why the run is not valid; null if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An engine or server, as far as it is known."""

    __pydantic_config__ = _DOCUMENTED

    name: str
    """Name in runs."""
    model: str | None
    """Null if the server chooses it."""
    revision: str | None = None
    """Commit of the checkpoint."""
    url: str | None = None
    """Of a server; null for an engine in this process."""
    dialect: str | None = None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    load_seconds: float | None = None
    """Time to load the model or, for a server, to detect its protocol."""
    resident: bool = False
    """Whether its model runs in the engine that stays loaded, and is spoken to over a socket."""
    seeded: bool = True
    """Whether it supports seeds."""
    slots: int | None = None
    """Number of concurrent streams; further ones wait in this process. Null if the server decides."""
    server: Mapping[str, Any] = field(default_factory=dict)
    """The server's documents about itself, by their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Hardware and software of the machine that measured."""

    __pydantic_config__ = _DOCUMENTED

    voxcli: str
    commit: str | None
    """Of the checkout; "+" marks local changes."""
    python: str
    system: str
    cpu: str
    cores: int
    load: float | None
    """Load average of the minute before."""
    torch: str | None
    cuda: str | None
    gpu: str | None
    driver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the benchmark."""

    __pydantic_config__ = _DOCUMENTED

    modes: tuple[Mode, ...]
    runs: int
    warmup: int
    requests: int | None
    """Per load test; null to derive it from the number of runs."""
    concurrency: tuple[int, ...]
    rates: tuple[float, ...]
    prebuffer_seconds: float
    steps: int
    guidance: float
    seed: int
    """Of the first run; each further run adds one."""
    speed: float
    voice: str | None
    """Name of the voice or of its clip."""
    style: str | None = None
    """Description of the style."""
    min_patches: int = 2
    max_patches: int | None = None
    retries: int = 0
    """Of speech that is implausibly long for its text."""
    normalize: bool = False
    """Whether numbers are spelled out before synthesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProcess:
    """One new process of `voxcli say`, in seconds that add up to the first byte of its audio."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    start_seconds: float
    """From the start of the process until it starts to load the model, or to look for an engine that is loaded."""
    load_seconds: float
    """Until the model is loaded, or the engine or the server is reached."""
    first_chunk_seconds: float
    """From the request to the first chunk; CUDA graphs are captured here."""

    @property
    def first_byte_seconds(self) -> float:
        return self.start_seconds + self.load_seconds + self.first_chunk_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All measurements of a benchmark."""

    __pydantic_config__ = _DOCUMENTED

    created: str
    """Time of the start, in ISO 8601."""
    command: str
    partial: bool
    """Whether it was stopped early."""
    took_seconds: float
    settings: Settings
    machine: Machine
    texts: tuple[Text, ...]
    subjects: tuple[Subject, ...]
    runs: tuple[Run, ...]
    """In the order of their ends."""
    cold: tuple[NewProcess, ...] = ()
    """Which loaded the model themselves, or used a server."""
    warm: tuple[NewProcess, ...] = ()
    """Which spoke through the engine that stays loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Summary of all runs with the same subject, mode, and text or load."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    mode: Mode
    text: str | None
    """Null under load, where all texts are mixed."""
    level: Level | None
    good: int
    failed: int
    starved: int
    """Valid runs in which playback would have stalled."""
    outliers: int
    """Valid runs whose first byte is far from the median; 0 under load, where queues make it vary."""
    metrics: Mapping[str, Summary]
    """Summaries of the valid runs, by the names of their fields."""
    audio_per_second: float | None
    """Under load, of all streams together."""
    requests_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Improvement:
    """Gain of streaming: medians of the time to the first byte."""

    __pydantic_config__ = _DOCUMENTED

    subject: str
    text: str | None
    """Null for the mean of all texts."""
    whole_seconds: float
    """Time to the first byte of the whole audio."""
    stream_seconds: float
    """Time to the first byte of a stream."""
    seconds: float
    """Difference of the two."""
    percent: float
    """Difference relative to the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Results derived from a record."""

    __pydantic_config__ = _DOCUMENTED

    verdict: str
    groups: tuple[Group, ...]
    improvements: tuple[Improvement, ...]
    remarks: tuple[str, ...]
    """What makes the results less reliable or less complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """Content of the file."""

    __pydantic_config__ = _DOCUMENTED

    voxcli_bench: int
    """Version of the format."""
    record: Record
    report: Report | None = None
    """Derived from the record; ignored when the file is read."""


_ADAPTER = TypeAdapter(RecordFile)
_PAIR = re.compile(r"\[\n\s+(-?[\d.e-]+),\n\s+(-?[\d.e-]+)\n\s+\]")
"""An array of two numbers on four lines. JSON strings contain no line breaks."""


def to_json(record: Record, report: Report) -> str:
    """Serialize a record and its report."""
    document = RecordFile(voxcli_bench=VERSION, record=record, report=report)
    written = json.dumps(_ADAPTER.dump_python(document, mode="json"), ensure_ascii=False, indent=1)
    return _PAIR.sub(r"[\1, \2]", written) + "\n"


def from_json(data: bytes, name: str) -> Record:
    """Parse a record.

    Args:
        name: of the file, for messages.

    Raises:
        RequestError: it is not a record, is damaged, or has another version.
    """
    try:
        version = json.loads(data).get("voxcli_bench")
    except (ValueError, AttributeError, RecursionError):
        version = None
    if version is None:
        raise RequestError(
            f"{name} is not a record of a benchmark.",
            on_command_line="`voxcli bench` writes one with --save or --json.",
        )
    if version != VERSION:
        raise RequestError(
            f"{name} has version {version} of the format, which this voxcli does not read. Measure again."
        )
    try:
        return _ADAPTER.validate_json(data).record
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestError(f"{name} is damaged: {place}: {first['msg']}.") from error
