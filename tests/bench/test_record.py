"""What a bench leaves behind can be read back, by us and by others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from tests.bench.scripted import WORDS, Clock, Scripted, even, measure
from voxcli.bench.measure.plan import Level, Text
from voxcli.bench.report import record as record_module
from voxcli.bench.report.record import NewProcess, Record, RecordFile, from_json, to_json
from voxcli.bench.report.verdict import build_report
from voxcli.errors import RemoteCut, RequestError


def schema() -> dict[str, Any]:
    """The JSON schema that follows from the code."""
    derived = TypeAdapter(RecordFile).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **derived}


SCHEMA = Path(record_module.__file__).with_name("record.schema.json")


def some_record() -> Record:
    clock = Clock()
    engine = Scripted(clock, [even(0.5, 0.1, 4), even(0.4, 0.1, 4), [*even(0.4, 0.1, 1), RemoteCut("broke off")]])
    record = measure(clock, {"model": engine}, texts=[Text("short", WORDS + " [\n  1,\n  2\n]")], warmup=1)
    cold = NewProcess(subject="model", start_seconds=0.2, load_seconds=1.5, first_chunk_seconds=0.1)
    load = replace(record.runs[-1], level=Level(rate=0.5))
    return replace(record, cold=(cold,), runs=(*record.runs, load))


def test_it_reads_back_as_it_was() -> None:
    record = some_record()
    assert from_json(to_json(record, build_report(record)).encode(), "x.json") == record


def test_it_keeps_to_its_schema() -> None:
    written = json.loads(to_json(some_record(), build_report(some_record())))
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8"))).validate(written)


def test_the_schema_says_what_everything_is() -> None:
    parts = schema()["$defs"]
    assert all(part.get("description") for part in parts.values())
    explained = [field for field in parts["Run"]["properties"].values() if "description" in field]
    assert len(explained) == len(parts["Run"]["properties"]) - 1  # mode explains itself


def test_the_schema_in_the_package_is_that_of_the_code() -> None:
    """After a change: write `json.dumps(schema(), indent=1)` there, and think of those who read old files."""
    assert json.loads(SCHEMA.read_text("utf-8")) == schema()


def test_what_breaks_the_schema_is_seen() -> None:
    written = json.loads(to_json(some_record(), build_report(some_record())))
    del written["record"]["runs"][0]["first_byte_seconds"]
    assert not jsonschema_rs.validator_for(schema()).is_valid(written)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"RIFF", "is not a record"),
        (b"[]", "is not a record"),
        (b"{}", "is not a record"),
        (b'{"voxcli_bench": 99}', "version 99"),
        (b'{"voxcli_bench": 1, "record": {}}', "damaged"),
    ],
)
def test_something_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        from_json(data, "x.json")
