"""A model that is loaded and unloaded while a server runs."""

import threading
from collections.abc import Callable

import httpx
import pytest

from tests.server.raw import asked
from tests.server.running import running
from tests.server.tone import ToneEngine, until
from voxcli.errors import ModelError
from voxcli.synthesis.request import GpuMemory

SPEECH = "/v1/audio/speech"
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}


class Opener:
    """Makes engines, one for each time the model is loaded."""

    def __init__(self, new_engine: Callable[[], ToneEngine] = ToneEngine) -> None:
        self.opened: list[ToneEngine] = []
        self.go = threading.Event()
        self.go.set()
        self.broken = False
        self._new_engine = new_engine

    def __call__(self) -> ToneEngine:
        self.go.wait()
        if self.broken:
            raise ModelError("The model at /secret/place is damaged.")
        self.opened.append(self._new_engine())
        return self.opened[-1]


def speech(url: str) -> httpx.Response:
    return httpx.post(url + SPEECH, json=FIELDS, timeout=20)


def test_it_is_loaded_at_the_start_and_closed_at_the_end() -> None:
    opener = Opener()
    with running(opener):
        assert len(opener.opened) == 1
        assert not opener.opened[0].closed
    assert opener.opened[0].closed


def test_or_when_it_is_first_needed() -> None:
    opener = Opener()
    with running(opener, lazy=True) as server:
        assert httpx.get(server.url + "/readyz").json() == {"status": "asleep"}
        assert not opener.opened
        assert speech(server.url).status_code == 200
        assert len(opener.opened) == 1
        assert httpx.get(server.url + "/readyz").json() == {"status": "ready"}


def test_all_who_come_while_it_is_loaded_wait_for_one_loading() -> None:
    opener = Opener(lambda: ToneEngine(slots=4))
    opener.go.clear()
    with running(opener, lazy=True, slots=4) as server:
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: answers.append(speech(server.url))) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: server.service.models.users == 4)
        assert httpx.get(server.url + "/readyz").json() == {"status": "loading"}
        opener.go.set()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(opener.opened) == 1


def test_whoever_cannot_wait_so_long_is_told_when_to_come_again() -> None:
    opener = Opener()
    opener.go.clear()
    with running(opener, lazy=True, wait_seconds=0.05) as server:
        answer = speech(server.url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_loading")
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        opener.go.set()
        until(lambda: server.service.models.loaded)
        assert speech(server.url).status_code == 200
    assert len(opener.opened) == 1


def test_the_number_of_slots_is_known_once_it_is_loaded() -> None:
    with running(Opener(lambda: ToneEngine(slots=7)), lazy=True) as server:
        assert server.service.admission.slots == 1
        assert speech(server.url).status_code == 200
        assert server.service.admission.slots == 7


def test_a_model_that_cannot_be_loaded_keeps_its_reasons_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    opener = Opener()
    opener.broken = True
    with running(opener, lazy=True) as server:
        answer = speech(server.url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
        assert "secret" not in answer.text
        assert "/secret/place" in caplog.text
        assert httpx.get(server.url + "/readyz").json() == {"status": "failed"}
        opener.broken = False
        assert speech(server.url).status_code == 200
        assert httpx.get(server.url + "/readyz").status_code == 200


def test_it_goes_after_a_time_without_work_and_comes_back_when_needed() -> None:
    opener = Opener()
    with running(opener, idle_seconds=0.1) as server:
        until(lambda: opener.opened[0].closed)
        assert httpx.get(server.url + "/readyz").json() == {"status": "asleep"}
        assert speech(server.url).status_code == 200
        assert len(opener.opened) == 2
        until(lambda: opener.opened[1].closed)


def test_it_never_goes_under_a_running_stream() -> None:
    opener = Opener(lambda: ToneEngine(hold_at=3))
    with running(opener, idle_seconds=0.05) as server:
        until(lambda: opener.opened[0].closed)
        with asked(server.url, response_format="pcm") as client:
            client.read(2000)
            engine = opener.opened[1]
            gone = httpx.post(server.url + "/api/gpu/offload")
            assert gone.status_code == 200
            threading.Event().wait(0.2)  # four times as long as it may be idle
            assert not engine.closed
            assert server.service.models.loaded
            engine.go.set()
            client.read(10**9)
        until(lambda: engine.closed)


def test_it_can_be_sent_away_and_comes_back_when_needed() -> None:
    opener = Opener()
    with running(opener) as server:
        assert httpx.post(server.url + "/api/gpu/offload").status_code == 200
        assert opener.opened[0].closed
        assert speech(server.url).status_code == 200
        assert len(opener.opened) == 2
        assert not opener.opened[1].closed


class GpuEngine(ToneEngine):
    """An engine on a GPU that gives back most of its memory when it is closed."""

    def gpu_memory(self) -> GpuMemory:
        return GpuMemory("L40S", 1 << 28, 1 << 29) if self.closed else GpuMemory("L40S", 5 << 29, 3 << 30)


def test_the_gpu_memory_reported_after_unloading_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with running(Opener(GpuEngine)) as server:
        status = server.url + "/api/gpu/status"
        assert httpx.get(status).json()["memory_reserved_gb"] == 3.0
        httpx.post(server.url + "/api/gpu/offload")
        unloaded = httpx.get(status).json()
        assert unloaded == {
            "model_loaded": False,
            "memory_allocated_gb": 0.25,
            "memory_reserved_gb": 0.5,
            "device_name": "L40S",
        }
        assert f"{5 << 29} bytes of GPU memory released" in caplog.text


def test_looking_whether_it_works_does_not_keep_it_awake() -> None:
    opener = Opener()
    with running(opener, idle_seconds=0.3) as server:
        for _ in range(20):
            httpx.get(server.url + "/readyz")
        until(lambda: opener.opened[0].closed)
