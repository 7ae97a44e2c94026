"""Board of a cluster: sums, silent replicas, and how many there should be. Without Ray."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.server.cluster.board import Board, enough_replicas
from voxcli.server.monitoring import Ending, Metrics, RequestRecord, format_metrics, summed
from voxcli.synthesis.servers import ServerReport

REPORT = ServerReport(name="a", model="tone", streams=1, slots=4, spare=False, problem=None, failures=0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def counting(requests: int, slots: int = 4) -> Metrics:
    metrics = Metrics()
    metrics.slots.set_function(lambda: slots)
    for _ in range(requests):
        metrics.note(RequestRecord(arrived=1.0, admitted=1.5), Ending.DONE)
    return metrics


def values(text: bytes) -> dict[str, float]:
    lines = (line for line in text.decode().splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@given(st.lists(st.integers(0, 5), max_size=4))
def test_the_sum_of_metrics_is_what_one_server_would_have_counted(requests: list[int]) -> None:
    each = [counting(number).collect() for number in requests]
    whole = values(format_metrics(summed(each)))
    alone = values(counting(sum(requests)).text())
    if requests:
        changing = re.compile(r"_created|^process_|^voxcli_slots$")
        kept = {name: value for name, value in alone.items() if not changing.search(name)}
        assert {name: whole[name] for name in kept} == pytest.approx(kept)
        assert whole["voxcli_slots"] == 4 * len(requests)
        if "process_start_time_seconds" in alone:
            assert whole["process_start_time_seconds"] == alone["process_start_time_seconds"]
    else:
        assert whole == {}


def test_a_replica_that_says_no_more_is_named_then_forgotten_and_its_counts_stay() -> None:
    clock = Clock()
    board = Board(clock)
    board.tell(REPORT, counting(3).collect())
    board.tell(replace(REPORT, name="b"), counting(2).collect())

    def read() -> tuple[list[str | None], float, float]:
        reports, metrics = board.read()
        told = values(format_metrics(metrics))
        return (
            [report.problem for report in reports],
            told['voxcli_requests_total{ending="done"}'],
            told["voxcli_slots"],
        )

    assert read() == ([None, None], 5, 8)
    clock.now = 10.0
    board.tell(replace(REPORT, name="b"), counting(4).collect())
    problems, done, slots = read()
    assert problems == ["a has not been heard of for 10 s.", None]
    assert (done, slots) == (7, 4)
    clock.now = 70.0
    board.tell(replace(REPORT, name="b"), counting(4).collect())
    assert read() == ([None], 7, 4)
    assert read() == ([None], 7, 4)
    board.leave("b", counting(5).collect())
    reports, metrics = board.read()
    assert (reports, values(format_metrics(metrics))['voxcli_requests_total{ending="done"}']) == ([], 8)


@given(st.floats(0, 1000), st.integers(1, 64), st.integers(1, 20))
def test_there_is_a_slot_for_every_stream_and_one_replica_is_removed_at_a_time(
    streams: float, slots: int, now: int
) -> None:
    wanted = enough_replicas(streams, [float(slots)] * now, now)
    assert wanted * slots >= streams
    assert wanted >= now - 1
    assert wanted == enough_replicas(streams, [float(slots)] * now, now)
    if wanted < now:  # it is not needed again at once
        assert enough_replicas(streams, [float(slots)] * wanted, wanted) <= wanted


def test_replicas_that_have_told_nothing_change_nothing() -> None:
    assert enough_replicas(0.0, [], 3) == 3
