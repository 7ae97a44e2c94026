"""Servers that others run with OpenAI's protocol: heard at the first try, without options, each by its own rules."""

import base64
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tests.engines.remote.replay import Answer, Asked, Replay, missing, replaying, said, streamed, whole
from tests.engines.remote.sounds import HELLO, RATE, remote, wav
from tests.engines.remote.speech_servers import (
    CHATTERBOX,
    HIGH,
    LITELLM,
    ONLY_SPEECH,
    SERVERS,
    SGLANG_OMNI,
    SOUND,
    SOUND_48,
    SPEACHES,
    VLLM_OMNI,
    VOXCPM2,
    events,
    models,
    mp3,
    only_post,
    pcm,
    refused,
    routes,
    sound_of,
    with_key,
)
from voxcli.audio.format import AudioFormat
from voxcli.errors import NotFound, RemoteRefused
from voxcli.protocols.dialect import ClientOptions
from voxcli.synthesis.narration import SteadyVoice
from voxcli.synthesis.request import SynthesisRequest, Voice


@pytest.mark.parametrize(
    ("server", "address"),
    [
        *((server, address) for server in SERVERS for address in ("", "/")),
        *((server, address) for server in [*SERVERS][:-1] for address in ("/v1", "/v1/audio/speech")),
    ],
)
def test_a_server_is_heard_without_options(server: str, address: str) -> None:
    from voxcli.engines.remote.settings import normalized_url

    reply, sound, rate = SERVERS[server]
    with replaying(reply, lists=True) as replay, closing(remote(normalized_url(replay.url + address), None)) as engine:
        assert sound_of(engine) == (sound.tolist(), rate)
        first = len(replay.of("POST"))
        assert sound_of(engine) == (sound.tolist(), rate)
        assert len(replay.of("POST")) == first + 1, "what it accepts is remembered"


def first_speech(replay: Replay) -> Any:
    return next(asked.json for asked in replay.asked if asked.path.endswith("/audio/speech") and asked.method == "POST")


def test_vllm_omni_is_asked_for_its_model_and_streams_at_the_first_try() -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        assert len(replay.of("POST")) == 1
        given = first_speech(replay)
    assert (given["model"], given["stream"], given["stream_format"]) == (VOXCPM2, True, "audio")
    assert "voice" not in given


def test_vllm_omni_keeps_the_voice_of_the_first_sentence() -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        steady = SteadyVoice(engine)
        for text in ("One.", "Two."):
            list(steady.stream(SynthesisRequest(text=text)))
        one, two = (asked.json for asked in replay.of("POST"))
    assert "ref_audio" not in one
    assert two["ref_text"] == "One."
    prefix, _, data = two["ref_audio"].partition(",")
    assert prefix == "data:audio/wav;base64"
    assert base64.b64decode(data)[:4] == b"RIFF"


@pytest.mark.parametrize("speed", [1.5, 0.5])
def test_a_speed_that_cannot_be_streamed_is_asked_for_as_a_whole(speed: float) -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine, SynthesisRequest(text="Hello.", speed=speed)) == (SOUND_48.tolist(), HIGH)
        assert len(replay.of("POST")) == 1


def test_sglang_omni_streams_samples_at_the_rate_that_it_says() -> None:
    with replaying(SGLANG_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        (asked,) = replay.of("POST")
    assert (asked.json["stream"], asked.json["response_format"]) == (True, "pcm")


def test_the_model_of_a_description_is_openais_own_where_it_is_listed() -> None:
    reply = routes(
        v1_models=lambda asked: models("gpt-5", "tts-1", "gpt-4o-mini-tts", "whisper-1", owner="openai-internal"),
        v1_audio_speech=lambda asked: streamed([wav(SOUND)]),
    )
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        sound_of(engine, SynthesisRequest(text="Hello.", voice=Voice(style="calm")))
        plain, styled = (asked.json for asked in replay.of("POST"))
    assert (plain["model"], plain["voice"]) == ("tts-1", "alloy")
    assert styled["model"] == "gpt-4o-mini-tts"


def test_a_server_whose_models_do_not_speak_is_told_by_them() -> None:
    reply = routes(v1_models=lambda asked: models("gpt-6", "gpt-realtime-2.1-mini", "whisper-1"))
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(NotFound, match=r"no model that is known to speak.*gpt-6, gpt-realtime-2.1-mini") as caught:
            next(engine.stream(HELLO))
        assert replay.of("POST") == []
    assert "--model" in caught.value.for_command_line


@pytest.mark.parametrize("end", ["2026-11-01", 1_700_000_000])
def test_a_model_that_has_been_shut_down_is_not_named(end: object) -> None:
    lists = {"data": [{"id": "tts-1", "shutdown_date": end}, {"id": "gpt-4o-mini-tts-2027"}]}
    reply = routes(v1_models=lambda asked: said(lists), v1_audio_speech=lambda asked: streamed([wav(SOUND)]))
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        assert first_speech(replay)["model"] == "gpt-4o-mini-tts-2027"


def test_a_model_that_is_not_there_lists_those_that_are() -> None:
    options = ClientOptions(model="tts-9")
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None, options=options)) as engine:
        with pytest.raises(RemoteRefused, match=f"tts-9.*Its models: {VOXCPM2}") as caught:
            next(engine.stream(HELLO))
        assert isinstance(caught.value, NotFound)
        assert "--model NAME" in caught.value.for_command_line
        assert len(replay.of("POST")) == 1


def test_a_voice_that_is_not_there_lists_those_that_are() -> None:
    with replaying(CHATTERBOX, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(RemoteRefused, match=r"anna.*Its voices: Emily\.wav, Alex\.wav") as caught:
            next(engine.stream(SynthesisRequest(text="Hello.", voice=Voice(name="anna"))))
        assert isinstance(caught.value, NotFound)
        assert "--voice NAME" in caught.value.for_command_line


def test_voices_that_are_listed_with_the_model_are_the_servers_voices() -> None:
    with replaying(SPEACHES, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert [voice.name for voice in engine.voices() or []] == ["af_heart", "bm_george"]
        with pytest.raises(NotFound, match=r"anna.*Its voices: af_heart, bm_george"):
            next(engine.stream(SynthesisRequest(text="Hello.", voice=Voice(name="anna"))))


def test_a_server_that_has_another_model_since_yesterday_is_asked_again(tmp_path: Any) -> None:
    served = ["old-tts"]

    def speech(asked: Asked) -> Answer:
        if asked.json.get("model") != served[0]:
            return refused(f"The model `{asked.json.get('model')}` does not exist.", 404, "model")
        return streamed([wav(SOUND)])

    reply = routes(v1_models=lambda asked: models(served[0], owner="vllm"), v1_audio_speech=speech)
    with replaying(reply, lists=True) as replay:
        for name in ("old-tts", "new-tts"):
            served[0] = name
            with closing(remote(replay.url, None, cache=tmp_path)) as engine:
                assert sound_of(engine) == (SOUND.tolist(), RATE)


def test_a_list_that_needs_a_key_does_not_hide_a_server() -> None:
    reply = with_key(ONLY_SPEECH, "sk-mine")
    with replaying(reply, lists=True) as replay:
        with closing(remote(replay.url, None)) as engine, pytest.raises(RemoteRefused) as caught:
            next(engine.stream(HELLO))
        assert caught.value.status == 401
        assert f"voxcli keys set {replay.url}" in caught.value.for_command_line
        with closing(remote(replay.url, None, key="sk-mine")) as engine:
            assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize("prefix", ["/api/v1", "/openai/v1", "/tts/v1", "/v1/openai"])
def test_a_gateway_may_have_a_prefix(prefix: str) -> None:
    def reply(asked: Asked) -> Answer:
        if not asked.path.startswith(f"{prefix}/"):
            return missing()
        below = Asked(asked.method, asked.path.replace(prefix, "/v1", 1), asked.headers, asked.body)
        return LITELLM(below)

    with replaying(reply, lists=True) as replay, closing(remote(f"{replay.url}{prefix}", None)) as engine:
        assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize("prefix", ["/api/v1", "/openai/v1", "/api"])
def test_an_application_with_pages_of_its_own_is_found_below_its_prefix(prefix: str) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == f"{prefix}/audio/speech":
            return only_post(lambda asked: streamed([wav(SOUND)]))(asked)
        return whole(b"<!DOCTYPE html><title>A chat</title>", "text/html")

    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({"X-Sample-Rate": "48000"}, "audio/pcm"),
        ({"X-Audio-Sample-Rate": "48000"}, "audio/pcm"),
        ({"X-VoxCPM-Sample-Rate": "48000"}, "application/octet-stream"),
        ({"Sample-Rate": "48000"}, "audio/x-raw"),
        ({}, "audio/pcm;rate=48000;channels=1"),
        ({}, 'audio/L16; rate="48000"'),
    ],
)
def test_the_rate_that_a_server_says_is_taken(headers: dict[str, str], content_type: str) -> None:
    reply = lambda asked: streamed(pcm(SOUND_48), content_type, **headers)  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_the_channels_that_a_server_says_are_taken() -> None:
    both = np.repeat(SOUND_48, 2)
    reply = lambda asked: streamed(pcm(both), "audio/pcm", X_Sample_Rate="48000", X_Channels="2")  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_samples_of_an_unknown_rate_are_asked_for_as_wav() -> None:
    def speech(asked: Asked) -> Answer:
        if asked.json["response_format"] == "pcm":
            return streamed(pcm(SOUND_48), "audio/pcm")
        return whole(wav(SOUND_48, HIGH))

    reply = routes(v1_models=lambda asked: models("m-tts", owner="sglang-omni"), v1_audio_speech=speech)
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)
        assert [asked.json["response_format"] for asked in replay.of("POST")] == ["pcm", "wav"]


def test_a_rate_that_was_guessed_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    options = ClientOptions(format=AudioFormat.PCM)
    for headers, warnings in (({}, 1), ({"X_Sample_Rate": str(RATE)}, 0)):
        caplog.clear()
        reply = lambda asked: streamed(pcm(SOUND), "audio/pcm", **headers)  # noqa: B023, E731
        with replaying(reply) as replay, closing(remote(replay.url, options=options)) as engine:
            for _ in range(2):
                assert sound_of(engine) == (SOUND.tolist(), RATE)
        assert caplog.text.count("24000 Hz is a guess") == warnings


@pytest.mark.parametrize("raw", [True, False])
def test_events_where_a_file_was_asked_for_are_told_by_their_type(raw: bool) -> None:
    pieces = pcm(SOUND_48) if raw else [wav(SOUND_48, HIGH)]
    reply = lambda asked: streamed(events(pieces, sample_rate=HIGH), "text/event-stream; charset=utf-8")  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_a_format_that_a_server_does_not_have_is_replaced() -> None:
    def speech(asked: Asked) -> Answer:
        if asked.json["response_format"] != "mp3":
            return refused("Unsupported response_format: wav. Use mp3.", param="response_format")
        return whole(mp3(SOUND, RATE), "audio/mpeg")

    with replaying(routes(v1_audio_speech=only_post(speech))) as replay, closing(remote(replay.url, None)) as engine:
        samples, rate = sound_of(engine)
    assert rate == RATE
    assert abs(len(samples) - len(SOUND)) < 3000
