"""Texts that travel to a server while they are being written."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pytest

from tests.engines.remote.text_servers import Other, SglangOmni, VllmOmni, standing_in
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteError, RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Piece, Sampling, SentenceMark, Voice
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.parts import Silence, read_parts

TEXT = "Hello there, **all of you**. [pause 0.25s] The second sentence of it. And the beginning of a third"
SENTENCES = ["Hello there, all of you.", "The second sentence of it.", "And the beginning of a third"]
TONE = Delivery(voice=Voice(name="tone"))


@dataclass
class Written:
    """A text of a program that waits for its speech."""

    pieces: Iterator[str | Silence]
    markdown: bool = True
    waited: int = 0
    check: Callable[[], None] = lambda: None

    def waiting(self) -> None:
        self.waited += 1

    def playing(self) -> float:
        return 0.0


def stream(
    url: str, text: Iterator[str | Silence], delivery: Delivery = TONE, check: Callable[[], None] = lambda: None
) -> Generator[Piece]:
    """Yield what comes back. The engine is closed at the end."""
    with closing(RemoteEngine(RemoteSettings(url=url, retry_delays=()))) as engine:
        pieces = engine.stream_text(Written(text, check=check), delivery, Stopwatch())
        assert pieces is not None
        with closing(pieces):
            yield from pieces


def in_pieces(text: str, size: int = 7) -> Iterator[str | Silence]:
    return iter([text[at : at + size] for at in range(0, len(text), size)])


def samples_of(pieces: list[Piece]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces if isinstance(piece, AudioChunk)])


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(slots=4), knows_voice=lambda name: name == "tone") as server:
        yield server


def test_a_text_sounds_as_if_it_were_spoken_here(server: Running) -> None:
    came = list(stream(server.url, in_pieces(TEXT)))
    made = list(synthesize(ToneEngine(), read_parts([TEXT], markdown=True), TONE))
    assert np.allclose(samples_of(came), samples_of(made), atol=1 / 32768)
    assert [(mark.text, mark.span, mark.start, mark.end) for mark in came if isinstance(mark, SentenceMark)] == [
        (mark.text, mark.span, mark.start, mark.end) for mark in made if isinstance(mark, SentenceMark)
    ]


def test_the_volume_is_that_of_this_machine(server: Running) -> None:
    loud, soft = (
        samples_of(list(stream(server.url, in_pieces(TEXT), Delivery(voice=TONE.voice, volume=volume))))
        for volume in (1.0, 0.5)
    )
    assert np.allclose(loud * 0.5, soft)


def test_a_sentence_is_spoken_while_the_next_is_written(server: Running) -> None:
    written: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    pieces = stream(server.url, iter(written.get, None))  # type: ignore[arg-type]
    with closing(pieces):
        written.put("The first one. The")
        mark = next(pieces)
        assert isinstance(mark, SentenceMark)
        assert mark.text == "The first one."
        written.put(" second.")
        written.put(None)
        assert "The second." in [piece.text for piece in pieces if isinstance(piece, SentenceMark)]


def test_a_program_that_stops_cancels_what_the_server_speaks() -> None:
    engine = ToneEngine(chunks=10_000, chunk_seconds=1.0)
    with running(engine, probe=None) as server:
        written = threading.Event()

        def text() -> Iterator[str | Silence]:
            yield "A sentence without an end. And more"
            written.wait(20)

        with closing(stream(server.url, text(), Delivery())) as pieces:
            next(piece for piece in pieces if isinstance(piece, AudioChunk))
        until(lambda: not engine.running and server.service.admission.used == 0)
        written.set()
        assert engine.made < 100


def test_a_check_that_fails_ends_the_wait(server: Running) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    end = threading.Event()

    def text() -> Iterator[str | Silence]:
        yield "Never"
        end.wait(20)

    with pytest.raises(KeyboardInterrupt):
        list(stream(server.url, text(), check=stopped))
    end.set()


def test_a_text_that_cannot_be_read_is_an_error_here(server: Running) -> None:
    def text() -> Iterator[str | Silence]:
        yield "Hello. "
        raise RequestError("It is not text.")

    with pytest.raises(RequestError, match="It is not text"):
        list(stream(server.url, text()))


def test_an_engine_that_breaks_there_is_an_error_here() -> None:
    with running(ToneEngine(fail_at=1), probe=None) as server, pytest.raises(RemoteError, match="model failed"):
        list(stream(server.url, in_pieces("Hello. Again."), Delivery()))


def test_a_server_that_is_gone_is_an_error_here() -> None:
    engine = ToneEngine(chunks=100, hold_at=3)
    with (
        running(engine, probe=None, drain_seconds=0.1) as server,
        closing(stream(server.url, in_pieces("Hello there."), Delivery())) as pieces,
    ):
        next(pieces)
        server.call(server.host.stop)
        with pytest.raises(RemoteError):
            list(pieces)
        engine.go.set()


@pytest.mark.parametrize(
    ("delivery", "options"),
    [
        (Delivery(sampling=Sampling(guidance=3.0)), ClientOptions()),
        (Delivery(gap_seconds=0.5), ClientOptions()),
        (Delivery(denoise=True), ClientOptions()),
        (Delivery(), ClientOptions(stream=False)),
        (Delivery(), ClientOptions(extra={"mood": "good"})),
        (Delivery(voice=Voice(name="nobody")), ClientOptions()),
    ],
)
def test_what_the_messages_cannot_express_is_asked_for_over_http(
    server: Running, delivery: Delivery, options: ClientOptions
) -> None:
    with closing(RemoteEngine(RemoteSettings(url=server.url, options=options))) as engine:
        assert engine.stream_text(Written(iter(["Hello."])), delivery, Stopwatch()) is None


def test_the_settings_of_a_session_are_those_of_the_user(server: Running) -> None:
    sampling = Sampling(steps=7, seed=5)
    list(
        stream(server.url, in_pieces("Ten: 10."), Delivery(sampling=sampling, language="en", speed=2.0, normalize=True))
    )
    asked = server.service.models.engine.requests[-1]  # type: ignore[union-attr]
    assert (asked.sampling.steps, asked.sampling.seed, asked.language, asked.speed, asked.normalize) == (
        *(7, 5, "en", 2.0, True),
    )


@pytest.mark.parametrize("other", [VllmOmni(), SglangOmni()], ids=["vllm-omni", "sglang-omni"])
def test_other_servers_get_whole_sentences_and_their_pauses_are_made_here(other: Other) -> None:
    with standing_in(other):
        came = list(stream(other.url, in_pieces(TEXT), Delivery()))
    config = other.got[0]
    assert (config["type"], config["response_format"], config["stream_audio"], config["model"]) == (
        *("session.config", "pcm", True, "omni-tts"),
    )
    assert other.texts() == [f"{sentence} " for sentence in SENTENCES]
    assert {piece.sample_rate for piece in came if isinstance(piece, AudioChunk)} == {other.rate}
    assert len(samples_of(came)) == round(other.rate * (3 * 0.1 + 0.25))
    kinds = [message["type"] for message in other.got]
    assert kinds.count("input.commit" if isinstance(other, SglangOmni) else "input.done") == 3
    assert [mark.text.strip() for mark in came if isinstance(mark, SentenceMark) and mark.end] == SENTENCES


def test_a_server_without_the_socket_is_asked_over_http() -> None:
    class Old(VllmOmni):
        pass

    with standing_in(Old()) as other, closing(RemoteEngine(RemoteSettings(url=other.url))) as engine:
        engine._settings = RemoteSettings(url=f"{other.url}/elsewhere")
        assert engine.stream_text(Written(iter(["Hello."])), Delivery(), Stopwatch()) is None
