"""What waits for a client: in memory, then in a file, within bounds, whole and in order."""

import asyncio
import gc
import random
import resource
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.raw import SPEECH, asked
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.server.streaming.spool import BLOCK, Spool, SpoolSpace
from voxcli.server.streaming.worker import Threads

FIELDS = {"response_format": "pcm"}
LENGTH = 2 * 24000 * 200 * 0.08
"""Bytes of what `speaker` says, without the headers."""


def speaker(**settings: object) -> ToneEngine:
    return ToneEngine(chunks=200, sample_rate=24000, slots=1, **settings)  # type: ignore[arg-type]


def run(work: Callable[[Threads], Awaitable[None]]) -> None:
    async def with_threads() -> None:
        threads = Threads("test")
        try:
            async with asyncio.timeout(20):
                await work(threads)
        finally:
            threads.close()

    asyncio.run(with_threads())


@contextmanager
def no_room_for_files() -> Iterator[None]:
    """Let the system refuse every byte that is written to a file of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pieces_of(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice([1, 100, 5000, BLOCK - 1, BLOCK, 3 * BLOCK + 7])) for _ in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    memory=st.sampled_from([0, 64 * BLOCK, 640 * BLOCK]),
    file=st.sampled_from([0, 8 * BLOCK, 160 * BLOCK]),
    count=st.integers(0, 40),
    seed=st.integers(0, 2**32),
    reluctance=st.sampled_from([0.0, 0.5, 0.95]),
)
def test_everything_comes_out_in_order_however_little_room_there_is(
    memory: int, file: int, count: int, seed: int, reluctance: float
) -> None:
    chance = random.Random(seed)
    space_used = []

    async def work(threads: Threads) -> None:
        space = SpoolSpace(threads, memory_bytes=memory, file_bytes=file)

        async def one(seed: int) -> None:
            spool, given = Spool(space), pieces_of(count, seed)

            async def put() -> None:
                for piece in given:
                    await spool.put(piece)
                spool.end(None)

            putting = asyncio.create_task(put())
            taken = bytearray()
            while (data := await spool.take()) is not None:
                taken += data
                while chance.random() < reluctance:
                    await asyncio.sleep(0)
            await putting
            assert taken == b"".join(given)
            assert spool.size == len(taken)

        await asyncio.gather(one(seed), one(seed + 1), one(seed + 2))
        space_used.append(space.used_bytes)
        space.close()

    run(work)
    assert space_used == [0]


def test_what_is_not_taken_is_bounded_and_what_is_discarded_makes_room_for_others() -> None:
    async def work(threads: Threads) -> None:
        space = SpoolSpace(threads, memory_bytes=64 * BLOCK, file_bytes=80 * BLOCK)
        greedy, other = Spool(space), Spool(space)

        async def fill(spool: Spool) -> None:
            while True:
                await spool.put(bytes(BLOCK))

        filling = [asyncio.create_task(fill(greedy))]
        while not greedy.is_full:
            await asyncio.sleep(0.001)
        assert space.used_bytes == 12 * BLOCK  # a share of the memory, one of the file, and a block that it always has
        filling.append(asyncio.create_task(fill(other)))
        while not other.is_full:
            await asyncio.sleep(0.001)
        assert space.used_bytes == 24 * BLOCK
        for task, spool in zip(filling, (greedy, other), strict=True):
            task.cancel()
            await asyncio.wait({task})
            spool.discard()
        assert space.used_bytes == 0
        space.close()

    run(work)


def test_writing_that_is_cancelled_never_damages_what_others_wrote() -> None:
    async def work(threads: Threads) -> None:
        space = SpoolSpace(threads, memory_bytes=0, file_bytes=800 * BLOCK)
        for number in range(50):
            leaving = Spool(space)
            task = asyncio.create_task(leaving.put(b"x" * (5 * BLOCK)))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            leaving.discard()
            staying, given = Spool(space), random.Random(number).randbytes(6 * BLOCK)
            await staying.put(given)
            staying.end(None)
            taken = bytearray()
            while (data := await staying.take()) is not None:
                taken += data
            assert taken == given
        space.close()

    run(work)


def test_an_error_comes_after_all_that_was_made_before_it() -> None:
    async def work(threads: Threads) -> None:
        space = SpoolSpace(threads, memory_bytes=0, file_bytes=80 * BLOCK)
        spool = Spool(space)
        await spool.put(bytes(5 * BLOCK + 1))
        spool.end(ValueError("broken"))
        taken = 0
        with pytest.raises(ValueError, match="broken"):
            while data := await spool.take():
                taken += len(data)
        assert taken == 5 * BLOCK + 1
        space.close()

    run(work)


def is_free(server: Running) -> bool:
    return not server.service.admission.used and not server.service.models.users


def metric(server: Running, name: str) -> float:
    lines = httpx.get(server.url + "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"voxcli_{name} "))


def test_a_full_disk_makes_the_engine_wait_for_its_client_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = speaker()
    with (
        running(engine, send_buffer=4096, spool_memory_bytes=0) as server,
        no_room_for_files(),
        asked(server.url, window=4096, **FIELDS) as client,
    ):
        client.read(1)
        until(lambda: "cannot wait in a file" in caplog.text)
        assert server.service.admission.used == 1
        assert len(client.read(10**9)) > LENGTH
        assert client.received.endswith(b"0\r\n\r\n")
        until(lambda: is_free(server))
    assert caplog.text.count("cannot wait in a file") == 1


@pytest.mark.parametrize("path", [SPEECH, "/api/tts"])
def test_a_client_that_leaves_gives_back_what_waits_for_it(path: str) -> None:
    engine = speaker()
    with running(engine, send_buffer=4096, spool_memory_bytes=0) as server:
        with asked(server.url, path=path, window=4096, **(FIELDS if path == SPEECH else {})) as client:
            client.read(1)
            until(lambda: is_free(server))
            assert metric(server, "spooled_bytes") > 10**5
            assert metric(server, "answers_open") == 1
            client.kill()
        until(lambda: metric(server, "answers_open") == 0)
        assert metric(server, "spooled_bytes") == 0
        assert 'ending="client_left"} 1.0' in httpx.get(server.url + "/metrics").text


def test_a_client_that_leaves_while_its_speech_is_written_to_the_file_stops_the_engine() -> None:
    engine = ToneEngine(chunks=10**9, sample_rate=24000, slots=1)
    with running(engine, send_buffer=4096, spool_memory_bytes=0) as server:
        for _ in range(5):
            with asked(server.url, window=4096, **FIELDS) as client:
                until(lambda: metric(server, "spooled_bytes") > 10**6)
                client.kill()
            assert engine.idle.wait(10)
            until(lambda: metric(server, "spooled_bytes") == 0)
    assert not engine.moved


def test_a_pause_is_no_stall_but_has_an_end() -> None:
    engine = speaker()
    with running(engine, send_buffer=4096, send_seconds=0.05, pause_seconds=0.5) as server:
        with asked(server.url, window=4096, **FIELDS) as client:
            client.read(1)
            until(lambda: is_free(server))
            until(lambda: metric(server, "answers_open") == 0)
            assert 'ending="stalled"} 1.0' in httpx.get(server.url + "/metrics").text
        with asked(server.url, window=4096, **FIELDS) as client:
            client.read(1)
            until(lambda: is_free(server))
            assert len(client.read(10**9)) > LENGTH


def test_an_error_reaches_a_slow_client_after_everything_that_was_made() -> None:
    engine = speaker(fail_at=199)
    with running(engine, send_buffer=4096) as server, asked(server.url, window=4096, **FIELDS) as client:
        client.read(1)
        until(lambda: is_free(server))
        assert len(client.read(10**9)) > LENGTH * 0.99
        assert not client.received.endswith(b"0\r\n\r\n")


def test_the_model_is_unloaded_while_its_speech_is_still_being_taken() -> None:
    engines: list[weakref.ref[ToneEngine]] = []

    def open_engine() -> ToneEngine:
        engine = speaker()
        engines.append(weakref.ref(engine))
        return engine

    with running(open_engine, send_buffer=4096) as server, asked(server.url, window=4096, **FIELDS) as client:
        client.read(1)
        until(lambda: is_free(server))
        assert httpx.post(server.url + "/api/gpu/offload").json()["model_loaded"] is False
        gc.collect()
        assert engines[0]() is None
        assert len(client.read(10**9)) > LENGTH


def test_a_server_that_is_stopped_waits_for_its_listeners() -> None:
    with running(speaker(), send_buffer=4096) as server, asked(server.url, window=4096, **FIELDS) as client:
        client.read(1)
        until(lambda: is_free(server))
        server.call(server.host.stop)
        until(lambda: server.service.admission.draining)
        assert httpx.get(server.url + "/readyz").json() == {"status": "draining"}
        assert len(client.read(10**9)) > LENGTH
        assert client.received.endswith(b"0\r\n\r\n")


def test_a_server_that_is_stopped_does_not_wait_for_a_listener_for_ever() -> None:
    with (
        running(speaker(), send_buffer=4096, drain_seconds=0.1) as server,
        asked(server.url, window=4096, **FIELDS) as client,
    ):
        client.read(1)
        until(lambda: is_free(server))
        server.call(server.host.stop)
        until(lambda: not server.loop.is_running())
        assert not client.read(10**9).endswith(b"0\r\n\r\n")
