"""Client of OpenAI's Realtime API, against voxcli's own server and a stand-in of OpenAI's that rewords."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.server.running import running, serving
from tests.server.tone import ToneEngine
from voxcli.audio.resample import Resampler
from voxcli.engines import open_engine
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.realtime import RealtimeEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RequestError
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import SynthesisRequest, Voice

TEXT = "Hello there, you."
SOUND = base64.b64encode(bytes(4800)).decode()
Event = dict[str, Any]


class StandIn:
    """OpenAI's side, which answers each response with the events of a function."""

    def __init__(self, answer: Callable[[str], list[Event]]) -> None:
        self.asked: list[Event] = []
        self.sockets = 0
        self._answer = answer

    def speak(self, socket: ServerConnection) -> None:
        self.sockets += 1
        try:
            socket.send(json.dumps({"type": "session.created", "event_id": "e", "session": {"type": "realtime"}}))
            for data in socket:
                self.asked.append(event := json.loads(data))
                if event["type"] == "response.create":
                    for answer in self._answer(event["response"]["input"][0]["content"][0]["text"]):
                        socket.send(json.dumps({"event_id": "e", "response_id": "r", **answer}))
        except ConnectionClosed:
            pass


def spoken(text: str, *, status: str = "completed", **details: Any) -> list[Event]:
    return [
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.output_audio_transcript.delta", "delta": text},
        {"type": "response.output_audio.delta", "delta": SOUND},
        {"type": "response.done", "response": {"status": status, "status_details": details}},
        {"type": "rate_limits.updated", "rate_limits": []},
    ]


@contextmanager
def standing_in(answer: Callable[[str], list[Event]]) -> Iterator[tuple[StandIn, RealtimeEngine]]:
    stand_in = StandIn(answer)
    with serve(stand_in.speak, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with closing(opened(f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1")) as engine:
                yield stand_in, engine
        finally:
            server.shutdown()
            thread.join(10)


def opened(url: str) -> RealtimeEngine:
    engine = open_engine(remote=RemoteSettings(url=url, dialect=Dialect.REALTIME, key="any", read_seconds=10))
    assert isinstance(engine, RealtimeEngine)
    return engine


def test_voxclis_own_server_sends_the_samples_of_its_engine(caplog: pytest.LogCaptureFixture) -> None:
    tone = ToneEngine()
    with serving(tone) as url, closing(opened(url)) as engine:
        samples = np.concatenate([chunk.samples for chunk in engine.stream(SynthesisRequest(text=TEXT))])
    resampler = Resampler(tone.sample_rate, 24000)
    sound = np.concatenate([resampler.feed(tone.sound(tone.requests[0])), resampler.finish()])
    assert samples == pytest.approx(sound, abs=1 / 32768)
    assert not caplog.records


def test_a_response_is_out_of_band_in_the_voice_and_the_socket_is_used_again() -> None:
    with standing_in(lambda text: spoken("hello there; YOU")) as (stand_in, engine):
        for _ in range(2):
            list(engine.stream(SynthesisRequest(text=TEXT, voice=Voice(name="marin"), speed=1.25)))
        assert stand_in.sockets == 1
        response = stand_in.asked[0]["response"]
    assert response["conversation"] == "none"
    assert response["audio"]["output"]["voice"] == "marin"
    assert response["audio"]["output"]["speed"] == 1.25


@pytest.mark.parametrize(("said", "told"), [("hello there; YOU", False), ("Hi, you!", True)])
def test_a_text_that_was_reworded_is_told(caplog: pytest.LogCaptureFixture, said: str, told: bool) -> None:
    with standing_in(lambda text: spoken(said)) as (_, engine):
        list(engine.stream(SynthesisRequest(text=TEXT)))
    assert [record.getMessage() for record in caplog.records] == [
        f"The server reworded the text {TEXT!r} as {said!r}."
    ] * told


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ([{"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}], RemoteRefused, "No"),
        ([{"type": "error", "error": None}], RemoteError, "gave no reason"),
        (spoken("", status="failed", error={"type": "server_error", "message": "Ill."}), RemoteError, "Ill"),
        (spoken("", status="incomplete", reason="content_filter"), RemoteCut, "content_filter"),
        ([{"type": "response.output_audio.delta"}], RemoteError, "cannot be read"),
        ([{"type": "response.done", "response": {"status": "completed"}}], RemoteError, "no audio"),
    ],
)
def test_what_goes_wrong_is_an_error(answer: list[Event], error: type[Exception], says: str) -> None:
    with standing_in(lambda text: answer) as (_, engine), pytest.raises(error, match=says):
        list(engine.stream(SynthesisRequest(text=TEXT)))


def test_a_stream_that_is_left_is_cancelled_on_the_server() -> None:
    with running(ToneEngine(chunks=500, pace=1.0, slots=1)) as server, closing(opened(server.url)) as engine:
        speech = engine.stream(SynthesisRequest(text=TEXT))
        next(speech)
        speech.close()
        list(zip(engine.stream(SynthesisRequest(text=TEXT)), range(1), strict=False))  # the slot is free


def test_no_server_and_what_cannot_be_asked_are_told() -> None:
    engine = opened("http://127.0.0.1:9")
    with pytest.raises(RemoteError, match="has no Realtime API"):
        list(engine.stream(SynthesisRequest(text=TEXT)))
    with pytest.raises(RequestError, match=r"0\.25 to 1\.5"):
        list(engine.stream(SynthesisRequest(text=TEXT, speed=3)))
    with pytest.raises(RequestError, match="cannot express the language"):
        list(engine.stream(SynthesisRequest(text=TEXT, language="de")))
    with pytest.raises(RequestError, match="only speaks"):
        RemoteEngine(RemoteSettings(url="http://127.0.0.1:9", dialect=Dialect.REALTIME))
