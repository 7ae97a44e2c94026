"""Whether the server lives and can speak, and what it counts."""

import asyncio
import threading
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.raw import RawClient, asked
from tests.server.running import running, serving
from tests.server.tone import ToneEngine, until
from voxcli.errors import ModelError, RequestError
from voxcli.server.monitoring import EngineHeartbeat
from voxcli.server.routes.health import Readiness
from voxcli.synthesis.request import Speech, SynthesisRequest

SPEECH = "/v1/audio/speech"
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}


def numbers(url: str) -> dict[str, float]:
    """Return what /metrics tells, without the buckets of histograms."""
    text = httpx.get(url + "/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        sample.name.removeprefix("voxcli_") + "".join(f":{value}" for value in sample.labels.values()): sample.value
        for sample in samples
        if "le" not in sample.labels
    }


def state(url: str) -> tuple[int, str]:
    answer = httpx.get(url + "/readyz", timeout=20)
    return answer.status_code, answer.json()["status"]


def test_it_lives_and_is_ready_when_the_model_has_said_something() -> None:
    engine = ToneEngine()
    with serving(engine) as url:
        assert httpx.get(url + "/livez").json() == {"status": "alive"}
        assert not engine.requests
        assert state(url) == (200, "ready")
        assert len(engine.requests) == 1  # it was asked to show that it works
        assert state(url) == (200, "ready")
        assert len(engine.requests) == 1  # and is believed for a while


def test_a_model_that_fails_is_not_ready_until_it_works_again() -> None:
    class Moody(ToneEngine):
        broken = False

        def stream(self, request: SynthesisRequest) -> Speech:
            if self.broken:
                raise ModelError("broken")
            return super().stream(request)

    engine = Moody()
    with serving(engine) as url:
        assert httpx.post(url + SPEECH, json=FIELDS).status_code == 200
        assert state(url) == (200, "ready")
        engine.broken = True
        assert httpx.post(url + SPEECH, json=FIELDS).status_code == 500
        assert state(url) == (503, "failed")
        engine.broken = False
        assert state(url) == (200, "ready")


def test_a_model_that_says_nothing_when_it_is_asked_to_is_not_ready() -> None:
    with serving(ToneEngine(chunks=0)) as url:
        assert state(url) == (503, "failed")


def test_a_model_that_wants_to_be_asked_for_something_else_is_ready() -> None:
    with serving(ToneEngine(fail_at=0, error=RequestError("I speak only with a clip."))) as url:
        assert state(url) == (200, "ready")


def test_a_model_whose_speech_costs_something_is_not_tried_out() -> None:
    engine = ToneEngine()
    with serving(engine, probe=None) as url:
        assert state(url) == (200, "ready")
    assert not engine.requests


def test_many_who_ask_at_once_have_it_tried_once() -> None:
    engine = ToneEngine(hold_at=0)
    with serving(engine) as url:
        found: list[tuple[int, str]] = []
        threads = [threading.Thread(target=lambda: found.append(state(url))) for _ in range(5)]
        for thread in threads:
            thread.start()
        until(lambda: engine.running == 1)
        engine.go.set()
        for thread in threads:
            thread.join()
    assert found == [(200, "ready")] * 5
    assert len(engine.requests) == 1


def test_the_pulse_tells_work_from_silence() -> None:
    now = 100.0
    engine = ToneEngine(fail_at=3)
    heartbeat = EngineHeartbeat(lambda: now)
    silent: list[float] = []

    def slow() -> Speech:
        nonlocal now
        for chunk in engine.stream(SynthesisRequest(text="Hello.")):
            now += 7
            silent.append(heartbeat.silent_seconds())
            yield chunk

    chunks = heartbeat.watched(slow())
    assert not heartbeat.is_fresh()
    for _ in range(3):
        next(chunks)
        now += 1000  # in which nobody has asked for anything
        assert heartbeat.silent_seconds() == 0
    assert silent == [7, 7, 7]
    now -= 950
    assert heartbeat.is_fresh()
    with pytest.raises(ModelError):
        next(chunks)
    assert not heartbeat.is_fresh()
    next(heartbeat.watched(slow()))
    assert heartbeat.is_fresh()
    now += 60
    assert not heartbeat.is_fresh()


def test_a_model_that_hangs_is_not_ready() -> None:
    engine = ToneEngine(hold_at=1)
    with running(engine) as server, asked(server.url, response_format="pcm") as client:
        client.read(1)
        readiness = Readiness(server.service, stuck_seconds=0.05)

        def found() -> tuple[bool, str]:
            return asyncio.run_coroutine_threadsafe(readiness.state(), server.loop).result(10)

        until(lambda: found() == (False, "stuck"))
        engine.go.set()
        until(lambda: found() == (True, "ready"))


@pytest.mark.parametrize("path", ["/health", "/livez", "/metrics", "/v1/models"])
def test_it_answers_while_the_model_is_at_work(path: str) -> None:
    engine = ToneEngine(hold_at=0, slots=1)
    with running(engine) as server, asked(server.url) as client:
        until(lambda: engine.running == 1)
        for _ in range(20):
            assert httpx.get(server.url + path, timeout=5).status_code == 200
        assert not engine.made
        engine.go.set()
        client.read(1)


@pytest.mark.alone
def test_it_answers_soon_while_streams_are_encoded_as_fast_as_can_be() -> None:
    stop = threading.Event()
    took: list[float] = []

    def listen(client: RawClient) -> None:
        while not stop.is_set() and client.connection.recv(65536):
            pass

    with (
        running(ToneEngine(chunks=10**9)) as server,
        httpx.Client(base_url=server.url) as watcher,
        asked(server.url, response_format="mp3") as first,
        asked(server.url, response_format="opus") as second,
    ):
        listeners = [threading.Thread(target=listen, args=(client,)) for client in (first, second)]
        for listener in listeners:
            listener.start()
        for _ in range(50):
            started = time.perf_counter()
            assert watcher.get("/health").status_code == 200
            took.append(time.perf_counter() - started)
        stop.set()
        for listener in listeners:
            listener.join()
    assert sorted(took)[len(took) // 2] < 0.05


def test_it_answers_while_the_model_is_loaded() -> None:
    go = threading.Event()

    def open_engine() -> ToneEngine:
        go.wait()
        return ToneEngine()

    with running(open_engine, lazy=True) as server, asked(server.url) as client:
        until(lambda: server.service.models.loading)
        for _ in range(20):
            answer = httpx.get(server.url + "/health", timeout=5)
            assert answer.status_code == 200
            assert (answer.json()["status"], answer.json()["model_loaded"]) == ("loading", False)
        assert state(server.url) == (503, "loading")
        assert server.service.models.loading
        go.set()
        client.read(1)
        assert httpx.get(server.url + "/health").json()["status"] == "healthy"


@pytest.mark.real_time
@pytest.mark.real_time
def test_what_is_measured_is_what_a_client_sees() -> None:
    engine = ToneEngine(chunks=10, pace=0.5)
    with serving(engine) as url:
        started = time.perf_counter()
        with httpx.stream("POST", url + SPEECH, json=FIELDS) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            first = time.perf_counter() - started
            list(pieces)
        until(lambda: numbers(url)["requests_total:done"] == 1)
        seen = numbers(url)
    assert 0.04 < seen["first_byte_seconds_sum"] < first + 0.01
    assert 0.04 < seen["first_sound_seconds_sum"] < first + 0.01
    assert seen["queue_wait_seconds_sum"] < seen["first_byte_seconds_sum"]
    assert 0.45 < seen["real_time_factor_sum"] < 0.9
    assert seen["audio_seconds_total"] == pytest.approx(0.8)
    assert seen["streams_starved_total"] == 0
    assert (seen["slots"], seen["slots_used"], seen["queue_depth"], seen["model_loaded"]) == (2, 0, 0, 1)


@pytest.mark.real_time
def test_a_stream_slower_than_speech_would_have_starved() -> None:
    with serving(ToneEngine(chunks=3, pace=2.0)) as url:
        assert httpx.post(url + SPEECH, json=FIELDS).status_code == 200
        until(lambda: numbers(url)["requests_total:done"] == 1)
        assert numbers(url)["streams_starved_total"] == 1


def test_every_end_is_counted_by_its_reason() -> None:
    class Choosy(ToneEngine):
        def stream(self, request: SynthesisRequest) -> Speech:
            if request.text == "Fail late.":
                chunks = super().stream(request)
                yield next(chunks)
                chunks.close()
                raise ModelError("broken")
            if request.text == "Refuse.":
                raise RequestError("no")
            yield from super().stream(request)

    with running(Choosy(chunks=100, pace=1.0, slots=4)) as server:
        url = server.url
        assert httpx.post(url + SPEECH, json=FIELDS | {"input": "Refuse."}).status_code == 400
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url + SPEECH, json=FIELDS | {"input": "Fail late."})
        with asked(url, response_format="pcm") as client:
            client.read(1)
            assert numbers(url)["slots_used"] == 1
            client.kill()
        until(lambda: numbers(url)["requests_total:client_left"] == 1)
        seen = numbers(url)
    ends = {name.partition(":")[2]: value for name, value in seen.items() if name.startswith("requests_total")}
    assert ends == {"done": 0, "client_left": 1, "cancelled": 0, "stalled": 0, "failed": 1, "refused": 1}
