"""Measure the latency that our server and client add to a chunk, compared with a bare Starlette endpoint.

The engine costs no time, so all of it is overhead. All programs run in turns, and medians are printed. Then many
clients stream at once from an engine slightly faster than real time, over HTTP and over WebSockets, and those with a
gap in playback are counted; and one cancels again and again what is being spoken.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import ClientConnection, connect

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.pcm import to_int16
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.protocols.names import Dialect
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.request import Speech, SynthesisRequest
from voxcli.synthesis.timing import Stopwatch, Timings
from voxcli.voices import VoiceLibrary

SAMPLE_RATE = 24000
CHUNK = AudioChunk(np.sin(np.arange(int(0.16 * SAMPLE_RATE)) / 20).astype(np.float32), SAMPLE_RATE)
PACED = "Slowly."
PACE = 0.9
"""Seconds per second of sound that the engine takes for the text PACED."""


class FreeEngine:
    """An engine whose chunks are ready at once, except for the text PACED."""

    slots = 64
    draws_voices = False

    def __init__(self, chunks: int) -> None:
        self._chunks = chunks

    def stream(self, request: SynthesisRequest) -> Speech:
        started = time.monotonic()
        for number in range(self._chunks):
            if request.text == PACED:
                time.sleep(max(0.0, started + PACE * CHUNK.seconds * number - time.monotonic()))
            yield CHUNK

    def close(self) -> None: ...


def serve_voxcli(port: int, chunks: int) -> None:
    async def run(folder: str) -> None:
        settings = ServerSettings(port=port, voices=Path(folder))
        service = Service(
            settings, VoiceLibrary(Path(folder)), ModelLifecycle("free", lambda: FreeEngine(chunks), settings)
        )
        await Host(create_app(service), service, open_socket(settings)).run(lambda: None)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


def serve_bare(port: int, chunks: int) -> None:
    data = to_int16(CHUNK.samples)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield data

    async def speak(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(pieces(), media_type="audio/pcm")

    app = Starlette(routes=[Route("/", speak, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="warning", access_log=False, http="h11", loop="asyncio")


@contextmanager
def served(serve: Callable[[int, int], None], chunks: int) -> Iterator[str]:
    """Serve in a process of its own, and yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, chunks), daemon=True)
    process.start()
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def time_httpx(client: httpx.Client, url: str, **body: object) -> tuple[float, float]:
    """Return the seconds to the first chunk, and from there to the end."""
    started = time.perf_counter()
    with client.stream("POST", url, **body) as answer:  # type: ignore[arg-type]
        pieces = answer.iter_raw()
        next(pieces)
        first = time.perf_counter()
        for _ in pieces:
            pass
    return first - started, time.perf_counter() - first


def time_our_client(engine: RemoteEngine) -> tuple[float, float]:
    started = time.perf_counter()
    with closing(engine.stream(SynthesisRequest(text="Hello."))) as chunks:
        next(chunks)
        first = time.perf_counter()
        for _ in chunks:
            pass
    return first - started, time.perf_counter() - first


CONFIG = json.dumps({"type": "session.config", "stream_audio": True, "response_format": "pcm"})
DONE, CANCEL = (json.dumps({"type": kind}) for kind in ("input.done", "input.cancel"))


def text(words: str) -> str:
    return json.dumps({"type": "input.text", "text": words})


def socket_of(url: str) -> str:
    return url.replace("http", "ws") + "/v1/audio/speech/stream"


def time_socket(client: ClientConnection) -> tuple[float, float]:
    """Return the seconds from the first text to the first frame of audio, and from there to the end."""
    started = time.perf_counter()
    client.send(text("Hello."))
    client.send(DONE)
    while not isinstance(client.recv(), bytes):
        pass
    first = time.perf_counter()
    while isinstance(data := client.recv(), bytes) or "session.done" not in data:
        pass
    return first - started, time.perf_counter() - first


def time_cancels(url: str, rounds: int) -> None:
    """Cancel at any moment of a sentence, and print how long that takes."""
    delays = []
    with connect(socket_of(url), proxy=None) as client:
        client.send(CONFIG)
        client.recv()
        for _ in range(rounds):
            client.send(text(PACED))
            client.send(DONE)
            while not isinstance(client.recv(), bytes):
                pass
            time.sleep(random.uniform(0, 2 * PACE * CHUNK.seconds))
            asked = time.perf_counter()
            client.send(CANCEL)
            while isinstance(data := client.recv(), bytes) or "audio.cancelled" not in data:
                pass
            delays.append(time.perf_counter() - asked)
    patch = 1000 * PACE * CHUNK.seconds
    high = 1000 * sorted(delays)[max(0, -(-99 * len(delays) // 100) - 1)]
    print(
        f"{rounds} cancellations: median {1000 * statistics.median(delays):.1f} ms, 99th percentile {high:.1f} ms",
        end=" ",
    )
    print(f"(a patch of the engine takes {patch:.0f} ms: {high - patch:+.1f} ms)")


async def listen(url: str) -> tuple[float, float]:
    """Speak one text over a socket. Return the seconds to the first frame, and of gaps in playback."""
    async with connect_async(socket_of(url), proxy=None, compression=None) as client:
        await client.send(CONFIG)
        await client.recv()
        asked = time.perf_counter()
        await client.send(text(PACED))
        await client.send(DONE)
        began, played, gaps = 0.0, 0.0, 0.0
        async for data in client:
            now = time.perf_counter()
            if isinstance(data, str):
                if "session.done" in data:
                    break
                continue
            began = began or now
            late = now - began - played - gaps
            gaps += max(0.0, late)
            played += len(data) / 2 / SAMPLE_RATE
    return began - asked, gaps


async def listen_at_once(url: str, clients: int) -> None:
    told = await asyncio.gather(*(listen(url) for _ in range(clients)))
    gaps = [gap for _, gap in told if gap > 0.02]
    firsts = [1000 * first for first, _ in told]
    print(f"{clients} sockets at once: {len(gaps)} had a gap, the longest {max(gaps, default=0.0):.3f} s")
    print(f"first frame: median {statistics.median(firsts):.1f} ms, maximum {max(firsts):.1f} ms")


def compare(voxcli: str, bare: str, rounds: int, chunks: int) -> None:
    with (
        httpx.Client() as client,
        closing(new_client(voxcli)) as engine,
        connect(socket_of(voxcli), proxy=None, compression=None) as stream,
    ):
        stream.send(CONFIG)
        stream.recv()
        speech = {"model": "x", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
        programs: dict[str, Callable[[], tuple[float, float]]] = {
            "bare Starlette, httpx": lambda: time_httpx(client, bare),
            "our server, httpx": lambda: time_httpx(client, f"{voxcli}/v1/audio/speech", json=speech),
            "our server, our client": lambda: time_our_client(engine),
            "our server, WebSocket": lambda: time_socket(stream),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for round_ in range(rounds + 1):
            for name, measure in programs.items():
                result = measure()
                if round_:  # the first one is a warm-up
                    times[name].append(result)
    base_first, base_later = medians(times["bare Starlette, httpx"], chunks)
    for name, results in times.items():
        first, later = medians(results, chunks)
        print(f"{name:24} first chunk {first:6.2f} ms, each later one {later:6.3f} ms", end=" ")
        print(f"(against bare Starlette: {first - base_first:+.2f} and {later - base_later:+.3f} ms)")


def medians(results: list[tuple[float, float]], chunks: int) -> tuple[float, float]:
    """Return milliseconds."""
    first = statistics.median(first for first, _ in results)
    later = statistics.median(rest / (chunks - 1) for _, rest in results)
    return 1000 * first, 1000 * later


def new_client(url: str) -> RemoteEngine:
    return RemoteEngine(RemoteSettings(url=url, dialect=Dialect.VOXCPM))


def stream_at_once(url: str, clients: int) -> None:
    """Stream with many clients at once, and count those with a gap in playback."""
    streams: list[Timings] = []

    def stream_once(engine: RemoteEngine) -> None:
        stopwatch = Stopwatch()
        for _ in stopwatch.timed(engine.stream(SynthesisRequest(text=PACED))):
            pass
        streams.append(stopwatch.timings)

    with closing(new_client(url)) as engine:
        threads = [threading.Thread(target=stream_once, args=(engine,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    starved = [timings.starved for timings in streams if timings.starved]
    firsts = [1000 * timings.first_chunk for timings in streams if timings.first_chunk is not None]
    print(f"{len(streams)} clients at once: {len(starved)} had a gap, the longest {max(starved, default=0.0):.3f} s")
    print(f"first chunk: median {statistics.median(firsts):.1f} ms, maximum {max(firsts):.1f} ms")


def main(rounds: int, chunks: int, clients: int, sockets: int) -> None:
    with served(serve_voxcli, chunks) as voxcli, served(serve_bare, chunks) as bare:
        compare(voxcli, bare, rounds, chunks)
        stream_at_once(voxcli, clients)
        asyncio.run(listen_at_once(voxcli, sockets))
        time_cancels(voxcli, 5 * rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--chunks", type=int, default=60, help="of 0.16 s each")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--sockets", type=int, default=64)
    given = parser.parse_args()
    main(given.rounds, given.chunks, given.clients, given.sockets)
