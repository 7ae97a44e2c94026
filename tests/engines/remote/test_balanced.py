"""Several servers share the texts: the fewest streams, failover before the first sound, spares, and dead ones."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from tests.engines.remote.replay import posts, replaying
from tests.engines.remote.sounds import VOXCLI, sound
from tests.server.routes.test_speech_stream import STREAMED, audio_in, talking
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import Samples
from voxcli.engines import open_engine
from voxcli.engines.remote.balanced import BalancedEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import NotFound, RemoteCut, RemoteError
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import SynthesisRequest, Voice

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
HELLO = SynthesisRequest(text="Hello there.")


def settings_of(*urls: str) -> RemoteSettings:
    first, *others = (RemoteSettings(url=url, retry_delays=(0.01, 0.01)) for url in urls)
    return RemoteSettings(url=first.url, retry_delays=(0.01, 0.01), others=tuple(others))


@contextmanager
def group(*urls: str) -> Iterator[BalancedEngine]:
    engine = open_engine(remote=settings_of(*urls))
    assert isinstance(engine, BalancedEngine)
    with closing(engine):
        yield engine


@contextmanager
def described(tone: ToneEngine, **more: Any) -> Iterator[Running]:
    """A server that has described its API before: two servers of one process cannot do so at the same moment."""
    with running(tone, **more) as server:
        assert httpx.get(server.url + "/openapi.json").is_success
        yield server


@contextmanager
def two(first: ToneEngine, second: ToneEngine, **more: str) -> Iterator[tuple[Running, Running, BalancedEngine]]:
    """Two servers, and both of them as one engine."""
    with ExitStack() as stack:
        one = stack.enter_context(described(first))
        other = stack.enter_context(described(second, **more))
        engine = stack.enter_context(group(one.url, other.url))
        until(lambda: all(server.problem is None for server in engine.servers()))
        yield one, other, engine


def heard(engine: BalancedEngine, request: SynthesisRequest = HELLO) -> Samples:
    with closing(engine.stream(request)) as chunks:
        return np.concatenate([chunk.samples for chunk in chunks])


def nobody() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_each_text_goes_to_the_server_with_the_fewest_streams() -> None:
    first, second = ToneEngine(hold_at=1, slots=8), ToneEngine(hold_at=1, slots=8)
    with two(first, second) as (_, _, engine):
        threads = [threading.Thread(target=heard, args=(engine,)) for _ in range(6)]
        for number, thread in enumerate(threads, 1):
            thread.start()
            until(lambda number=number: first.running + second.running == number)  # type: ignore[misc]
            assert abs(first.running - second.running) <= 1
        assert [server.streams for server in engine.servers()] == [3, 3]
        first.go.set()
        second.go.set()
        for thread in threads:
            thread.join()
        assert [server.streams for server in engine.servers()] == [0, 0]


def test_a_full_server_gets_nothing_while_another_has_a_slot() -> None:
    small, large = ToneEngine(hold_at=1, slots=1), ToneEngine(hold_at=1, slots=8)
    with two(small, large) as (_, _, engine):
        assert engine.slots == 9
        threads = [threading.Thread(target=heard, args=(engine,)) for _ in range(5)]
        for number, thread in enumerate(threads, 1):
            thread.start()
            until(lambda number=number: small.running + large.running == number)  # type: ignore[misc]
        assert (small.running, large.running) == (1, 4)
        small.go.set()
        large.go.set()
        for thread in threads:
            thread.join()


def test_a_text_stays_on_one_server_and_goes_on_elsewhere_if_that_dies() -> None:
    first, second = ToneEngine(), ToneEngine()
    with ExitStack() as stack:
        other = stack.enter_context(described(second))
        with ExitStack() as dying:
            one = dying.enter_context(described(first))
            engine = stack.enter_context(group(one.url, other.url))
            until(lambda: len({server.problem for server in engine.servers()}) == 1)

            def parts() -> Iterator[str]:
                yield from ["One.", "Two."]
                until(lambda: not first.running)
                dying.close()
                yield "Three."

            spoken = list(only_chunks(synthesize(engine, parts(), Delivery())))
        assert [request.text for request in first.requests] == ["One.", "Two."]
        assert [request.text for request in second.requests] == ["Three."]
        assert sum(chunk.seconds for chunk in spoken) > 1
        until(lambda: engine.servers()[0].problem is not None)
        assert [server.streams for server in engine.servers()] == [0, 0]


def test_another_server_is_asked_before_the_first_sound_and_none_after_it() -> None:
    broken, whole = ToneEngine(fail_at=0), ToneEngine()
    with two(broken, whole) as (_, _, engine):
        for _ in range(4):
            assert len(heard(engine)) == len(whole.sound(HELLO))
        assert engine.servers()[0].failures == len(broken.requests) >= 1
        assert len(whole.requests) == 4
    torn = ToneEngine(fail_at=2)
    with two(torn, whole) as (_, _, engine):
        with pytest.raises(RemoteCut):
            heard(engine)
        assert len(torn.requests) == 1
        until(lambda: engine.servers()[0].problem is None)  # it was looked at, and answers


def test_a_server_that_refuses_is_passed_over_and_the_wait_is_the_shortest() -> None:
    first, second = ToneEngine(slots=1, hold_at=1), ToneEngine(slots=1, hold_at=1)
    with ExitStack() as stack:
        servers = [stack.enter_context(described(tone, queue=0)) for tone in (first, second)]
        engine = stack.enter_context(group(*(server.url for server in servers)))
        until(lambda: engine.slots == 2)
        others = [stack.enter_context(group(server.url, nobody())) for server in servers]
        taken = [threading.Thread(target=heard, args=(other,)) for other in others[:1]]
        taken[0].start()
        until(lambda: bool(first.running))  # somebody else has taken the only slot, as this engine does not know
        spoken = threading.Thread(target=heard, args=(engine,))
        spoken.start()
        until(lambda: bool(second.running))
        with pytest.raises(RemoteError) as refused:
            heard(engine)
        assert getattr(refused.value, "status", None) == 503
        assert getattr(refused.value, "retry_after", None) is not None
        first.go.set()
        second.go.set()
        for thread in (*taken, spoken):
            thread.join()


def test_a_dead_server_is_left_out_by_name_and_used_when_it_answers() -> None:
    tone, late = ToneEngine(), ToneEngine()
    dead = nobody()
    port = int(dead.rpartition(":")[2])
    with described(tone) as server, group(dead, server.url) as engine:
        until(lambda: "nothing listens" in (engine.servers()[0].problem or ""))
        assert (engine.servers()[0].name, engine.slots) == (f"127.0.0.1:{port}", 2)
        heard(engine)
        with running(late, port=port):
            until(lambda: engine.servers()[0].problem is None, 20)
            assert engine.slots == 4
            heard(engine)
        assert (len(tone.requests), len(late.requests)) == (1, 1)
    with pytest.raises(RemoteError, match=r"None of the servers answers.*" + str(port)):
        open_engine(remote=settings_of(dead, nobody()))


def test_a_server_with_another_model_is_a_spare() -> None:
    usual, spare = ToneEngine(slots=3), ToneEngine(slots=5, sample_rate=8000)
    with ExitStack() as stack:
        one = stack.enter_context(described(usual))
        other = stack.enter_context(described(spare, model="hum", knows_voice=lambda name: name == "hummer"))
        engine = stack.enter_context(group(one.url, other.url))
        until(lambda: engine.servers()[1].problem is None)
        assert [server.spare for server in engine.servers()] == [False, True]
        assert engine.slots == 3
        for _ in range(3):
            heard(engine)
        assert len(usual.requests) == 3
        heard(engine, SynthesisRequest(text="Hello.", voice=Voice(name="hummer")))  # only the spare has it
        assert [request.voice.name for request in spare.requests] == ["hummer"]
        with pytest.raises(NotFound):
            heard(engine, SynthesisRequest(text="Hello.", voice=Voice(name="nobody")))


def test_a_server_that_shuts_down_gets_no_more_texts() -> None:
    first, second = ToneEngine(hold_at=1), ToneEngine()
    with two(first, second) as (one, _, engine):
        talking = threading.Thread(target=heard, args=(engine,))
        talking.start()
        until(lambda: bool(first.running))
        one.call(one.host.stop)
        until(lambda: one.service.admission.draining)
        for _ in range(3):
            heard(engine)
        assert (len(first.requests), len(second.requests)) == (1, 3)
        until(lambda: engine.servers()[0].problem is not None)
        first.go.set()
        talking.join()


def test_the_same_seed_gives_the_same_samples_on_each_server() -> None:
    with two(ToneEngine(), ToneEngine()) as (_, _, engine):
        assert np.array_equal(heard(engine), heard(engine))
        assert [server.failures for server in engine.servers()] == [0, 0]


def test_servers_of_other_programs_share_texts_too() -> None:
    with replaying(posts(sound, VOXCLI)) as one, replaying(posts(sound, VOXCLI)) as other:
        with group(one.url, other.url) as engine:
            until(lambda: all(server.problem is None for server in engine.servers()))
            for _ in range(4):
                heard(engine)
        assert [len(server.of("POST")) for server in (one, other)] == [2, 2]


def test_a_gateway_names_dead_servers_to_those_with_a_key_and_speaks_on_through_the_others() -> None:
    with ExitStack() as stack:
        alive = stack.enter_context(described(ToneEngine(slots=3)))
        with ExitStack() as dying:
            dead = dying.enter_context(described(ToneEngine(slots=4)))
            through = stack.enter_context(
                running(lambda: open_engine(remote=settings_of(dead.url, alive.url)), keys=frozenset({"k"}))
            )
            client = stack.enter_context(httpx.Client(base_url=through.url, headers={"authorization": "Bearer k"}))
            until(lambda: client.get("/health").json()["slots"] == 7)
            dying.close()
        for _ in range(3):
            assert client.post("/v1/audio/speech", json=FIELDS).status_code == 200
        until(lambda: client.get("/health").json()["servers"][0]["status"] == "left out")
        health = client.get("/health").json()
        assert [health["servers"][0]["name"], health["slots"]] == [dead.url.removeprefix("http://"), 3]
        assert "Cannot reach" in health["servers"][0]["problem"]
        assert health["servers"][1]["status"] == "used"
        public = httpx.get(through.url + "/health")
        assert dead.url.removeprefix("http://") not in public.text
        assert public.json()["servers"][0]["status"] == "left out"
        name = dead.url.removeprefix("http://")
        assert f'voxcli_server_up{{server="{name}"}} 0.0' in client.get("/metrics").text
        assert client.get("/readyz").status_code == 200


def test_a_gateway_is_not_ready_while_no_server_answers() -> None:
    with ExitStack() as stack:
        with ExitStack() as dying:
            urls = [dying.enter_context(described(ToneEngine())).url for _ in range(2)]
            through = stack.enter_context(running(lambda: open_engine(remote=settings_of(*urls)), probe=None))
            assert httpx.get(through.url + "/readyz").json() == {"status": "ready"}
        assert httpx.post(through.url + "/v1/audio/speech", json=FIELDS).status_code == 502
        answer = httpx.get(through.url + "/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unreachable"})


def test_a_socket_of_a_gateway_is_spoken_by_one_server() -> None:
    first, second = ToneEngine(), ToneEngine()
    with ExitStack() as stack:
        servers = [stack.enter_context(described(tone)) for tone in (first, second)]
        through = stack.enter_context(running(lambda: open_engine(remote=settings_of(*(each.url for each in servers)))))
        with talking(through) as client:
            client.say(STREAMED, "One sentence. And another one.", "input.done")
            received = audio_in(client.until("session.done"))
    assert len(received) > 10000
    assert sorted([len(first.requests), len(second.requests)]) == [0, 2]
