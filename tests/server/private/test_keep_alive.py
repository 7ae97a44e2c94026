"""Keep-alive: when an idle server ends, and how it waits for that."""

import asyncio
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.private.resident import client_of, resident
from tests.server.tone import ToneEngine
from voxcli.server.private.keep_alive import FOR_EVER, KeepAlive, seconds_with_suspension

seconds = st.floats(0.1, 1000)


class Clock:
    """A clock that goes on when it is told to, as a suspended machine's does between two looks."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    """Let timers run that are due."""
    await asyncio.sleep(0.005)


@given(seconds, st.lists(st.tuples(st.sampled_from(["begin", "end", "pass", "touch"]), seconds), max_size=12))
def test_it_ends_exactly_when_nothing_was_done_for_as_long_as_the_last_one_said(
    first: float, steps: list[tuple[str, float]]
) -> None:
    async def law() -> None:
        clock, ended = Clock(), []
        keep_alive = KeepAlive(first, is_fixed=False, clock=clock, look_seconds=0.0, score=Path("/nowhere"))
        keep_alive.start(lambda: ended.append(clock.now))
        uses, used_at, allowed = 0, clock.now, first
        for step, amount in steps:
            if step == "begin":
                keep_alive.begin()
                uses += 1
            elif step == "end" and uses:
                keep_alive.end()
                uses, used_at = uses - 1, clock.now
            elif step == "touch":
                keep_alive.touch(amount)
                used_at, allowed = clock.now, amount
            else:
                clock.now += amount
            await settle()
            over = not uses and clock.now - used_at >= allowed
            assert bool(ended) == over
            if over:
                break
            assert keep_alive.idle_seconds == (0 if uses else clock.now - used_at)
        keep_alive.close()

    asyncio.run(law())


def test_without_an_end_it_stays_and_a_server_that_was_started_by_hand_is_not_told() -> None:
    async def law() -> None:
        clock, ended = Clock(), []
        for keep_alive in (KeepAlive(FOR_EVER, is_fixed=False, clock=clock), KeepAlive(clock=clock)):
            keep_alive.start(lambda: ended.append(1))
            if keep_alive.is_fixed:
                keep_alive.touch(1)
            clock.now += 1e9
            await settle()
            assert keep_alive.remaining_seconds == FOR_EVER
            keep_alive.close()
        assert not ended

    asyncio.run(law())


def test_its_clock_goes_on_and_is_not_the_one_that_can_be_set() -> None:
    first = seconds_with_suspension()
    assert seconds_with_suspension() >= first
    if sys.platform == "linux":
        assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - first) < 60


@pytest.mark.parametrize(("usual", "idle"), [("0", "500"), ("200", "500"), ("800", "800"), ("-17", "500")])
def test_while_idle_it_is_the_first_to_go_when_memory_runs_out(tmp_path: Path, usual: str, idle: str) -> None:
    async def law() -> None:
        score = tmp_path / "score"
        score.write_text(f"{usual}\n")
        keep_alive = KeepAlive(FOR_EVER, is_fixed=False, score=score)
        keep_alive.start(lambda: None)
        for _ in range(2):
            assert score.read_text() == idle
            keep_alive.begin()
            keep_alive.begin()
            assert score.read_text() == usual
            keep_alive.end()
            assert score.read_text() == usual
            keep_alive.end()
        keep_alive.close()

    asyncio.run(law())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_idle_server_sleeps(tmp_path: Path) -> None:
    with resident(ToneEngine(), tmp_path, keep_alive=3600) as server, client_of(server.path) as client:
        client.get("/private/state")
        status = Path(f"/proc/self/task/{server.thread.native_id}/status")

        def wakings() -> int:
            return int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])

        before = wakings()
        time.sleep(1.5)
        assert wakings() - before <= 1
