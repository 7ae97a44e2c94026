"""Slots and the queue before them."""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voxcli.server.admission import Admission
from voxcli.server.errors import Refusal


async def settled() -> None:
    """Let everybody do what he can do now."""
    for _ in range(5):
        await asyncio.sleep(0)


def waiting(admission: Admission, clients: str, order: list[str]) -> list["asyncio.Task[None]"]:
    """Have clients, a letter each, queue up one after another. Each notes its turn."""

    async def queue_up(client: str) -> None:
        await admission.enter(client)
        order.append(client)

    return [asyncio.create_task(queue_up(client)) for client in clients]


async def refused(entering: Awaitable[None]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await entering
    return caught.value


@pytest.mark.anyio
async def test_nobody_waits_while_there_is_a_slot() -> None:
    admission = Admission(2, 0)
    await admission.enter("a")
    await admission.enter("a")
    assert admission.used == 2
    assert (await refused(admission.enter("a"))).problem.status == 503


@pytest.mark.anyio
async def test_clients_take_turns_however_much_each_of_them_wants() -> None:
    order: list[str] = []

    admission = Admission(1, 20)
    await admission.enter("x")
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
    await admission.enter("x")
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
    await admission.enter("x")
    tasks = waiting(admission, "ab", [])
    await settled()
    own, other = await refused(admission.enter("a")), await refused(admission.enter("c"))
    assert (own.problem.status, other.problem.status) == (429, 503)
    assert own.problem.retry_after
    assert other.problem.retry_after
    assert admission.depth == 2
    for task in tasks:
        task.cancel()


@pytest.mark.anyio
async def test_nobody_waits_longer_than_he_may() -> None:
    admission = Admission(1, 2, wait_seconds=0.01)
    await admission.enter("x")
    refusal = await refused(admission.enter("a"))
    assert (refusal.problem.status, refusal.problem.code) == (503, "busy")
    assert admission.depth == 0


@pytest.mark.anyio
async def test_a_request_without_limits_waits_in_a_full_queue_and_makes_no_room() -> None:
    admission = Admission(1, 0, wait_seconds=0.01)
    await admission.enter("x")
    own = [asyncio.create_task(admission.enter("own", limited=False)) for _ in range(3)]
    await settled()
    assert admission.depth == 3
    assert (await refused(admission.enter("x"))).problem.status == 503
    await asyncio.sleep(0.05)  # longer than others may wait
    for task in own:
        admission.leave(1.0)
        await task


@pytest.mark.anyio
async def test_whoever_leaves_the_queue_leaves_no_gap() -> None:
    order: list[str] = []

    admission = Admission(1, 5)
    await admission.enter("x")
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
    await admission.enter("x")
    tasks = waiting(admission, "ab", order)
    await settled()
    admission.leave(1.0)  # its turn has come, and it does not know yet
    tasks[0].cancel()
    await settled()
    assert admission.used == 1
    assert order == ["b"]


async def measured(slots: int, queue: int | None, *seconds: float, clock: Callable[[], float]) -> Admission:
    """Build an admission in which requests have taken so long."""
    admission = Admission(slots, queue, clock=clock)
    for taken in seconds:
        await admission.enter("x")
        admission.leave(taken)
    return admission


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [(), (0.5,), (30.0, *[0.5] * 30), (0.5, 0.4, 0.6)])
async def test_whoever_is_refused_first_is_told_to_come_when_the_next_slot_is_free(seconds: tuple[float, ...]) -> None:
    admission = await measured(1, 0, *seconds, clock=lambda: 0.0)
    await admission.enter("x")
    refusal = await refused(admission.enter("a"))
    assert refusal.problem.retry_after == 1
    assert "in 1 s" in refusal.problem.message


@pytest.mark.anyio
async def test_a_request_that_was_not_finished_tells_nothing_of_the_speed() -> None:
    admission = await measured(1, 0, 20.0, clock=lambda: 0.0)
    for _ in range(50):
        await admission.enter("x")
        admission.leave(None)
    await admission.enter("x")
    assert (await refused(admission.enter("a"))).problem.retry_after == 20


@pytest.mark.anyio
async def test_those_who_are_refused_together_are_told_to_come_one_after_another() -> None:
    now = 100.0
    admission = await measured(2, 0, *[10.0] * 3, clock=lambda: now)
    await admission.enter("x")
    await admission.enter("x")

    async def told() -> int | None:
        return (await refused(admission.enter("a"))).problem.retry_after

    assert [await told() for _ in range(4)] == [5, 10, 15, 20]  # a slot becomes free every five seconds
    now += 12
    assert await told() == 13
    now += 1000
    assert [await told() for _ in range(26)] == [*range(5, 125, 5), 120, 120]  # later, OpenAI's clients would give up


@pytest.mark.anyio
async def test_the_queue_is_as_long_as_the_speed_allows_unless_it_is_given() -> None:
    for slots in (1, 4):
        for seconds in (0.5, 2.0):
            admission = await measured(slots, None, *[seconds] * 5, clock=lambda: 0.0)
            assert 30 < admission.queue * seconds / slots < 60  # the last one waits for less than a minute
    assert (await measured(1, None, 1e9, clock=lambda: 0.0)).queue >= 8
    assert (await measured(32, None, 1e9, clock=lambda: 0.0)).queue >= 32
    assert (await measured(1, None, 0.0, clock=lambda: 0.0)).queue < 10_000
    assert (await measured(1, 3, 0.1, clock=lambda: 0.0)).queue == 3


@settings(max_examples=12, deadline=None)
@given(
    slots=st.integers(1, 8),
    queue=st.sampled_from([None, 4, 16]),
    clients=st.integers(50, 250),
    taken=st.floats(0.05, 1.0),
)
@pytest.mark.anyio
async def test_a_crowd_of_clients_that_try_twice_more_is_served(
    slots: int, queue: int | None, clients: int, taken: float
) -> None:
    """Simulate clients that all come at once, and come again when they are told to, as OpenAI's do."""
    assume(clients * taken / slots < 220)  # they wait at most twice, two minutes each
    now = 0.0
    admission = Admission(slots, queue, wait_seconds=1e9, clock=lambda: now)
    due: list[tuple[float, int, int]] = []
    """When something happens, to whom, and which try it is; try 0 is the end of a request."""
    served = 0

    async def come(client: int, attempt: int) -> None:
        try:
            await admission.enter(str(client))
        except Refusal as refusal:
            if attempt < 3:
                heapq.heappush(due, (now + (refusal.problem.retry_after or 0), client, attempt + 1))
            return
        heapq.heappush(due, (now + taken, client, 0))

    tasks = [asyncio.create_task(come(client, 1)) for client in range(clients)]
    await settled()
    while due:
        now, client, attempt = heapq.heappop(due)
        if attempt:
            tasks.append(asyncio.create_task(come(client, attempt)))
        else:
            served += 1
            admission.leave(taken)
        await settled()
    await asyncio.gather(*tasks)
    assert served >= 0.9 * clients


@pytest.mark.anyio
async def test_draining_sends_away_who_waits_and_who_comes_and_nobody_else() -> None:
    admission = Admission(1, 5)
    await admission.enter("x")
    tasks = waiting(admission, "ab", [])
    await settled()
    admission.drain()
    refusals = [await refused(task) for task in tasks] + [await refused(admission.enter("c"))]
    assert [refusal.problem.code for refusal in refusals] == ["draining"] * 3
    assert admission.used == 1
    admission.leave(1.0)
    assert admission.used == 0


@pytest.mark.anyio
async def test_more_slots_let_more_in() -> None:
    order: list[str] = []

    admission = Admission(1, 5)
    await admission.enter("x")
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
            await admission.enter(name)
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
