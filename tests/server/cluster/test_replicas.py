"""Replicas by Ray Serve: real processes, with a tone in place of the model. Only with -m ray."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.server.cluster.replicated import SLOTS, started
from tests.server.raw import asked
from tests.server.routes.test_speech_stream import STREAMED, Client, audio_in
from tests.server.running import running
from tests.server.tone import ToneEngine, until

pytestmark = pytest.mark.ray

SPEECH = "/v1/audio/speech"
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "pcm", "sample_rate": 16000}


class Cluster:
    """A running cluster of this test, and what its replicas say."""

    def __init__(self, url: str) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=None)
        self.client = httpx.Client(base_url=url, timeout=60, limits=limits)

    def replicas(self) -> list[dict[str, Any]]:
        servers: list[dict[str, Any]] = self.client.get("/health").json()["servers"]
        return servers

    def streams(self) -> list[int]:
        return sorted(replica["streams"] for replica in self.replicas() if not replica["problem"])

    def speak(self, **fields: object) -> httpx.Response:
        """Speak over a connection of its own, since many threads do so."""
        with httpx.Client(timeout=60, trust_env=False, verify=False) as client:
            return client.post(self.url + SPEECH, json={**FIELDS, **fields})


@contextmanager
def cluster(least: int, most: int, **more: float) -> Iterator[Cluster]:
    with started(least, most, **more) as url:
        found = Cluster(url)
        with found.client:
            yield found


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    with cluster(2, 2) as found:
        yield found


def in_threads(count: int, work: Any) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_speech_comes_chunk_by_chunk_and_is_the_same_as_without_replicas(two: Cluster) -> None:
    with two.client.stream("POST", SPEECH, json=FIELDS) as answer:
        times = [(time.monotonic(), data) for data in answer.iter_raw()]
    assert len(times) > 15
    assert times[-1][0] - times[0][0] > 1.0  # two seconds of sound at its own pace
    request_ids = [value for name, value in answer.headers.multi_items() if name == "x-request-id"]
    assert len(request_ids) == 1
    with running(ToneEngine(chunks=25)) as plain:
        assert httpx.post(plain.url + SPEECH, json=FIELDS).content == b"".join(data for _, data in times)


def test_streams_are_shared_out_and_too_many_are_told_when_to_come_again(two: Cluster) -> None:
    answers: list[httpx.Response] = []
    threads = in_threads(20, lambda: answers.append(two.speak()))
    until(lambda: two.streams() == [SLOTS, SLOTS])
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) <= 8
    assert {answer.status_code for answer in refused} <= {429, 503}
    assert all(1 <= int(answer.headers["retry-after"]) <= 120 for answer in refused)
    assert all(len(answer.content) == 64000 for answer in answers if answer.status_code == 200)
    until(lambda: two.streams() == [0, 0])


def test_metrics_are_summed(two: Cluster) -> None:
    def counted(name: str) -> float:
        lines = two.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    assert counted("voxcli_slots ") == 2 * SLOTS
    before = counted('voxcli_requests_total{ending="done"}')
    threads = in_threads(6, two.speak)
    for thread in threads:
        thread.join()
    until(lambda: counted('voxcli_requests_total{ending="done"}') == before + 6)


def test_who_leaves_stops_the_engine(two: Cluster) -> None:
    with asked(two.url, response_format="pcm") as client:
        client.read(3000)
        until(lambda: two.streams() == [0, 1])
        client.kill()
    until(lambda: two.streams() == [0, 0])
    assert "client_left" in two.client.get("/metrics").text


def test_sockets_work_and_a_cancelled_text_stops(two: Cluster) -> None:
    url = two.url.replace("http", "ws") + "/v1/audio/speech/stream"
    with connect(url, proxy=None) as opened:
        client = Client(opened)
        client.say(STREAMED, "One sentence. ", "And another one.", "input.done")
        assert len(audio_in(client.until("session.done"))) > 100_000
    with connect(url, proxy=None) as opened:
        client = Client(opened)
        client.say(STREAMED, "One sentence. And another one. And a third one.", "input.done")
        client.until("audio.start")
        client.say("input.cancel")
        client.until("audio.cancelled")
    until(lambda: two.streams() == [0, 0])


def test_two_hundred_streams(two: Cluster) -> None:
    done: list[int] = []

    def work() -> None:
        while True:
            answer = two.speak()
            if answer.status_code == 200:
                done.append(len(answer.content))
                return
            time.sleep(0.5)

    for thread in in_threads(200, work):
        thread.join()
    assert done == [64000] * 200


def replica_processes() -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if (folder / "cmdline").read_bytes().startswith(b"ray::ServeReplica"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def test_a_killed_replica_breaks_its_own_streams_only_and_is_replaced(two: Cluster) -> None:
    ends: list[str] = []

    def work() -> None:
        try:
            ends.append("whole" if len(two.speak().content) == 64000 else "short")
        except httpx.HTTPError:
            ends.append("broken")

    threads = in_threads(6, work)
    until(lambda: sum(two.streams()) == 6)
    shares = two.streams()
    os.kill(replica_processes()[0], signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["broken"] * ends.count("broken") + ["whole"] * (6 - ends.count("broken"))
    assert ends.count("broken") in shares
    assert 0 not in shares
    for _ in range(10):
        assert two.speak().status_code == 200
    until(lambda: len([one for one in two.replicas() if not one["problem"]]) == 2, 60)


def test_the_number_of_replicas_follows_the_streams_and_who_is_removed_finishes_first() -> None:
    with cluster(1, 2, chunks=50, queue=100, up_seconds=1.0, down_seconds=3.0) as one:
        answers: list[httpx.Response] = []
        seconds = time.monotonic() + 25

        def work() -> None:
            while time.monotonic() < seconds:
                answers.append(one.speak())

        threads = in_threads(7, work)
        until(lambda: len(one.replicas()) == 2, 40)
        for thread in threads:
            thread.join()
        keeping = in_threads(1, lambda: [answers.append(one.speak()) for _ in range(6)])
        until(lambda: len([each for each in one.replicas() if not each["problem"]]) == 1, 60)
        for thread in keeping:
            thread.join()
        assert {(answer.status_code, len(answer.content)) for answer in answers} == {(200, 128000)}
