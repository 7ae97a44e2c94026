"""The client of a resident engine, against a real server on both kinds of private sockets."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.protocols.test_voxcpm import requests
from tests.server.private.resident import Resident, resident
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import Samples
from voxcli.engines.resident.client import ResidentEngine
from voxcli.engines.resident.connection import Exchange
from voxcli.engines.resident.registry import READY, EngineEntry
from voxcli.engines.resident.running import RunningEngine
from voxcli.errors import DeviceError, ModelError, NotFound, RequestError, VoxError
from voxcli.processes import started_at
from voxcli.server.routes.private import describe_state
from voxcli.synthesis.request import Clip, Prompt, SynthesisRequest, Voice, abilities_of

HELLO = SynthesisRequest(text="Hello.")

New = Callable[[ToneEngine], ResidentEngine]


def entry_of(server: Resident) -> EngineEntry:
    """Return the entry that the process of an engine would write. It serves, so that nothing kills this process."""
    private = server.private
    where = {"socket": str(private.path)} if private.path else {"port": private.port, "key": private.key}
    known = {"pid": os.getpid(), "started": started_at(os.getpid()), "state": READY, "model": "tone", "serves": "test"}
    card = {"sample_rate": 0, "abilities": {}, **describe_state(server.service)}
    return EngineEntry("k", {**known, **where, "card": card})


def not_again(entry: EngineEntry) -> EngineEntry:
    raise AssertionError("it was started again")


@contextmanager
def client_of(engine: ToneEngine, folder: Path, *, keyed: bool = False) -> Iterator[ResidentEngine]:
    with (
        resident(engine, folder, keyed=keyed) as server,
        closing(ResidentEngine(entry_of(server), not_again, 60.0)) as client,
    ):
        yield client


def sound_of(engine: ResidentEngine, request: SynthesisRequest) -> Samples:
    with closing(engine.stream(request)) as chunks:
        return np.concatenate([chunk.samples for chunk in chunks] or [np.zeros(0, np.float32)])


@pytest.fixture(params=[False, True], ids=["socket", "port"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ResidentEngine, ToneEngine]]:
    engine = ToneEngine()
    with client_of(engine, tmp_path, keyed=request.param) as client:
        yield client, engine


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoken=requests)
def test_the_samples_are_those_of_the_engine(
    client: tuple[ResidentEngine, ToneEngine], spoken: SynthesisRequest
) -> None:
    speaker, engine = client
    assert np.array_equal(sound_of(speaker, spoken), engine.sound(engine.requests[-1]))
    asked = engine.requests[-1]
    assert replace(asked, voice=Voice()) == replace(spoken, voice=Voice())
    assert asked.text_language == spoken.text_language


def test_it_knows_what_the_engine_can_do(client: tuple[ResidentEngine, ToneEngine]) -> None:
    speaker, engine = client
    assert abilities_of(speaker) == abilities_of(engine)
    assert (speaker.slots, speaker.draws_voices) == (engine.slots, engine.draws_voices)


def test_a_clip_crosses_once(client: tuple[ResidentEngine, ToneEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    speaker, engine = client
    sizes: list[int] = []

    class Counted(Exchange):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            if len(arguments) == 5:  # with a body
                sizes.append(len(arguments[-1]))  # type: ignore[arg-type]

    monkeypatch.setattr("voxcli.engines.resident.client.Exchange", Counted)
    clip = Clip(bytes(100_000), "Käse 音, 100%.wav")
    for text in ("One.", "Two.", "Three."):
        request = replace(HELLO, text=text, voice=Voice(reference=clip, prompt=Prompt(clip, "What is said.")))
        assert len(sound_of(speaker, request))
        assert engine.requests[-1].voice.reference == clip
    assert [size > 100_000 for size in sizes] == [False, True, False, False]


@pytest.mark.parametrize(
    "error",
    [
        RequestError("It cannot sing.", on_command_line="Leave out --sing."),
        NotFound("There is no voice 'x'.", on_command_line="See: voxcli voices"),
        ModelError("It broke."),
        DeviceError("The device is gone."),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("fail_at", [0, 2], ids=["before the sound", "after it"])
def test_errors_are_raised_as_in_the_engine(tmp_path: Path, error: VoxError, fail_at: int) -> None:
    with client_of(ToneEngine(fail_at=fail_at, error=error), tmp_path) as client:
        chunks = client.stream(HELLO)
        heard = 0
        with pytest.raises(type(error)) as raised:
            for chunk in chunks:
                heard += len(chunk.samples)
    assert str(raised.value) == str(error)
    assert raised.value.for_command_line == error.for_command_line
    assert (heard > 0) == (fail_at > 0)


def test_an_engine_without_sound_yields_nothing(tmp_path: Path) -> None:
    with client_of(ToneEngine(chunks=0), tmp_path) as client:
        assert list(client.stream(HELLO)) == []


def test_what_was_begun_is_used_if_it_is_asked_for(client: tuple[ResidentEngine, ToneEngine]) -> None:
    speaker, engine = client
    speaker.begin(HELLO)
    assert np.array_equal(sound_of(speaker, HELLO), engine.sound(HELLO))
    assert len(engine.requests) == 1


def test_what_was_begun_is_cancelled_if_something_else_is_asked_for(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=1000, pace=1.0)
    other = replace(HELLO, text="Something else.")
    with client_of(engine, tmp_path) as speaker:
        speaker.begin(HELLO)
        until(lambda: engine.running == 1)
        with closing(speaker.stream(other)) as chunks:
            next(chunks)
            until(lambda: engine.running == 1)
        until(lambda: engine.running == 0)
        speaker.begin(HELLO)
        until(lambda: engine.running == 1)
        speaker.close()
        until(lambda: engine.running == 0)
    assert [request.text for request in engine.requests] == ["Hello.", "Something else.", "Hello."]


def test_an_engine_is_told_to_stay_and_to_end(tmp_path: Path) -> None:
    with resident(ToneEngine(), tmp_path) as server:
        running = RunningEngine(entry_of(server), describe_state(server.service))
        running.keep(90.0)
        assert server.service.keep_alive.seconds == 90
        running.keep(float("inf"))
        assert server.service.keep_alive.seconds < 0
        running.stop()
        assert server.ends()


def test_an_engine_that_is_about_to_end_is_replaced(tmp_path: Path) -> None:
    first, second = ToneEngine(hold_at=1), ToneEngine()
    (tmp_path / "second").mkdir()
    with resident(first, tmp_path) as server, resident(second, tmp_path / "second") as other:
        speaking, client = (ResidentEngine(entry_of(server), lambda ended: entry_of(other), 60.0) for _ in range(2))
        chunks = speaking.stream(HELLO)
        next(chunks)
        until(lambda: len(server.service.holds) == 1)
        server.call(server.host.stop)  # after what it is speaking
        until(lambda: server.service.admission.draining)
        with closing(client):
            assert np.array_equal(sound_of(client, HELLO), second.sound(HELLO))
        first.go.set()
        assert len(list(chunks)) > 0
        assert len(sound_of(speaking, HELLO)) > 0  # the next part of its text
        speaking.close()
        assert server.ends()
    assert len(second.requests) == 1


def test_a_call_whose_engine_is_stopped_at_once_says_so(tmp_path: Path) -> None:
    engine = ToneEngine(hold_at=0)
    with resident(engine, tmp_path) as server, ThreadPoolExecutor() as pool:
        client = ResidentEngine(entry_of(server), not_again, 60.0)
        spoken = pool.submit(sound_of, client, HELLO)
        until(lambda: engine.running == 1)
        RunningEngine(entry_of(server), None).stop(now=True)
        engine.go.set()
        with pytest.raises(DeviceError, match="was stopped while it was speaking"):
            spoken.result(60)
        client.close()
        assert server.ends()
