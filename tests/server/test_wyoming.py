"""Wyoming between the official client and the server, and clients that do everything wrong."""

import asyncio
import json
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wyoming.audio import AudioChunk, AudioStart
from wyoming.client import AsyncClient, AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeVoice,
)

from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.pcm import to_int16
from voxcli.errors import ModelError
from voxcli.protocols.wyoming.frames import Frame
from voxcli.server.private.sockets import open_private_socket
from voxcli.synthesis.request import SynthesisRequest

T = TypeVar("T")


@dataclass
class Serving:
    """A server that speaks Wyoming on a port."""

    server: Running
    port: int

    def talk(self, conversation: Callable[[AsyncClient], Awaitable[T]]) -> T:
        """Hold a conversation over a connection of its own."""

        async def run() -> T:
            async with AsyncTcpClient("127.0.0.1", self.port) as client:
                return await asyncio.wait_for(conversation(client), 20)

        return asyncio.run(run())

    @contextmanager
    def connected(self, window: int | None = None) -> Iterator[socket.socket]:
        with socket.socket() as connection:
            if window:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", self.port))
            yield connection

    def has_ended(self) -> bool:
        service = self.server.service
        return service.admission.used == 0 and len(service.utterances) == 0


@contextmanager
def wyoming(engine: ToneEngine | None = None, *, buffer: int = 0, **settings: Any) -> Iterator[Serving]:
    """buffer: bytes that the system takes from the server before the client has them; 0 for as many as usual."""
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        running(engine or ToneEngine(), wyoming=sock, **settings) as server,
    ):
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        yield Serving(server, sock.getsockname()[1])


@pytest.fixture(scope="module")
def tone() -> Iterator[Serving]:
    with wyoming(ToneEngine(slots=8), knows_voice=lambda name: name == "alloy") as serving:
        yield serving


@dataclass
class Heard:
    """What came back."""

    rate: int = 0
    sound: bytes = b""
    times: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    error: Error | None = None


async def listen(client: AsyncClient, last: str = "audio-stop") -> Heard:
    """Read until an event of a type, an error or the end."""
    heard = Heard()
    while event := await client.read_event():
        if heard.events[-1:] != [event.type]:
            heard.events.append(event.type)
        if AudioStart.is_type(event.type):
            heard.rate = AudioStart.from_event(event).rate
        elif AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (16000, 2, 1)
            heard.sound += chunk.audio
            heard.times.append(chunk.timestamp or 0)
        elif Error.is_type(event.type):
            heard.error = Error.from_event(event)
        if event.type == last:
            break
    return heard


async def whole(client: AsyncClient, text: str, **more: Any) -> Heard:
    await client.write_event(Synthesize(text=text, **more).event())
    return await listen(client)


def expected(text: str, **fields: Any) -> bytes:
    return to_int16(ToneEngine().sound(SynthesisRequest(text=text, **fields)))


def spoken_over_http(serving: Serving, text: str, **fields: Any) -> bytes:
    body = {"model": "tone", "input": text, "voice": "alloy", "response_format": "wav", **fields}
    return httpx.post(serving.server.url + "/v1/audio/speech", json=body, timeout=20).content[44:]


def test_a_whole_text_is_spoken_as_over_http(tone: Serving) -> None:
    text = "Good morning. How are you today?"
    heard = tone.talk(lambda client: whole(client, text, voice=SynthesizeVoice(name="alloy")))
    assert heard.events == ["audio-start", "audio-chunk", "audio-stop"]
    assert heard.rate == 16000
    assert heard.sound == spoken_over_http(tone, text)
    assert heard.times == sorted(heard.times)
    assert heard.times[0] == 0


async def streamed(client: AsyncClient, *pieces: str, voice: SynthesizeVoice | None = None) -> Heard:
    """Send a text as Home Assistant does."""
    await client.write_event(SynthesizeStart(voice=voice).event())
    for piece in pieces:
        await client.write_event(SynthesizeChunk(text=piece).event())
    await client.write_event(Synthesize(text="".join(pieces), voice=voice).event())
    await client.write_event(SynthesizeStop().event())
    heard = await listen(client, "synthesize-stopped")
    await client.write_event(Synthesize(text="Last.").event())
    assert (await listen(client)).sound == expected("Last."), "the whole text was spoken too"
    return heard


def test_a_streamed_text_is_spoken_once_and_as_a_whole_one(tone: Serving) -> None:
    voice = SynthesizeVoice(name="alloy")
    heard = tone.talk(lambda client: streamed(client, "Good mor", "ning. How ", "are you", " today?", voice=voice))
    assert heard.events == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert heard.sound == spoken_over_http(tone, "Good morning. How are you today?")


def test_a_streamed_text_is_spoken_while_it_is_written(tone: Serving) -> None:
    async def talk(client: AsyncClient) -> Heard:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk(text="This is the first sentence. This is").event())
        begun = await listen(client, "audio-chunk")
        assert begun.events == ["audio-start", "audio-chunk"]
        await client.write_event(SynthesizeChunk(text=" the second.").event())
        await client.write_event(SynthesizeStop().event())
        return await listen(client, "synthesize-stopped")

    assert tone.talk(talk).events == ["audio-chunk", "audio-stop", "synthesize-stopped"]


def test_one_connection_serves_many_texts_even_before_the_last_is_spoken(tone: Serving) -> None:
    async def talk(client: AsyncClient) -> list[Heard]:
        for text in ("One.", "Two.", "Three."):
            await client.write_event(Synthesize(text=text).event())
        return [await listen(client) for _ in range(3)]

    assert [heard.sound for heard in tone.talk(talk)] == [expected("One."), expected("Two."), expected("Three.")]


class ManyVoices(ToneEngine):
    """Voices with languages."""

    voice_names = frozenset({"anna", "bert"})

    def languages_of(self, voice: str) -> tuple[str, ...]:
        return {"anna": ("de",)}.get(voice, ("de", "en"))


def test_voices_are_described_with_their_languages() -> None:
    async def talk(client: AsyncClient) -> Info:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event
        return Info.from_event(event)

    with wyoming(ManyVoices()) as serving:
        (program,) = serving.talk(talk).tts
    assert {voice.name: voice.languages for voice in program.voices} == {"anna": ["de"], "bert": ["de", "en"]}


def test_it_describes_itself(tone: Serving) -> None:
    async def talk(client: AsyncClient) -> Info:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event
        return Info.from_event(event)

    (program,) = tone.talk(talk).tts
    assert (program.name, program.installed, program.supports_synthesize_streaming) == ("voxcli", True, True)
    assert [voice.name for voice in program.voices] == ["default"]
    assert {"en", "de", "zh"} <= set(program.voices[0].languages)


def test_it_answers_a_ping_while_it_speaks(tone: Serving) -> None:
    async def talk(client: AsyncClient) -> Event | None:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(Ping(text="there?").event())
        return await client.read_event()

    event = tone.talk(talk)
    assert event
    assert Pong.from_event(event).text == "there?"


@pytest.mark.parametrize(
    ("voice", "language"), [(SynthesizeVoice(language="de_DE"), "de-DE"), (SynthesizeVoice(name="alloy"), None)]
)
def test_a_voice_is_chosen_by_its_name_or_its_language(voice: SynthesizeVoice, language: str | None) -> None:
    engine = ToneEngine()
    with wyoming(engine, knows_voice=lambda name: name == "alloy") as serving:
        serving.talk(lambda client: whole(client, "Ja.", voice=voice))
    assert (engine.requests[0].voice.name, engine.requests[0].language) == (voice.name, language)


def test_unknown_types_are_passed_over(tone: Serving) -> None:
    async def talk(client: AsyncClient) -> Heard:
        await client.write_event(Event("transcribe", {"language": "en"}, b"payload"))
        return await whole(client, "Yes.")

    assert tone.talk(talk).sound == expected("Yes.")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            [Synthesize(text="a", voice=SynthesizeVoice(name="bert"))],
            "no voice named 'bert'. The voices here:",
        ),
        ([Synthesize(text="a", voice=SynthesizeVoice(name="alloy", speaker="x"))], "have no speakers"),
        ([Synthesize(text="<speak>a</speak>", text_format="ssml")], "in the format 'ssml' cannot be read"),
        ([Synthesize(text=" ")], "no words"),
        ([Synthesize(text="👍")], "no words"),
        ([Synthesize(text="a" * 100_001)], "too long: at most 100000"),
        ([SynthesizeChunk(text="a")], "No text has begun"),
        ([SynthesizeStop()], "No text has begun"),
        ([SynthesizeStart(), SynthesizeStart()], "A text has begun"),
        ([SynthesizeStart(), SynthesizeStop()], "no words"),
        ([Event("synthesize", {})], "'text' is missing"),
        ([Event("synthesize", {"text": 5})], "'text'"),
        ([SynthesizeStart(), *[SynthesizeChunk(text="a" * 60_000)] * 2], "too long"),
        ([Synthesize(text="Yes.")] * 40, "texts are waiting"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_the_end(tone: Serving, frames: list[Any], message: str) -> None:
    async def talk(client: AsyncClient) -> Heard:
        for frame in frames:
            await client.write_event(frame if isinstance(frame, Event) else frame.event())
        return await listen(client, "never")

    heard = tone.talk(talk)
    assert heard.events[-1] == "error"
    assert heard.error
    assert message in heard.error.text
    assert heard.error.code
    until(tone.has_ended)


def test_the_failure_of_the_engine_is_an_error() -> None:
    with wyoming(ToneEngine(fail_at=2, error=ModelError("A secret path broke."))) as serving:
        heard = serving.talk(lambda client: whole(client, "Yes."))
        until(serving.has_ended)
    assert heard.events == ["audio-start", "audio-chunk", "error"]
    assert heard.error
    assert heard.error.text == "The model failed. See the server log."


def test_a_full_queue_is_an_error() -> None:
    engine = ToneEngine(slots=1, hold_at=0)
    with wyoming(engine, queue=0) as serving, serving.connected() as first:
        first.sendall(Frame("synthesize", {"text": "One."}).to_bytes())
        until(lambda: serving.server.service.admission.used == 1)
        heard = serving.talk(lambda client: whole(client, "Two."))
        engine.go.set()
    assert heard.error
    assert heard.error.code == "busy"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b'{"type": "x", "data_length": -1}\n', b"\0" * 70_000])
def test_what_is_no_frame_is_an_error_and_the_end(tone: Serving, data: bytes) -> None:
    with tone.connected() as connection:
        connection.sendall(data)
        answer = read_all(connection)
    assert json.loads(answer.split(b"\n")[0])["type"] == "error"


def test_the_error_arrives_though_the_client_sends_on(tone: Serving) -> None:
    with tone.connected() as connection:
        connection.sendall(b"\n" + b"x" * 3_000_000)
        assert b"is not a JSON object" in read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            answer += data
    return answer


def test_a_client_that_only_sends_no_more_hears_everything() -> None:
    engine = ToneEngine(chunks=15)
    with wyoming(engine, buffer=4096) as serving, serving.connected(window=4096) as connection:
        connection.sendall(Frame("synthesize", {"text": "This takes more than the buffers of the system."}).to_bytes())
        connection.shutdown(socket.SHUT_WR)
        until(lambda: engine.made == 15 and serving.has_ended())
        assert read_all(connection).endswith(Frame("audio-stop").to_bytes())


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("whole_text", [True, False])
def test_a_client_that_leaves_stops_the_speech(kill: bool, whole_text: bool) -> None:
    engine = ToneEngine(chunks=10_000, pace=0.05)
    with wyoming(engine) as serving:
        with serving.connected() as connection:
            if whole_text:
                connection.sendall(Frame("synthesize", {"text": "A sentence."}).to_bytes())
            else:
                chunk = Frame("synthesize-chunk", {"text": "A sentence. And"})
                connection.sendall(Frame("synthesize-start").to_bytes() + chunk.to_bytes())
            connection.recv(1000)
            if kill:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert engine.idle.wait(10)
        until(serving.has_ended)
        assert engine.made < 10_000
        metrics = serving.server.service.metrics.text()
        assert b'sockets_open{protocol="wyoming"} 0.0' in metrics
        assert b'utterances_total{ending="client_left",protocol="wyoming"} 1.0' in metrics


def test_a_client_that_does_not_read_is_cut_off() -> None:
    engine = ToneEngine(chunks=3000, chunk_seconds=1.0)
    with wyoming(engine, send_seconds=0.3) as serving, serving.connected(window=4096) as connection:
        connection.sendall(Frame("synthesize", {"text": "A sentence."}).to_bytes())
        until(lambda: engine.made > 0)
        until(serving.has_ended)
        assert engine.made < 3000


@pytest.mark.parametrize(
    ("sent", "settings"),
    [
        (b"", {"socket_idle_seconds": 0.2}),
        (Frame("synthesize-start").to_bytes(), {"writer_seconds": 0.2}),
        (b'{"type": "synth', {"receive_seconds": 0.2}),
        (b'{"type": "synthesize", "data_length": 100}\n{', {"receive_seconds": 0.2}),
    ],
)
def test_a_client_that_says_nothing_more_is_closed(sent: bytes, settings: dict[str, float]) -> None:
    with wyoming(**settings) as serving, serving.connected() as connection:
        connection.sendall(sent)
        assert b"sent nothing for too long" in read_all(connection)
        until(serving.has_ended)


def test_a_client_that_sends_drop_by_drop_is_closed() -> None:
    with wyoming(receive_seconds=0.3) as serving, serving.connected() as connection:
        drops = 0
        while drops < 100 and not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(b" ")
            drops += 1
        assert drops < 100
        assert b"sent nothing for too long" in read_all(connection)


def test_a_long_speech_is_no_silence_of_the_client() -> None:
    engine = ToneEngine(chunks=4, pace=4.0)
    with wyoming(engine, socket_idle_seconds=0.6) as serving:
        heard = serving.talk(lambda client: whole(client, "Yes."))
    assert heard.events[-1] == "audio-stop"


def test_too_many_connections_are_refused() -> None:
    with wyoming(max_sockets=1) as serving, serving.connected() as first:
        first.sendall(Frame("ping", {"text": "a"}).to_bytes())
        assert first.recv(1000)
        with serving.connected() as second:
            assert b"too many connections" in read_all(second)


def test_stopping_lets_what_is_spoken_end_and_closes_idle_connections() -> None:
    engine = ToneEngine(chunks=6, hold_at=3)
    with wyoming(engine) as serving, serving.connected() as idle, serving.connected() as speaking:
        idle.sendall(Frame("ping").to_bytes())
        assert b"pong" in idle.recv(1000)
        speaking.sendall(Frame("synthesize", {"text": "A sentence."}).to_bytes())
        begin = speaking.recv(1000)
        serving.server.call(serving.server.host.stop)
        assert read_all(idle) == b""
        with suppress(ConnectionError), serving.connected() as late:
            assert late.recv(1) == b""
        engine.go.set()
        assert b'"audio-stop"' in begin + read_all(speaking)


def test_a_unix_socket_serves_too(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with open_private_socket(path) as private, running(ToneEngine(), wyoming=private.sock):
        assert path.stat().st_mode & 0o777 == 0o600

        async def talk() -> Heard:
            client = AsyncClient.from_uri(f"unix://{path}")
            async with client:
                return await asyncio.wait_for(whole(client, "Yes."), 20)

        assert asyncio.run(talk()).sound == expected("Yes.")
    assert not path.exists()


FRAMES = st.sampled_from(
    [
        Frame("describe"),
        Frame("ping", {"text": "x"}),
        Frame("synthesize", {"text": "Yes."}),
        Frame("synthesize-start"),
        Frame("synthesize-start", {"voice": {"name": "bert"}}),
        Frame("synthesize-chunk", {"text": "One. Two"}),
        Frame("synthesize-chunk", {"text": "👍"}),
        Frame("synthesize-stop"),
        Frame("synthesize", {"text": 4}),
        Frame("select-program", {"name": "voxcli"}),
        Frame("audio-chunk", {"rate": 16000}, b"\0" * 100),
    ]
)


@given(frames=st.lists(FRAMES, max_size=8), cut=st.integers(0, 60), kill=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_frames_leaves_nothing_behind(tone: Serving, frames: list[Frame], cut: int, kill: bool) -> None:
    data = b"".join(frame.to_bytes() for frame in frames)
    with tone.connected() as connection:
        connection.sendall(data[: max(0, len(data) - cut)])
        if kill:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
            assert not answer or answer.startswith(b'{"type": ')
    until(tone.has_ended)
    until(lambda: b'sockets_open{protocol="wyoming"} 0.0' in tone.server.service.metrics.text())
