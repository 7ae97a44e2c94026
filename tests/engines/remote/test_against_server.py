"""Our client and our server: in every dialect, the sound that the engine behind them gives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.remote import sounds
from tests.engines.remote.sounds import HELLO, tone, wav
from tests.server.running import running, serving
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.resample import resampled_whole
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.realtime import RealtimeEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import ModelError, RemoteCut, RemoteRefused
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice
from voxcli.voices import VoiceLibrary

CLIP = Clip(wav(tone(3.0)), "anna.wav")
ANNA = Voice(prompt=Prompt(CLIP, "What is said."), style="calm")
"""In the library her clip has another name."""

EVERYTHING = SynthesisRequest(
    text="Hello, 世界, “Quotes” & more.",
    voice=Voice(reference=CLIP, prompt=Prompt(CLIP, "Was gesagt wird."), style="an old man"),
    sampling=Sampling(steps=7, guidance=1.5, seed=11, min_patches=3, max_patches=99, retries=1),
    language="en",
    speed=1.25,
    normalize=True,
    denoise=True,
)


SPEECH_APIS = [dialect for dialect in Dialect if dialect is not Dialect.REALTIME]
"""Those that list their voices."""


def remote(url: str, dialect: Dialect | None, **more: object) -> Any:
    """Return the client for a dialect."""
    if dialect is Dialect.REALTIME:
        return RealtimeEngine(RemoteSettings(url=url, dialect=dialect, **more))  # type: ignore[arg-type]
    return sounds.remote(url, dialect, **more)


@dataclass(frozen=True)
class Served:
    """A server, the engine behind it, and its library with Anna in it."""

    url: str
    engine: ToneEngine
    library: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    library = tmp_path_factory.mktemp("voices")
    VoiceLibrary(library).save("anna", ANNA)
    engine = ToneEngine(sample_rate=24000, chunks=20)
    with serving(engine, voices=library) as url:
        yield Served(url, engine, library)


def samples_of(engine: RemoteEngine, request: SynthesisRequest) -> tuple[Samples, int]:
    with closing(engine), closing(engine.stream(request)) as chunks:
        heard = list(chunks)
    return np.concatenate([chunk.samples for chunk in heard]), heard[0].sample_rate


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("request_", [HELLO, EVERYTHING], ids=["hello", "everything"])
def test_nothing_is_lost_in_our_own_dialect(served: Served, request_: SynthesisRequest, stream: bool) -> None:
    samples, rate = samples_of(remote(served.url, None, options=ClientOptions(stream=stream)), request_)
    assert served.engine.requests[-1] == request_
    assert rate == served.engine.sample_rate
    assert np.array_equal(samples, served.engine.sound(request_))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", [None, AudioFormat.WAV, AudioFormat.MP3])
def test_a_text_of_many_sentences_is_one_request_and_keeps_its_tags(
    served: Served, stream: bool, format: AudioFormat | None
) -> None:
    request = replace(EVERYTHING, text="One. [laughing] Two!\n\n(Three.)", text_language="en")
    before = len(served.engine.requests)
    samples_of(remote(served.url, None, options=ClientOptions(stream=stream, format=format)), request)
    assert served.engine.requests[before:] == [request]
    assert served.engine.requests[-1].text_language == "en"


def test_the_voice_that_a_server_was_given_speaks_where_none_is_asked_for(tmp_path: Path) -> None:
    VoiceLibrary(tmp_path).save("anna", ANNA)
    engine = ToneEngine()
    with serving(engine, voices=tmp_path, voice="anna") as url:
        samples_of(remote(url, None), HELLO)
    assert engine.requests[-1].voice == VoiceLibrary(tmp_path).load("anna")


@pytest.mark.parametrize("format", AudioFormat)
@pytest.mark.parametrize("dialect", [Dialect.VOXCPM, Dialect.OPENAI])
def test_every_format_is_the_same_sound(served: Served, dialect: Dialect, format: AudioFormat) -> None:
    samples, rate = samples_of(remote(served.url, dialect, options=ClientOptions(format=format)), HELLO)
    made = served.engine.sound(served.engine.requests[-1])
    expected = resampled_whole(AudioChunk(made, served.engine.sample_rate), rate).samples
    assert abs(len(samples) - len(expected)) < 0.1 * rate
    assert likeness(samples, expected) > 0.99


def likeness(one: Samples, other: Samples) -> float:
    """Correlate where they overlap, at the best of all shifts: codecs come late."""
    size = len(one) + len(other)
    found = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size).conj(), size)
    shift = int(np.argmax(found))
    one = one[shift:] if shift < len(one) else np.pad(one, (size - shift, 0))
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


def test_events_are_the_same_sound(served: Served) -> None:
    options = ClientOptions(extra={"stream_format": "sse"})
    samples, _ = samples_of(remote(served.url, Dialect.OPENAI, options=options), HELLO)
    assert np.array_equal(to_int16(samples), to_int16(served.engine.sound(served.engine.requests[-1])))


@pytest.mark.parametrize("mode", [None, 0, 1, 2, 3])
def test_gpt_sovits_is_the_same_sound_in_every_mode(served: Served, mode: int | None) -> None:
    options = ClientOptions(mode=mode, extra={"fragment_interval": "0"})
    request = replace(HELLO, voice=Voice(name="anna"), speed=1.5, language="en")
    samples, _ = samples_of(remote(served.url, Dialect.GPT_SOVITS, options=options), request)
    arrived = served.engine.requests[-1]
    assert arrived == replace(request, voice=VoiceLibrary(served.library).load("anna"))
    assert np.array_equal(to_int16(samples), to_int16(served.engine.sound(arrived)))


@pytest.mark.parametrize("dialect", SPEECH_APIS)
def test_a_voice_of_the_servers_library_speaks(served: Served, dialect: Dialect) -> None:
    samples_of(remote(served.url, dialect), replace(HELLO, voice=Voice(name="anna")))
    assert served.engine.requests[-1].voice == VoiceLibrary(served.library).load("anna")
    with closing(remote(served.url, dialect)) as engine:
        assert engine.knows_voice("anna")
        assert not engine.knows_voice("bertha")


@pytest.mark.parametrize("dialect", Dialect)
def test_an_unknown_voice_is_refused_by_name(served: Served, dialect: Dialect) -> None:
    before = len(served.engine.requests)
    with pytest.raises(RemoteRefused, match="bertha"):
        samples_of(remote(served.url, dialect), replace(HELLO, voice=Voice(name="bertha")))
    assert len(served.engine.requests) == before


def spoken_to(url: str, dialect: Dialect) -> tuple[RemoteEngine, SynthesisRequest]:
    """Return an engine, and a request that every server of ours understands in that dialect."""
    voice = Voice(name="default") if dialect is Dialect.GPT_SOVITS else Voice()
    return remote(url, dialect), replace(HELLO, voice=voice)


@pytest.mark.parametrize("dialect", Dialect)
def test_an_engine_that_fails_at_once_is_a_refusal(dialect: Dialect) -> None:
    broken = ToneEngine(fail_at=0, error=ModelError("The model broke."))
    with serving(broken) as url:
        engine, request = spoken_to(url, dialect)
        with closing(engine), pytest.raises(RemoteRefused) as caught:
            next(engine.stream(request))
    assert caught.value.status == 500


@pytest.mark.parametrize("dialect", Dialect)
def test_an_engine_that_fails_later_is_a_cut_and_its_sound_is_kept(dialect: Dialect) -> None:
    broken = ToneEngine(fail_at=3)
    with serving(broken) as url:
        engine, request = spoken_to(url, dialect)
        came: list[AudioChunk] = []
        with closing(engine), pytest.raises(RemoteCut):
            for chunk in engine.stream(request):
                came.append(chunk)
    made = 3 * len(broken.sound(broken.requests[0])) / 5 / broken.sample_rate
    # The Realtime API has a rate of its own: the last samples before the failure are still being resampled.
    lost = 0.03 if dialect is Dialect.REALTIME else 0.0
    assert sum(chunk.seconds for chunk in came) == pytest.approx(made, abs=lost)
    assert len(broken.requests) == 1


@pytest.mark.parametrize("dialect", Dialect)
def test_leaving_stops_the_servers_engine(dialect: Dialect) -> None:
    endless = ToneEngine(chunks=500, pace=1.0)
    with serving(endless) as url:
        engine, request = spoken_to(url, dialect)
        with closing(engine):
            chunks = engine.stream(request)
            next(chunks)
            chunks.close()
            assert endless.idle.wait(5)
    assert endless.made < 100


def test_a_key_opens_the_server() -> None:
    with serving(ToneEngine(), keys=frozenset({"sk-right"})) as url:
        for dialect in (None, *Dialect):
            with pytest.raises(RemoteRefused) as caught:
                samples_of(remote(url, dialect, key="sk-wrong"), replace(HELLO, voice=Voice(name="default")))
            assert caught.value.status == 401
            assert "voxcli keys set" in caught.value.for_command_line
        samples_of(remote(url, None, key="sk-right"), HELLO)


def test_two_streams_run_on_one_engine_of_ours() -> None:
    held = ToneEngine(hold_at=1, slots=2)
    with serving(held) as url, closing(remote(url, None)) as engine:
        threads = [threading.Thread(target=lambda: list(engine.stream(HELLO))) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: held.running == 2)
        held.go.set()
        for thread in threads:
            thread.join(10)
    assert held.most_running == 2


@pytest.fixture(params=[True, False])
def drawing(request: pytest.FixtureRequest) -> Iterator[tuple[bool, Callable[[], RemoteEngine]]]:
    engine = ToneEngine()
    engine.draws_voices = request.param
    with serving(engine) as url:
        yield request.param, lambda: remote(url, None)


def test_whether_a_voice_is_drawn_is_known_as_soon_as_it_speaks(
    drawing: tuple[bool, Callable[[], RemoteEngine]],
) -> None:
    draws, open_engine = drawing
    with closing(open_engine()) as engine, closing(engine.stream(HELLO)) as chunks:
        next(chunks)
        assert engine.draws_voices == draws


@pytest.mark.parametrize("behind", SPEECH_APIS)
def test_a_gateway_takes_any_dialect_and_speaks_any(served: Served, behind: Dialect) -> None:
    anna = replace(HELLO, voice=Voice(name="anna"))
    upstream = remote(served.url, behind)
    with running(upstream, knows_voice=upstream.knows_voice) as gateway:
        for dialect in Dialect:
            options = ClientOptions(model="gateway" if dialect is Dialect.OPENAI else None)
            samples, _ = samples_of(remote(gateway.url, dialect, options=options), anna)
            made = to_int16(served.engine.sound(served.engine.requests[-1]))
            assert np.array_equal(to_int16(samples)[: len(made)], made)
            assert served.engine.requests[-1].voice == VoiceLibrary(served.library).load("anna")
