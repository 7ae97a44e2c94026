"""Slots and the queue before them."""

import asyncio
import random
from collections.abc import Awaitable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.server.admission import Admission
from voxcli.server.errors import Refusal

LONG = 60.0


async def settled() -> None:
    """Let everybody do what he can do now."""
    for _ in range(5):
        await asyncio.sleep(0)


def waiting(admission: Admission, clients: str, order: list[str]) -> list["asyncio.Task[None]"]:
    """Have clients, a letter each, queue up one after another. Each notes its turn."""

    async def queue_up(client: str) -> None:
        await admission.enter(client, LONG)
        order.append(client)

    return [asyncio.create_task(queue_up(client)) for client in clients]


async def refused(entering: Awaitable[None]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await entering
    return caught.value


@pytest.mark.anyio
async def test_nobody_waits_while_there_is_a_slot() -> None:
    admission = Admission(2, 0)
    await admission.enter("a", LONG)
    await admission.enter("a", LONG)
    assert admission.used == 2
    assert (await refused(admission.enter("a", LONG))).problem.status == 503


@pytest.mark.anyio
async def test_clients_take_turns_however_much_each_of_them_wants() -> None:
    order: list[str] = []

    admission = Admission(1, 20)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "aaaabbc", order)
    await settled()
    for _ in tasks:
        admission.leave(1.0)
        await settled()
    assert "".join(order) == "abcabaa"


@pytest.mark.anyio
async def test_whoever_has_most_waiting_makes_room_for_one_who_has_none() -> None:
    order: list[str] = []

    admission = Admission(1, 3)
    await admission.enter("x", LONG)
    greedy = waiting(admission, "aaa", order)
    await settled()
    modest = waiting(admission, "b", order)
    await settled()
    refusal = await refused(greedy[2])
    assert (refusal.problem.status, refusal.problem.code) == (429, "rate_limit_exceeded")
    for _ in range(3):
        admission.leave(1.0)
        await settled()
    await asyncio.gather(greedy[0], greedy[1], *modest)
    assert "".join(order) == "aba"


@pytest.mark.anyio
async def test_a_client_with_its_share_gets_429_and_one_for_whom_there_is_no_place_503() -> None:
    admission = Admission(1, 2)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "ab", [])
    await settled()
    own, other = await refused(admission.enter("a", LONG)), await refused(admission.enter("c", LONG))
    assert (own.problem.status, other.problem.status) == (429, 503)
    assert own.problem.retry_after
    assert other.problem.retry_after
    assert admission.depth == 2
    for task in tasks:
        task.cancel()


@pytest.mark.anyio
async def test_nobody_waits_longer_than_he_may() -> None:
    admission = Admission(1, 2)
    await admission.enter("x", LONG)
    refusal = await refused(admission.enter("a", 0.01))
    assert (refusal.problem.status, refusal.problem.code) == (503, "busy")
    assert admission.depth == 0


@pytest.mark.anyio
async def test_whoever_leaves_the_queue_leaves_no_gap() -> None:
    order: list[str] = []

    admission = Admission(1, 5)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "abc", order)
    await settled()
    tasks[1].cancel()
    await settled()
    assert admission.depth == 2
    for _ in range(2):
        admission.leave(1.0)
        await settled()
    assert order == ["a", "c"]


@pytest.mark.anyio
async def test_a_turn_that_comes_as_its_owner_leaves_goes_to_the_next() -> None:
    order: list[str] = []

    admission = Admission(1, 5)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "ab", order)
    await settled()
    admission.leave(1.0)  # its turn has come, and it does not know yet
    tasks[0].cancel()
    await settled()
    assert admission.used == 1
    assert order == ["b"]


@pytest.mark.anyio
async def test_the_time_to_come_again_follows_the_queue_and_what_requests_take() -> None:
    admission = Admission(2, 1000)
    for seconds in [10.0] * 50:
        await admission.enter("x", LONG)
        admission.leave(seconds)
    assert admission.retry_after() == 5  # one turn of ten seconds, two at once
    await admission.enter("x", LONG)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "aaa", [])
    await settled()
    assert admission.retry_after() == 20
    tasks += waiting(admission, "a" * 500, [])
    await settled()
    assert admission.retry_after() == 120  # later, OpenAI's clients would give up
    for task in tasks:
        task.cancel()


@pytest.mark.anyio
async def test_draining_sends_away_who_waits_and_who_comes_and_nobody_else() -> None:
    admission = Admission(1, 5)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "ab", [])
    await settled()
    admission.drain()
    refusals = [await refused(task) for task in tasks] + [await refused(admission.enter("c", LONG))]
    assert [refusal.problem.code for refusal in refusals] == ["draining"] * 3
    assert admission.used == 1
    calm = asyncio.create_task(admission.wait_idle())
    await settled()
    assert not calm.done()
    admission.leave(1.0)
    await calm


@pytest.mark.anyio
async def test_more_slots_let_more_in() -> None:
    order: list[str] = []

    admission = Admission(1, 5)
    await admission.enter("x", LONG)
    tasks = waiting(admission, "abc", order)
    await settled()
    admission.slots = 3
    await settled()
    assert admission.used == 3
    tasks[2].cancel()
    assert order == ["a", "b"]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 6), st.lists(st.sampled_from("abcd"), max_size=40), st.integers(0, 2**32))
@pytest.mark.anyio
async def test_slots_are_never_overbooked_and_all_come_back(
    slots: int, queue: int, clients: list[str], seed: int
) -> None:
    chance = random.Random(seed)

    admission = Admission(slots, queue)

    async def client(name: str) -> None:
        try:
            await admission.enter(name, LONG)
        except Refusal:
            return
        assert admission.used <= slots
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        finally:
            admission.leave(0.1)

    tasks = []
    for name in clients:
        tasks.append(asyncio.create_task(client(name)))
        assert admission.depth <= queue
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (admission.used, admission.depth) == (0, 0)
    await admission.wait_idle()
