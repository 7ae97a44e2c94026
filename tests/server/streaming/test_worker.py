"""Generators on threads of their own."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.server.streaming.worker import Threads, Worker

Pieces = Generator[int]


def run(work: Callable[[Threads], Awaitable[None]]) -> None:
    """Run something on a new event loop, and let no thread of it live on."""

    async def with_threads() -> None:
        threads = Threads("test")
        try:
            async with asyncio.timeout(20):
                await work(threads)
        finally:
            threads.close()

    asyncio.run(with_threads())


async def all_of(worker: Worker[int]) -> list[int]:
    pieces = []
    while (piece := await worker.next()) is not None:
        pieces.append(piece)
    return pieces


def counting(to: int) -> Pieces:
    yield from range(to)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers()), st.integers(1, 5))
def test_pieces_come_in_order_and_whole_however_little_room_there_is(pieces: list[int], ahead: int) -> None:
    def given_pieces() -> Pieces:
        yield from pieces

    async def work(threads: Threads) -> None:
        worker = Worker(threads, given_pieces, ahead=ahead)
        assert await all_of(worker) == pieces
        assert await worker.next() is None
        await worker.close()

    run(work)


def test_an_error_comes_after_the_pieces_before_it() -> None:
    def failing() -> Pieces:
        yield from range(3)
        raise ValueError("broken")

    async def work(threads: Threads) -> None:
        worker = Worker(threads, failing)
        assert [await worker.next() for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="broken"):
            await worker.next()
        await worker.close()

    run(work)


def test_an_error_while_it_is_made_comes_with_the_first_piece() -> None:
    def refused() -> Pieces:
        raise ValueError("refused")

    async def work(threads: Threads) -> None:
        worker = Worker(threads, refused)
        with pytest.raises(ValueError, match="refused"):
            await worker.next()
        await worker.close()

    run(work)


@pytest.mark.parametrize("read", [0, 1, 7])
def test_closing_waits_until_its_own_thread_has_closed_it(read: int) -> None:
    seen: list[int] = []

    def endless() -> Pieces:
        seen.append(threading.get_ident())
        try:
            while True:
                yield 1
        finally:
            seen.append(threading.get_ident())

    async def work(threads: Threads) -> None:
        worker = Worker(threads, endless, ahead=3)
        for _ in range(read):
            await worker.next()
        await worker.close()
        assert len(seen) == 2
        assert seen[0] == seen[1] != threading.get_ident()

    run(work)


def test_it_is_never_further_ahead_of_its_reader_than_it_may() -> None:
    made = 0

    def counted() -> Pieces:
        nonlocal made
        while True:
            made += 1
            yield made

    async def work(threads: Threads) -> None:
        worker = Worker(threads, counted, ahead=4)
        for _ in range(200):
            read = await worker.next()
            assert read is not None
            assert made <= read + 4 + 1
            await asyncio.sleep(0)
        await worker.close()

    run(work)


def test_the_event_loop_goes_on_while_the_generator_works() -> None:
    go = threading.Event()

    def waiting() -> Pieces:
        go.wait()
        yield 1

    async def work(threads: Threads) -> None:
        worker = Worker(threads, waiting)
        piece = asyncio.create_task(worker.next())
        await asyncio.sleep(0)
        assert not piece.done()
        go.set()
        assert await piece == 1
        await worker.close()

    run(work)


def test_what_fails_while_it_is_closed_is_logged_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    def stubborn() -> Pieces:
        try:
            while True:
                yield 1
        finally:
            raise ValueError("cannot close")

    async def work(threads: Threads) -> None:
        worker = Worker(threads, stubborn)
        await worker.next()
        await worker.close()

    with caplog.at_level(logging.WARNING):
        run(work)
    assert "cannot close" in caplog.text


def test_one_thread_is_enough_for_streams_that_follow_one_another() -> None:
    idents: set[int] = set()

    def noted() -> Pieces:
        idents.add(threading.get_ident())
        yield 1

    async def work(threads: Threads) -> None:
        before = threading.active_count()
        for _ in range(50):
            worker = Worker(threads, noted)
            await all_of(worker)
            await worker.close()
            await asyncio.sleep(0.001)  # in which the thread becomes idle
        assert threading.active_count() <= before + 2

    run(work)
    assert len(idents) <= 2


def test_streams_at_once_have_a_thread_each() -> None:
    together = threading.Barrier(6)

    def meeting() -> Pieces:
        together.wait(10)
        yield 1

    async def work(threads: Threads) -> None:
        workers = [Worker(threads, meeting) for _ in range(6)]
        for worker in workers:
            assert await all_of(worker) == [1]
            await worker.close()

    run(work)


def test_calls_give_what_the_function_gives_and_raise_what_it_raises() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def work(threads: Threads) -> None:
        assert await threads.call(lambda: threading.get_ident()) != threading.get_ident()
        with pytest.raises(ValueError, match="no"):
            await threads.call(fail)

    run(work)


def test_many_calls_at_once_need_few_threads() -> None:
    idents: set[int] = set()

    async def gathered(calls: Iterable[Awaitable[None]]) -> None:
        await asyncio.gather(*calls)

    async def work(threads: Threads) -> None:
        await gathered(threads.call(lambda: idents.add(threading.get_ident())) for _ in range(100))

    run(work)
    assert 1 <= len(idents) <= 8
