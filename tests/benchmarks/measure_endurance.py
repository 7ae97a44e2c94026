"""Whether `voxcli serve` stays the same for long: thousands of requests of all kinds, and bursts that are too many.

    python tests/benchmarks/measure_endurance.py mixed --requests 10000
    python tests/benchmarks/measure_endurance.py bursts --minutes 24 --model /path/of/a/small/checkpoint

The first one sends requests in all dialects, of which some leave, and counts what the idle server holds after each
thousand: threads, files, memory and Python objects. The second one sends twice as many streams as the server can take,
again and again, and looks at every answer.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.server.raw import asked

SPEECH = "/v1/audio/speech"
SENTENCES = (
    "Hello there.",
    "The train to the coast leaves at seven. Please be there in time.",
    "你好，今天天气很好。",
    "One, two, three; and then the rest of it, which is somewhat longer than what came before.",
)
_COUNTING = """
import gc, signal, sys, threading
from collections import Counter
def count(*_):
    def work():
        gc.collect()
        objects = gc.get_objects()
        with open({file!r}, "w") as file:
            file.write(str(len(objects)))
    threading.Thread(target=work).start()
signal.signal(signal.SIGUSR1, count)
from voxcli.cli.app import main
main()
"""
"""A program that is voxcli, and counts its objects when it is told to."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What an idle server holds."""

    threads: int
    files: int
    megabytes: float
    objects: int


class Server:
    """`voxcli serve` as a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, count: Path) -> None:
        self.process, self.url, self._count = process, url, count

    def gauges(self) -> dict[str, float]:
        lines = httpx.get(self.url + "/metrics", timeout=30).text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def wait_until_idle(self) -> None:
        """Wait until nothing is spoken and no socket is open. Raises AssertionError after a minute."""
        deadline = time.monotonic() + 60
        while True:
            now = self.gauges()
            left = {
                name: value
                for name, value in now.items()
                if re.match(r"voxcli_(slots_used|queue_depth|answers_open|spooled_bytes|sockets_open)", name) and value
            }
            if not left:
                return
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def holding(self) -> Holding:
        self.wait_until_idle()
        time.sleep(0.5)
        self._count.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 30
        while not (self._count.exists() and self._count.read_text()):
            assert time.monotonic() < deadline, "it does not count"
            time.sleep(0.05)
        time.sleep(0.2)
        proc = Path("/proc") / str(self.process.pid)
        status = proc.joinpath("status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+)", status)
        assert resident
        return Holding(
            threads=len(list((proc / "task").iterdir())),
            files=len(list((proc / "fd").iterdir())),
            megabytes=int(resident[1]) / 1024,
            objects=int(self._count.read_text()),
        )


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        count, log = Path(folder, "count"), Path(folder, "log")
        program = _COUNTING.format(file=str(count))
        command = [sys.executable, "-c", program, "serve", "--port", str(port), *arguments]
        with (
            log.open("w") as words,
            subprocess.Popen(command, stderr=words, text=True, env=os.environ | {"VOXCLI_HOME": folder}) as process,
        ):
            server = Server(process, f"http://127.0.0.1:{port}", count)
            try:
                _wait_until_ready(server)
                yield server
            finally:
                process.send_signal(signal.SIGINT)
                code = process.wait(60)
        assert code == 0, log.read_text()
        faults = [line for line in log.read_text().splitlines() if "fault" in line or "Traceback" in line]
        assert not faults, faults[:10]


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(server.url + "/readyz", timeout=30).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the server does not become ready")


class Crowd:
    """Clients of all dialects."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self._url, self._rng = url, rng
        self._client = httpx.Client(base_url=url, timeout=60)
        self.ends: Counter[str] = Counter()
        self._kinds: list[Callable[[], int]] = [
            self._openai,
            self._openai,
            self._events,
            self._native,
            self._whole,
            self._sovits,
            self._socket,
            self._left_socket,
            self._leaver,
            self._leaver,
            self._refused,
            self._asked,
        ]

    def one(self) -> None:
        """Make a request of some kind."""
        kind = self._rng.choice(self._kinds)
        try:
            self.ends[f"{kind.__name__.strip('_')} {kind()}"] += 1
        except (httpx.HTTPError, OSError, WebSocketException) as error:
            self.ends[f"{kind.__name__.strip('_')} {type(error).__name__}"] += 1

    def close(self) -> None:
        self._client.close()

    def _text(self) -> str:
        return self._rng.choice(SENTENCES)

    def _openai(self) -> int:
        form = self._rng.choice(["mp3", "opus", "aac", "flac", "wav", "pcm"])
        fields = {"model": "tts-1", "voice": "alloy", "input": self._text(), "response_format": form}
        return _with_sound(self._client.post(SPEECH, json=fields))

    def _events(self) -> int:
        fields = {"model": "tts-1", "voice": "alloy", "input": self._text(), "stream_format": "sse"}
        return _with_sound(self._client.post(SPEECH, json=fields))

    def _native(self) -> int:
        return _with_sound(self._client.post("/api/tts/stream", data={"text": self._text()}))

    def _whole(self) -> int:
        return _with_sound(self._client.post("/api/tts", data={"text": self._text(), "speed": "1.3"}))

    def _sovits(self) -> int:
        fields = {"text": self._text(), "text_lang": "auto", "ref_audio_path": "default", "prompt_lang": "en"}
        return _with_sound(self._client.get("/tts", params={**fields, "streaming_mode": str(self._rng.randrange(4))}))

    def _socket(self) -> int:
        return self._talk(whole=True)

    def _left_socket(self) -> int:
        return self._talk(whole=False)

    def _talk(self, *, whole: bool) -> int:
        received = 0
        with connect(
            self._url.replace("http", "ws") + "/v1/audio/speech/stream", proxy=None, close_timeout=5
        ) as opened:
            opened.send(json.dumps({"type": "session.config", "response_format": "pcm"}))
            for piece in self._text().split(" "):
                opened.send(json.dumps({"type": "input.text", "text": piece + " "}))
            opened.send(json.dumps({"type": "input.done"}))
            while True:
                message = opened.recv(30)
                if isinstance(message, bytes):
                    received += len(message)
                    if not whole:
                        opened.socket.close()  # without a word
                        return 0
                elif json.loads(message)["type"] == "session.done":
                    return 200 if received else 0

    def _leaver(self) -> int:
        path = self._rng.choice([SPEECH, "/tts", "/api/tts/stream"])
        with asked(self._url, path=path) as client:
            if self._rng.random() < 0.7:
                client.read(self._rng.choice([1, 200, 3000]))
            if self._rng.random() < 0.5:
                client.kill()
        return 0

    def _refused(self) -> int:
        fields = {"model": "tts-1", "voice": "nobody-of-that-name", "input": self._text()}
        answer = self._client.post(SPEECH, json=fields)
        assert "error" in answer.json()
        return answer.status_code

    def _asked(self) -> int:
        path = self._rng.choice(["/health", "/v1/models", "/v1/audio/voices", "/api/voices", "/nothing"])
        return self._client.get(path).status_code


def _with_sound(answer: httpx.Response) -> int:
    if answer.status_code == 200:
        assert len(answer.content) > 200, answer.content
    else:
        assert int(answer.headers.get("retry-after", "0")) > 0, answer.text
    return answer.status_code


def run_mixed(requests: int, clients: int, model: str, seed: int) -> list[Holding]:
    """Send requests of all kinds, and return what the server held at first and after each tenth."""
    held: list[Holding] = []
    with serving("--model", model) as server:
        crowds = [Crowd(server.url, random.Random(seed + number)) for number in range(clients)]
        share = max(requests // 10 // clients, 1)
        for part in range(11):  # the first one fills pools and caches
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda crowd: [crowd.one() for _ in range(share)], crowds))
            held.append(server.holding())
            print(f"{part * share * clients:>7} requests: {held[-1]}", flush=True)
        for crowd in crowds:
            crowd.close()
        ends = sum((crowd.ends for crowd in crowds), Counter[str]())
        print(json.dumps(dict(sorted(ends.items()))))
        return held


@dataclass(frozen=True, slots=True)
class Bursts:
    """The answers to bursts."""

    answers: Counter[str]
    capacity: float
    """Requests per second that the server can serve."""


def run_bursts(minutes: float, model: str, slots: int, queue: int) -> Bursts:
    """Send twice what the server can take, in bursts of ten seconds with pauses of five, and look at every answer."""
    answers: Counter[str] = Counter()
    lock = threading.Lock()
    with serving("--model", model, "--slots", str(slots), "--queue", str(queue)) as server:

        def speak(client: httpx.Client) -> str:
            fields = {"model": "tts-1", "voice": "alloy", "input": SENTENCES[1], "response_format": "wav"}
            try:
                answer = client.post(SPEECH, json=fields)
            except httpx.HTTPError as error:
                return type(error).__name__
            if answer.status_code == 200:
                return "sound" if answer.content[:4] == b"RIFF" and len(answer.content) > 10_000 else "no sound"
            waits = answer.headers.get("retry-after", "")
            told = waits.isdecimal() and 1 <= int(waits) <= 120
            return f"{answer.status_code}" if told else f"{answer.status_code} without Retry-After"

        limits = httpx.Limits(max_connections=None)
        with httpx.Client(base_url=server.url, timeout=120, limits=limits) as client:
            capacity = _measure_capacity(lambda: speak(client), slots)
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                threads = []
                due, stop = time.monotonic(), time.monotonic() + min(10.0, 20 * minutes)
                while due < stop:
                    time.sleep(max(0.0, due - time.monotonic()))

                    def one() -> None:
                        found = speak(client)
                        with lock:
                            answers[found] += 1

                    threads.append(threading.Thread(target=one))
                    threads[-1].start()
                    due += 1 / (2 * capacity)
                for thread in threads:
                    thread.join()
                server.wait_until_idle()
                time.sleep(min(5.0, 10 * minutes))
        held = server.holding()
        print(f"at the end: {held}")
        return Bursts(answers, capacity)


def _measure_capacity(speak: Callable[[], str], slots: int) -> float:
    """Return how many requests a second are served, with as many at once as there are slots."""
    seconds: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        with ThreadPoolExecutor(slots) as pool:
            found = list(pool.map(lambda _: speak(), range(2 * slots)))
        assert set(found) == {"sound"}, found
        seconds.append(time.monotonic() - began)
    return 2 * slots / statistics.median(seconds)


def growth(held: list[Holding], name: str) -> float:
    """Return by how much the last third is above the first third of what was held, without the first count."""
    values = [float(getattr(one, name)) for one in held[1:]]
    third = max(len(values) // 3, 1)
    return statistics.median(values[-third:]) - statistics.median(values[:third])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["mixed", "bursts"])
    parser.add_argument("--model", default="espeak")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=24.0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--queue", type=int, default=8)
    given = parser.parse_args()
    if given.what == "mixed":
        held = run_mixed(given.requests, given.clients, given.model, given.seed)
        for name in ("threads", "files", "megabytes", "objects"):
            print(f"growth of {name}: {growth(held, name):+.1f}")
    else:
        bursts = run_bursts(given.minutes, given.model, given.slots, given.queue)
        print(f"capacity {bursts.capacity:.2f} requests/s; answers: {dict(bursts.answers)}")
        assert bursts.answers.keys() <= {"sound", "429", "503"}


if __name__ == "__main__":
    main()
