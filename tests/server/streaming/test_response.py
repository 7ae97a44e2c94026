"""Answers that sound while they are made, over real connections."""

import base64
import io
import json
import wave
from collections.abc import Iterator
from contextlib import closing

import httpx
import numpy as np
import pytest

from tests.server.raw import asked
from tests.server.running import running, serving
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.resample import resampled
from voxcli.errors import DeviceError, ModelError, NotFound, RequestError

SPEECH = "/v1/audio/speech"
NATIVE = "/api/tts/stream"
STREAMED = {"stream_format": "audio"}
"""Also for FLAC, which is sent as a whole otherwise."""
FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello."}


def speech(url: str, **fields: object) -> httpx.Response:
    return httpx.post(url + SPEECH, json=FIELDS | fields, timeout=20)


def pcm(engine: ToneEngine) -> bytes:
    """Return what the OpenAI dialect should have sent of the last request, made in one go."""
    with closing(resampled(engine.stream(engine.requests[-1]), 24000)) as chunks:
        return b"".join(encoded(chunks, AudioFormat.PCM))


def files_in(blocks: bytes) -> Iterator[tuple[int, bytes]]:
    """Take WAV files apart that follow one another: the rate and the samples of each, by its own sizes."""
    while blocks:
        size = 8 + int.from_bytes(blocks[4:8], "little")
        with wave.open(io.BytesIO(blocks[:size])) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            yield file.getframerate(), file.readframes(file.getnframes())
        blocks = blocks[size:]


@pytest.mark.parametrize("sample_rate", [16000, 24000, 44100, 48000])
def test_pcm_is_the_same_as_if_it_had_been_made_in_one_go(sample_rate: int) -> None:
    engine = ToneEngine(sample_rate=sample_rate, chunks=9)
    with serving(engine) as url:
        answer = speech(url, response_format="pcm")
    assert answer.headers["content-type"].startswith("audio/pcm")
    assert answer.content == pcm(engine)


@pytest.mark.parametrize("format", list(AudioFormat))
def test_every_format_arrives_while_it_is_made(format: AudioFormat) -> None:
    engine = ToneEngine(chunks=100, hold_at=10)
    with (
        serving(engine) as url,
        httpx.stream("POST", url + SPEECH, json=FIELDS | {"response_format": format, **STREAMED}, timeout=20) as answer,
    ):
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        assert next(pieces)
        assert engine.made <= 10
        engine.go.set()
        assert b"".join(pieces)


def test_blocks_are_complete_files_of_a_chunk_each() -> None:
    engine = ToneEngine(chunks=4, sample_rate=44100)
    with serving(engine) as url:
        answer = httpx.post(url + NATIVE, data={"text": "Hello.", "framing": "blocks"})
    expected = [(44100, to_int16(chunk.samples)) for chunk in engine.stream(engine.requests[0])]
    assert list(files_in(answer.content)) == expected


def test_a_whole_answer_tells_its_true_length() -> None:
    engine = ToneEngine(chunks=4, sample_rate=44100)
    with serving(engine) as url:
        answer = httpx.post(url + "/api/tts", data={"text": "Hello."})
    assert int(answer.headers["content-length"]) == len(answer.content)
    [(rate, samples)] = files_in(answer.content)
    assert (rate, samples) == (44100, to_int16(engine.sound(engine.requests[0])))


def test_events_carry_the_same_file_and_end_with_what_it_cost() -> None:
    engine = ToneEngine()
    with serving(engine) as url:
        answer = speech(url, response_format="pcm", stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-1]]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == pcm(engine)
    usage = events[-1]["usage"]
    assert events[-1]["type"] == "speech.audio.done"
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("no"), 400),
        (NotFound("no such language"), 400),
        (ModelError("broken"), 500),
        (DeviceError("gone"), 503),
    ],
)
def test_an_error_before_the_first_sound_is_a_status(error: Exception, status: int) -> None:
    with serving(ToneEngine(fail_at=0, error=error)) as url:  # type: ignore[arg-type]
        answer = speech(url)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert ("retry-after" in answer.headers) == (status == 503)
        assert (answer.headers.get("x-should-retry") == "false") == (status == 500)


@pytest.mark.parametrize("format", ["pcm", "wav", "mp3", "flac", "opus", "aac"])
def test_an_error_after_it_is_a_broken_connection_and_what_was_made_arrives(format: str) -> None:
    engine = ToneEngine(chunks=50, fail_at=40)
    received = b""
    with (
        serving(engine) as url,
        httpx.stream("POST", url + SPEECH, json=FIELDS | {"response_format": format, **STREAMED}, timeout=20) as answer,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete"),
    ):
        for piece in answer.iter_raw():
            received += piece
    assert len(received) > 1000
    if format == "pcm":
        assert len(received) == pytest.approx(2 * 24000 * 40 * 0.08, rel=0.02)


def test_an_error_among_events_is_an_event_and_then_a_broken_connection() -> None:
    received = b""
    with (
        serving(ToneEngine(chunks=9, fail_at=5)) as url,
        httpx.stream("POST", url + SPEECH, json=FIELDS | {"stream_format": "sse"}, timeout=20) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            received += piece
    last = json.loads(received.split(b"\n\n")[-2].removeprefix(b"data: "))
    assert last["type"] == "error"
    assert set(last["error"]) == {"message", "type", "param", "code"}


def test_a_fault_of_ours_in_the_middle_is_a_broken_connection_too() -> None:
    class Faulty(ToneEngine):
        def stream(self, request):  # type: ignore[no-untyped-def]
            yield from super().stream(request)
            raise KeyError("a fault")

    engine = Faulty()
    with serving(engine) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            speech(url, response_format="pcm")
        assert httpx.get(url + "/livez").status_code == 200
    assert engine.idle.is_set()


def test_no_sound_at_all_is_an_error() -> None:
    with serving(ToneEngine(chunks=0)) as url:
        no_sound = speech(url)
        without_words = [
            speech(url, input=text) for text in ("...", "👍", "* * *", "\x9b6")
        ]  # the last is a control code
    assert (no_sound.status_code, no_sound.json()["error"]["code"]) == (500, "no_sound")
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in without_words} == {(400, "no_words")}


def test_chunks_without_samples_are_no_sound() -> None:
    class Silent(ToneEngine):
        def stream(self, request):  # type: ignore[no-untyped-def]
            yield AudioChunk(np.zeros(0, np.float32), 16000)

    with serving(Silent()) as url:
        assert speech(url, response_format="wav").status_code == 500


def test_a_client_that_leaves_before_the_first_sound_gives_its_slot_back() -> None:
    engine = ToneEngine(slots=1, hold_at=0, chunks=50, pace=1.0)
    with running(engine) as server:
        with asked(server.url) as client:
            until(lambda: engine.running == 1)
            client.kill()
        engine.go.set()
        assert engine.idle.wait(10)
        until(lambda: not server.service.admission.used)
        assert engine.made < 25, "it went on for seconds"


def test_a_client_that_leaves_the_queue_is_never_served() -> None:
    engine = ToneEngine(slots=1, hold_at=0)
    with running(engine) as server:
        admission = server.service.admission
        with asked(server.url) as first:
            until(lambda: admission.used == 1)
            with asked(server.url, input="Never mind.") as second:
                until(lambda: admission.depth == 1)
                second.kill()
            until(lambda: admission.depth == 0)
            engine.go.set()
            first.read(1)
        until(lambda: not admission.used)
    assert [request.text for request in engine.requests] == ["Hello."]


def test_a_client_that_takes_nothing_is_given_up() -> None:
    engine = ToneEngine(chunks=10**9, slots=1)
    room = {"spool_memory_bytes": 2**20, "spool_file_bytes": 2**22}
    with (
        running(engine, send_seconds=0.3, **room) as server,
        asked(server.url, response_format="wav", window=4096) as client,
    ):
        client.read(1)
        assert engine.idle.wait(20), "it still speaks"
        until(lambda: not server.service.admission.used)
        until(lambda: 'requests_total{ending="stalled"} 1.0' in httpx.get(server.url + "/metrics").text)


def test_a_stream_never_moves_to_another_thread() -> None:
    engine = ToneEngine(chunks=1000, pace=1.0)
    with serving(engine) as url:
        for count in (1, 3000, 9000):
            with asked(url, response_format="pcm") as client:
                client.read(count)
                client.kill()
            assert engine.idle.wait(10)
    assert not engine.moved


@pytest.mark.parametrize("draws_voices", [True, False])
def test_a_text_is_spoken_sentence_by_sentence(draws_voices: bool) -> None:
    engine = ToneEngine(chunks=50)
    engine.draws_voices = draws_voices
    text = "This is one of many sentences. " * 15
    with serving(engine) as url:
        assert speech(url, input=text.strip()).status_code == 200
    assert len(engine.requests) == 15
    assert engine.requests[0].voice.prompt is None
    # A voice that was drawn is kept.
    assert all(bool(request.voice.prompt) == draws_voices for request in engine.requests[1:])


def test_the_engine_is_free_while_a_slow_client_takes_a_whole_answer() -> None:
    engine = ToneEngine(chunks=3000, slots=1, sample_rate=48000)
    with running(engine) as server, asked(server.url, path="/api/tts", window=4096) as client:
        client.read(1)
        until(lambda: not server.service.admission.used)
        assert 'ending="done"} 0.0' in httpx.get(server.url + "/metrics").text
