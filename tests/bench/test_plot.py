"""The picture."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.scripted import WORDS, Clock, Scripted, even, measure
from voxcli.bench.measure.plan import Level, Mode, Text
from voxcli.bench.report.record import Record
from voxcli.bench.report.verdict import build_report
from voxcli.errors import RemoteCut

pytest.importorskip("matplotlib", reason="the picture is an extra")

from voxcli.bench.report.plot import write_plot


def size_of(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def some_record(name: str = "model") -> Record:
    clock = Clock()
    texts = [Text("short", WORDS), Text("长一点的文本", WORDS * 3)]
    return measure(
        clock, {name: Scripted(clock, [even(0.1, 0.6, 6)]), "other": Scripted(clock, [even(0.2, 0.1, 6)])}, texts=texts
    )


def under_load() -> Record:
    record = some_record()
    runs = [
        replace(run, level=level, started_seconds=float(number))
        for level in (Level(concurrency=1), Level(concurrency=4), Level(rate=0.5))
        for number, run in enumerate(record.runs)
    ]
    return replace(record, runs=tuple(runs))


def failed() -> Record:
    clock = Clock()
    return measure(clock, {"model": Scripted(clock, [[RemoteCut("gone")]])}, modes=[Mode.STREAM])


@pytest.mark.parametrize("make", [some_record, under_load, failed])
def test_whatever_was_measured_can_be_drawn(make: Callable[[], Record], tmp_path: Path) -> None:
    record = make()
    write_plot(record, build_report(record), tmp_path / "r.png")
    width, height = size_of(tmp_path / "r.png")
    assert width > 2 * height > 1000
    assert (tmp_path / "r.png").stat().st_size > 20_000
