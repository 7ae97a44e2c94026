"""Clients that leave, dawdle and come in crowds, and an engine that fails: nothing is lost, and nobody is stuck."""

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest

from tests.server.raw import SPEECH, TTS, asked
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.errors import ModelError
from voxcli.protocols.gptsovits.fields import MEDIA_TYPES
from voxcli.synthesis.request import Speech, SynthesisRequest

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]


def is_calm(server: Running) -> bool:
    return not server.service.admission.used and not server.service.models.users


@pytest.fixture(scope="module")
def endless() -> Iterator[tuple[ToneEngine, Running]]:
    """A server with one slot, whose engine speaks five times as fast as one listens, without an end."""
    engine = ToneEngine(chunks=10**9, pace=0.2, slots=1)
    with running(engine) as server:
        yield engine, server


@pytest.mark.parametrize(
    ("path", "field", "format"),
    [
        *((SPEECH, "response_format", format) for format in FORMATS if format != "flac"),  # comes as a whole
        (SPEECH, "stream_format", "sse"),
        *(("/api/tts/stream", "format", format) for format in ("", *FORMATS) if format != "flac"),
        *((TTS, "media_type", format) for format in MEDIA_TYPES),
    ],
)
def test_whenever_a_client_is_killed_its_slot_is_free_within_a_chunk(
    endless: tuple[ToneEngine, Running], path: str, field: str, format: str
) -> None:
    engine, server = endless
    for count in (1, 300, 2000):
        with asked(server.url, path=path, **{field: format}) as client:
            client.read(count)
            killed = time.monotonic()
            client.kill()
        assert engine.idle.wait(10)
        until(lambda: is_calm(server))
        # One chunk takes 16 ms; the rest is for a machine with other things to do.
        assert time.monotonic() - killed < 1.0
    assert not engine.moved
    assert engine.most_running == 1


@pytest.mark.parametrize("leave", ["killed", "closed"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [("/api/tts", {}), ("/api/tts", {"format": "mp3"}), (SPEECH, {"response_format": "flac"}), (TTS, {})],
    ids=["wav", "mp3", "flac", "gpt-sovits"],
)
def test_a_client_that_leaves_before_its_whole_answer_is_made_stops_the_engine(
    endless: tuple[ToneEngine, Running], path: str, fields: dict[str, object], leave: str
) -> None:
    engine, server = endless
    with asked(server.url, path=path, **({"streaming_mode": 0} if path == TTS else {}), **fields) as client:
        before = engine.made
        until(lambda: engine.made > before + 3)
        made = engine.made
        if leave == "killed":
            client.kill()
    assert engine.idle.wait(10)
    assert engine.made - made < 60  # a second of the engine's time, for machines with other things to do
    until(lambda: is_calm(server))


@pytest.mark.real_time
def test_killed_streams_are_mostly_gone_within_a_tenth_of_a_second(endless: tuple[ToneEngine, Running]) -> None:
    engine, server = endless
    took = []
    for _ in range(9):
        with asked(server.url, response_format="pcm") as client:
            client.read(3000)
            killed = time.monotonic()
            client.kill()
        assert engine.idle.wait(10)
        took.append(time.monotonic() - killed)
    assert sorted(took)[len(took) // 2] < 0.1


def test_a_client_that_reads_too_slowly_to_ever_hear_it_is_given_up() -> None:
    engine = ToneEngine(chunks=10**9, slots=1)
    stop = threading.Event()
    room = {"spool_memory_bytes": 2**20, "spool_file_bytes": 2**22}
    with (
        running(engine, send_seconds=0.5, **room) as server,
        asked(server.url, response_format="wav", window=4096) as client,
    ):

        def dawdle() -> None:
            """Read a kilobyte each second."""
            while not stop.wait(0.1) and client.connection.recv(100):
                pass

        reader = threading.Thread(target=dawdle)
        reader.start()
        try:
            assert engine.idle.wait(20), "it still speaks"
            until(lambda: is_calm(server))
        finally:
            stop.set()
            reader.join()


def test_a_client_that_reads_slowly_but_steadily_gets_everything() -> None:
    engine = ToneEngine(chunks=60, slots=1)
    with running(engine) as server, asked(server.url, response_format="pcm", window=4096) as client:
        count = 0
        while data := client.connection.recv(4096):
            count += len(data)
            time.sleep(0.001)
    assert count > 2 * 24000 * 60 * 0.08


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (SPEECH, {"response_format": "pcm"}),
        (SPEECH, {"response_format": "wav", "stream_format": "sse"}),
        ("/api/tts", {}),
        (TTS, {"streaming_mode": 1}),
    ],
    ids=["stream", "events", "whole", "gpt-sovits"],
)
def test_clients_that_pause_keep_no_slot_busy(path: str, fields: dict[str, object]) -> None:
    """Every slot works for those who wait, though nobody takes more than the headers."""
    engine = Together(chunks=100, sample_rate=24000, slots=4)
    with running(engine, send_buffer=4096, queue=100) as server, ExitStack() as stack:
        clients = [stack.enter_context(asked(server.url, path=path, window=4096, **fields)) for _ in range(20)]
        until(lambda: len(engine.requests) == 20 and not engine.running, 30)
        until(lambda: is_calm(server))
        sizes = {len(client.read(10**9)) for client in clients}
        assert min(sizes) > 2 * 24000 * 100 * 0.08
        assert max(sizes) - min(sizes) < 30_000  # by where chunks were joined
    assert not engine.failed


def test_a_hundred_slow_readers_keep_every_slot_busy() -> None:
    engine = Together(chunks=60, sample_rate=24000, slots=5)
    with running(engine, send_buffer=4096, queue=100) as server:
        for turn in (1, 2):
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(asked(server.url, window=4096, response_format="pcm")) for _ in range(50)
                ]
                until(lambda turn=turn: len(engine.requests) == turn * 50 and not engine.running, 30)  # type: ignore[misc]
                with ThreadPoolExecutor(50) as pool:
                    received = list(pool.map(lambda client: client.read(10**9), clients))
                assert all(answer.endswith(b"0\r\n\r\n") for answer in received)
        until(lambda: is_calm(server))
    assert not engine.failed
    assert server.service.admission.used == 0


class Together(ToneEngine):
    """Ends a stream only while all other slots are in use too: an idle slot is an error."""

    failed = False

    def __init__(self, *, slots: int, **settings: Any) -> None:
        super().__init__(slots=slots, **settings)
        self._all = threading.Barrier(slots)

    def stream(self, request: SynthesisRequest) -> Speech:
        with closing(super().stream(request)) as chunks:
            yield from chunks
            try:
                self._all.wait(20)
            except threading.BrokenBarrierError:
                self.failed = True
                raise ModelError("a slot was idle") from None


def test_a_crowd_is_served_or_sent_away_with_a_time_to_come_again() -> None:
    engine = ToneEngine(chunks=3, slots=2, pace=0.1)
    anybody = httpx.Limits(max_connections=None)
    with (
        running(engine, queue=8) as server,
        httpx.Client(base_url=server.url, limits=anybody, timeout=60) as client,
        ThreadPoolExecutor(100) as pool,
    ):
        together = threading.Barrier(100)

        def come(_: int) -> httpx.Response:
            together.wait()
            return client.post(SPEECH, json=FIELDS)

        answers = list(pool.map(come, range(100)))
        until(lambda: is_calm(server))
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) == {200, 429}
    assert counted[200] >= 10
    assert engine.most_running <= 2
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 120


def test_one_who_wants_much_does_not_keep_others_waiting() -> None:
    engine = ToneEngine(chunks=1, slots=1, hold_at=0)
    keys = frozenset({"greedy", "modest"})
    with running(engine, queue=8, keys=keys) as server, ThreadPoolExecutor(10) as pool:
        admission = server.service.admission

        def come(key: str, text: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            return httpx.post(
                server.url + SPEECH, json=FIELDS | {"input": text}, headers=headers, timeout=60
            ).status_code

        first = pool.submit(come, "greedy", "g0")
        until(lambda: admission.used == 1)
        many = []
        for number in range(1, 7):
            many.append(pool.submit(come, "greedy", f"g{number}"))
            until(lambda number=number: admission.depth == number)  # type: ignore[misc]
        one = pool.submit(come, "modest", "m")
        until(lambda: admission.depth == 7)
        engine.go.set()
        assert [future.result() for future in (first, one, *many)] == [200] * 8
    assert [request.text for request in engine.requests].index("m") <= 2


def test_engines_that_fail_early_and_late_leave_nothing_behind() -> None:
    for fail_at in (0, 1, 4):
        engine = ToneEngine(slots=1, fail_at=fail_at)
        with running(engine) as server:
            for _ in range(5):
                if fail_at == 0:
                    assert httpx.post(server.url + SPEECH, json=FIELDS).status_code == 500
                else:
                    with pytest.raises(httpx.RemoteProtocolError):
                        httpx.post(server.url + SPEECH, json=FIELDS)
            until(lambda: is_calm(server))
        assert not engine.moved


def test_many_requests_leave_no_threads_and_no_files_behind() -> None:
    count = 500
    engine = ToneEngine(chunks=2, chunk_seconds=0.04, slots=4)
    with running(engine) as server, httpx.Client(base_url=server.url) as client:

        def come(number: int) -> None:
            fields = FIELDS | {"response_format": FORMATS[number % len(FORMATS)]}
            if number % 10 == 9:
                with asked(server.url, **fields) as leaving:
                    leaving.read(1)
                    leaving.kill()
            elif number % 10 == 8:
                client.post("/api/tts", data={"text": "Hello."}).raise_for_status()
            else:
                client.post(SPEECH, json=fields).raise_for_status()

        for number in range(40):  # until all that is set up once is set up
            come(number)
        until(lambda: is_calm(server))
        gc.collect()
        before = held()
        for number in range(count):
            come(number)
        until(lambda: is_calm(server))
        gc.collect()
        threads, files, memory = (after - start for after, start in zip(held(), before, strict=True))
    assert threads <= 4  # as many as there are slots, which may not all have been in use before
    assert files <= 2
    assert memory < count * 40e3  # some 8 MB are codecs that are loaded late, and fragments of the heap


def held() -> tuple[int, int, int]:
    """Count threads, open files, and bytes of memory."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        pages = int(file.read().split()[1])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE")  # noqa: PTH208
