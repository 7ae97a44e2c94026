"""Real servers, some of them bad: what each is judged to be."""

import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.bench.scripted import WORDS
from tests.bench.wire import Answer, Connection, not_found, wav, wired
from voxcli.bench.measure.metrics import is_starved
from voxcli.bench.measure.plan import BenchRequest, Mode
from voxcli.bench.measure.runner import Bench, RunnerOptions
from voxcli.bench.measure.validity import Fault
from voxcli.bench.report.record import Run
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import SynthesisRequest

STREAM, WHOLE = "/api/tts/stream", "/api/tts"
DELAY = 0.25


def asked(answers: dict[str, Answer], mode: Mode = Mode.STREAM, *, read_seconds: float = 5.0) -> Run:
    """Send one request, in the way of VoxCPM's own server."""
    with wired(answers) as url:
        settings = RemoteSettings(
            url=url,
            dialect=Dialect.VOXCPM,
            options=ClientOptions(stream=mode is Mode.STREAM),
            retry_delays=(),
            no_fallback=True,
            read_seconds=read_seconds,
        )
        with closing(RemoteEngine(settings)) as engine:
            options = RunnerOptions(
                new_request=lambda name, seed: SynthesisRequest(text=WORDS), clock=time.perf_counter
            )
            bench = Bench({"server": {mode: engine}}, options)
            return bench.run(BenchRequest(subject="server", text="short", mode=mode, number=0), lambda: None)


def fault_of(answer: Answer, *, read_seconds: float = 5.0) -> Fault | None:
    failure = asked({STREAM: answer}, read_seconds=read_seconds).failure
    return failure.fault if failure else None


def good(connection: Connection) -> None:
    data = wav(1.0)
    connection.head(length=len(data))
    connection.send(data)


def test_neither_early_headers_nor_the_header_of_a_file_are_the_first_byte() -> None:
    data = wav(1.0)
    header = data.index(b"data") + 8

    def early(connection: Connection) -> None:
        connection.head()
        connection.pause(DELAY)
        connection.chunk(data[:header])
        connection.pause(DELAY)
        connection.chunk(data[header:20_000])
        connection.pause(DELAY)
        connection.chunk(data[20_000:])
        connection.end()

    run = asked({STREAM: early})
    assert run.failure is None
    assert run.first_byte_seconds is not None
    assert run.first_chunk_seconds is not None
    assert 2 * DELAY <= run.first_byte_seconds <= run.first_chunk_seconds < 3 * DELAY <= run.total_seconds
    assert run.bytes == len(data)
    assert run.audio_seconds == pytest.approx(1.0)


def test_a_status_other_than_200_is_a_failure_even_if_the_whole_could_be_had() -> None:
    run = asked({STREAM: not_found, WHOLE: good})
    assert run.failure
    assert run.failure.fault is Fault.REFUSED
    assert "404" in run.failure.message
    assert run.audio_seconds == 0
    assert asked({STREAM: not_found, WHOLE: good}, Mode.WHOLE).failure is None


def cut_by_length(connection: Connection) -> None:
    data = wav(1.0)
    connection.head(length=len(data))
    connection.send(data[: len(data) // 2])


def cut_without_an_end(connection: Connection) -> None:
    connection.head()
    connection.chunk(wav(1.0)[:20_000])


@pytest.mark.parametrize("answer", [cut_by_length, cut_without_an_end])
def test_a_body_that_breaks_off_does_not_count_however_much_came(answer: Answer) -> None:
    run = asked({STREAM: answer})
    assert run.failure
    assert run.failure.fault is Fault.CUT
    assert run.audio_seconds > 0.4


def says(body: bytes, content: str = "audio/wav", status: str = "200 OK") -> Answer:
    def answer(connection: Connection) -> None:
        connection.head(status, len(body), content)
        connection.send(body)

    return answer


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (says(b'{"detail":"out of memory"}', "application/json"), Fault.UNREACHABLE),
        (says(b"<html>Bad Gateway</html>"), Fault.UNREACHABLE),
        (says(b"", status="500 Internal Server Error"), Fault.REFUSED),
        (says(wav(1.0, loudness=0.0)), Fault.SILENT),
        (says(wav(0.05)), Fault.TOO_SHORT),
        (says(wav(60.0)), Fault.TOO_LONG),
        (says(wav(1.0)), None),
    ],
    ids=["json", "page", "500", "silence", "short", "long", "good"],
)
def test_what_is_not_the_speech_that_wno_fallback_for_does_not_count(answer: Answer, fault: Fault | None) -> None:
    assert fault_of(answer) is fault


@pytest.mark.parametrize(("sound", "fault"), [(b"", Fault.TIMEOUT), (wav(1.0)[:8000], Fault.CUT)])
def test_a_server_that_stays_silent_is_not_waited_for(sound: bytes, fault: Fault) -> None:
    def silent(connection: Connection) -> None:
        connection.head()
        if sound:
            connection.chunk(sound)
        connection.pause(0.6)

    assert fault_of(silent, read_seconds=0.2) is fault


def trickle(pause: float) -> Callable[[Connection], None]:
    data = wav(0.8)

    def answer(connection: Connection) -> None:
        connection.head()
        for start in range(0, len(data), 3200):  # 0.1 s of sound
            connection.chunk(data[start : start + 3200])
            connection.pause(pause)
        connection.end()

    return answer


@pytest.mark.real_time
@pytest.mark.real_time
def test_a_trickle_is_sound_on_which_a_player_starves() -> None:
    slow, fast = asked({STREAM: trickle(0.13)}), asked({STREAM: trickle(0.01)})
    assert slow.failure is None
    assert is_starved(slow.starved_seconds)
    assert slow.starved_seconds == pytest.approx(7 * 0.03, abs=0.1)
    assert not is_starved(fast.starved_seconds)
    assert slow.chunks >= 7
