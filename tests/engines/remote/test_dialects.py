"""What reaches a server in each dialect, and what never does."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engines.remote.replay import Answer, Asked, missing, posts, replaying, said, streamed, whole
from tests.engines.remote.sounds import GPT_SOVITS, GPT_SOVITS_1, HELLO, VOXCLI, VOXCPM, heard, remote, tone, wav
from voxcli.audio.format import AudioFormat
from voxcli.errors import NotFound, RemoteCut, RemoteError, RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import Clip, Parameter, Prompt, Sampling, SynthesisRequest, Voice

SOUND = tone()
CLIP = Clip(wav(tone(3.0)), "anna.wav")
AT_BOX = ClientOptions(extra={"ref_audio_path": "/on/the/server/ref.wav", "prompt_text": "你好。", "prompt_lang": "zh"})


def sound(asked: Asked) -> Answer:
    return streamed([wav(SOUND)])


@pytest.mark.parametrize("base", ["", "/v1"])
def test_openai_is_asked_below_v1(base: str) -> None:
    voice = Voice(name="nova", style="calm")
    with replaying(sound) as server:
        engine = remote(server.url + base, Dialect.OPENAI, options=ClientOptions(model="tts-9", extra={"x": "1"}))
        heard(engine, replace(HELLO, voice=voice, speed=1.5))
        (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/audio/speech")
    assert (asked.json["model"], asked.json["voice"]) == ("tts-9", "nova")
    assert (asked.json["speed"], asked.json["x"], asked.json["instructions"]) == (1.5, 1, "calm")


def test_a_voxcpm_server_is_told_every_parameter() -> None:
    voice = Voice(prompt=Prompt(CLIP, "What is said."))
    with replaying(posts(sound, VOXCPM)) as server:
        heard(remote(server.url, None), replace(HELLO, voice=voice, sampling=Sampling(steps=7)))
        (asked,) = server.of("POST")
    assert asked.path == "/api/tts/stream"
    assert asked.fields["text"] == "Hello."
    assert asked.fields["inference_timesteps"] == "7"
    assert asked.fields["prompt_text"] == "What is said."
    assert asked.fields["prompt_audio"].encode("latin-1") == CLIP.data
    assert {"cfg_value", "min_len", "max_len", "normalize", "denoise"} <= asked.fields.keys()


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (replace(HELLO, language="zh"), "--language"),
        (replace(HELLO, speed=2.0), "--speed"),
        (replace(HELLO, voice=Voice(style="old")), "--instruct"),
        (replace(HELLO, voice=Voice(reference=CLIP)), "--ref-audio"),
    ],
)
def test_what_only_our_servers_hear_is_said_to_no_other(request_: SynthesisRequest, option: str) -> None:
    with replaying(posts(sound, VOXCPM)) as server, closing(remote(server.url, Dialect.VOXCPM)) as engine:
        with pytest.raises(RequestError, match="extensions") as caught:
            next(engine.stream(request_))
        assert option in caught.value.for_command_line
        assert server.of("POST") == []
    with replaying(posts(sound, VOXCLI)) as server:
        assert np.array_equal(heard(remote(server.url, Dialect.VOXCPM), request_), SOUND)


UNUSUAL = {
    Parameter.STEPS: 7,
    Parameter.GUIDANCE: 3.0,
    Parameter.SEED: 5,
    Parameter.LEAST_PATCHES: 4,
    Parameter.MOST_PATCHES: 90,
    Parameter.RETRIES: 2,
}
OWN = {
    "paths": {
        "/v1/tts/stream": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"properties": {"text": {}, "cfg_value": {}, "seed": {}}, "required": ["text"]}
                        }
                    }
                }
            }
        }
    }
}
CANNOT = {
    "openai": (Dialect.OPENAI, None, {*UNUSUAL}),
    "voxcpm": (None, VOXCPM, {Parameter.SEED, Parameter.RETRIES}),
    "voxcli": (None, VOXCLI, set()),
    "gpt-sovits": (None, GPT_SOVITS, {*UNUSUAL} - {Parameter.STEPS, Parameter.SEED}),
    "gpt-sovits 1": (None, GPT_SOVITS_1, {*UNUSUAL} - {Parameter.STEPS}),
    "own": (None, OWN, {*UNUSUAL} - {Parameter.GUIDANCE, Parameter.SEED}),
}
"""Protocols, how they are found out, and the parameters that they have no field for."""


@pytest.mark.parametrize("protocol", CANNOT)
def test_sampling_that_a_protocol_has_no_field_for_is_left_out_and_the_rest_is_sent(protocol: str) -> None:
    dialect, description, cannot = CANNOT[protocol]
    reply = posts(sound, description) if description else sound
    options = AT_BOX if "sovits" in protocol else ClientOptions()
    with replaying(reply) as server:

        def sent(*parameters: Parameter) -> dict[str, object]:
            sampling = Sampling(**{name: UNUSUAL[name] for name in parameters})
            engine = remote(server.url, dialect, options=options)
            request = replace(HELLO, sampling=sampling)
            assert engine.left_out(request) == cannot & {*parameters}
            assert np.array_equal(heard(engine, request), SOUND)
            asked = server.asked[-1]
            return asked.json if asked.body.startswith(b"{") else asked.fields

        plain, both = sent(), sent(*UNUSUAL)
        for parameter in UNUSUAL:
            alone = sent(parameter)
            assert (alone == plain) == (parameter in cannot), parameter
            assert {name: both[name] for name in alone if alone[name] != plain.get(name)}.items() <= both.items()


def test_nothing_is_left_out_of_what_is_measured() -> None:
    request = replace(HELLO, sampling=Sampling(steps=7))
    with (
        replaying(sound) as server,
        closing(remote(server.url, no_fallback=True)) as engine,
        pytest.raises(RequestError, match="steps"),
    ):
        next(engine.stream(request))


def test_what_would_be_said_wrong_is_refused_with_what_could_be_left_out() -> None:
    request = replace(HELLO, language="zh", sampling=Sampling(steps=7))
    with replaying(sound) as server, closing(remote(server.url)) as engine:
        with pytest.raises(RequestError, match="language") as caught:
            next(engine.stream(request))
        assert "--steps" not in caught.value.for_command_line
        assert (engine.left_out(request), server.asked) == (frozenset(), [])


def test_a_voice_that_a_voxcpm_server_does_not_have_is_not_asked_for() -> None:
    """It would let another one speak, and say nothing."""

    def reply(asked: Asked) -> Answer:
        if asked.path == "/api/voices":
            return said({"voices": [{"id": "default", "description": "x", "text": "y"}]})
        return posts(sound, VOXCPM)(asked)

    with replaying(reply) as server, closing(remote(server.url, None)) as engine:
        assert next(engine.stream(replace(HELLO, voice=Voice(name="default"))))
        with pytest.raises(NotFound, match=r"anna.*default"):
            next(engine.stream(replace(HELLO, voice=Voice(name="anna"))))


def test_a_server_that_lists_no_voices_has_none() -> None:
    with replaying(posts(sound, VOXCPM)) as server, closing(remote(server.url, None)) as engine:
        with pytest.raises(NotFound, match="none"):
            next(engine.stream(replace(HELLO, voice=Voice(name="anna"))))
        assert engine.voices() is None


def test_whether_a_voice_is_drawn_is_known_from_the_answer() -> None:
    for said_so in ("true", "false"):
        reply = posts(lambda asked: streamed([wav(SOUND)], x_draws_voices=said_so), VOXCLI)  # noqa: B023
        with replaying(reply) as server, closing(remote(server.url, None)) as engine:
            next(engine.stream(HELLO))
            assert engine.draws_voices == (said_so == "true")


def test_gpt_sovits_reads_its_recording_itself() -> None:
    with replaying(posts(sound, GPT_SOVITS)) as server:
        heard(remote(server.url, None, options=AT_BOX), replace(HELLO, language="ZH"))
        (asked,) = server.of("POST")
    assert asked.path == "/tts"
    assert asked.json["ref_audio_path"] == "/on/the/server/ref.wav"
    assert (asked.json["prompt_text"], asked.json["prompt_lang"]) == ("你好。", "zh")
    assert (asked.json["text_lang"], asked.json["streaming_mode"], asked.json["batch_size"]) == ("zh", 3, 1)


@pytest.mark.parametrize(("mode", "asked_for"), [(None, "wav"), (1, "wav"), (3, "wav"), (0, "aac")])
def test_aac_with_gaps_is_not_asked_of_gpt_sovits(
    mode: int | None, asked_for: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = replace(AT_BOX, format=AudioFormat.AAC, mode=mode)
    with replaying(posts(sound, GPT_SOVITS)) as server:
        assert np.array_equal(heard(remote(server.url, None, options=options)), SOUND)
        assert server.of("POST")[0].json["media_type"] == asked_for
    assert ("WAV is requested instead" in caplog.text) == (asked_for == "wav")


def test_uploads_have_names_that_no_other_has() -> None:
    voice = Voice(prompt=Prompt(CLIP, "What is said."))
    with replaying(posts(sound, VOXCPM)) as server, closing(remote(server.url, None)) as engine:
        for _ in range(2):
            list(engine.stream(replace(HELLO, voice=voice)))
        names = [asked.body.split(b'filename="')[1].split(b'"')[0] for asked in server.of("POST")]
    assert len(set(names)) == 2
    assert all(name.endswith(b".wav") and b"anna" not in name for name in names)
    with replaying(posts(sound, VOXCLI)) as server:
        heard(remote(server.url, None), replace(HELLO, voice=voice))
        assert b'filename="anna.wav"' in server.of("POST")[0].body, "our own messages name it"


def test_an_old_gpt_sovits_is_asked_in_its_own_words() -> None:
    def reply(asked: Asked) -> Answer:
        if isinstance(asked.json["streaming_mode"], bool):
            return sound(asked)
        return said({"detail": [{"type": "bool_parsing", "loc": ["body", "streaming_mode"], "msg": "no bool"}]}, 422)

    with replaying(posts(reply, GPT_SOVITS)) as server:
        assert np.array_equal(heard(remote(server.url, None, options=AT_BOX)), SOUND)
        assert [asked.json["streaming_mode"] for asked in server.of("POST")] == [3, True]


def test_the_first_version_of_gpt_sovits_is_spoken_too() -> None:
    with replaying(posts(lambda asked: whole(wav(SOUND)), GPT_SOVITS_1)) as server:
        assert np.array_equal(heard(remote(server.url, None, options=AT_BOX)), SOUND)
        (asked,) = server.of("POST")
    assert asked.path == "/"
    assert asked.json["refer_wav_path"] == "/on/the/server/ref.wav"
    assert asked.json["text"] == "Hello."


def test_a_second_of_silence_from_gpt_sovits_is_a_failure() -> None:
    silence = wav(np.zeros(16000, np.int16), 16000)
    reply = posts(lambda asked: whole(silence), GPT_SOVITS)
    with replaying(reply) as server, closing(remote(server.url, None, options=AT_BOX)) as engine:
        with pytest.raises(RemoteError, match="failed"):
            next(engine.stream(HELLO))
        assert len(server.of("POST")) == 1


def test_silence_before_a_cut_of_gpt_sovits_is_called_a_failure() -> None:
    def reply(asked: Asked) -> Answer:
        return streamed([wav(SOUND)[:44], wav(SOUND)[44:], bytes(32000)], end=False)

    with replaying(posts(reply, GPT_SOVITS)) as server, closing(remote(server.url, None, options=AT_BOX)) as engine:
        chunks = engine.stream(HELLO)
        assert len(next(chunks).samples) == len(SOUND)
        with pytest.raises(RemoteCut, match="fails"):
            list(chunks)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(("description", "together"), [(GPT_SOVITS, False), (VOXCPM, False), (VOXCLI, True)])
def test_servers_that_mix_streams_up_are_asked_for_one_at_a_time(
    description: object, together: bool, cached: bool, tmp_path: Path
) -> None:
    both = threading.Barrier(2)
    met: list[bool] = []

    def pieces() -> Iterator[bytes]:
        yield wav(SOUND)
        try:
            both.wait(0.3)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)

    options = AT_BOX if description is GPT_SOVITS else ClientOptions()
    cache = tmp_path if cached else None
    with replaying(posts(lambda asked: streamed(pieces()), description)) as server:
        shared = remote(server.url, None, options=options, cache=cache)
        other = remote(server.url, None, options=options, cache=cache) if cached else shared
        threads = [threading.Thread(target=lambda e=e: list(e.stream(HELLO))) for e in (shared, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        shared.close()
        other.close()
    assert met == [together, together]
    assert (shared.slots > 1) == together


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"voices": ["a", "b"]}, ["a", "b"]),
        ({"voices": [{"id": "a", "name": "Anna"}, {"name": "b"}]}, ["a", "b"]),
        ({"data": [{"voice_id": "a"}, 7, {}]}, ["a"]),
        ([{"name": "a", "voice_id": "b"}], ["b"]),
        ({"voices": {}}, None),
        ("voices", None),
    ],
)
def test_voices_are_listed_whatever_shape_the_list_has(document: object, names: list[str] | None) -> None:
    reply = lambda asked: said(document) if asked.path == "/v1/audio/voices" else missing()  # noqa: E731
    with replaying(reply) as server, closing(remote(server.url)) as engine:
        listed = engine.voices()
    assert (listed and [voice.name for voice in listed]) == names


def test_names_of_voices_are_passed_on_to_servers_that_know_them() -> None:
    listing = {"voices": [{"id": "anna"}]}
    for dialect, path in ((Dialect.VOXCPM, "/api/voices"), (Dialect.OPENAI, "/v1/audio/voices")):
        reply = lambda asked: said(listing) if asked.path == path else missing()  # noqa: B023, E731
        with replaying(reply) as server, closing(remote(server.url, dialect)) as engine:
            asked_before = len(server.asked)
            assert engine.knows_voice("anna")
            assert not engine.knows_voice("../bertha")
            assert len(server.asked) == asked_before + 1, "the list is remembered for a while"


@pytest.mark.parametrize("dialect", [one for one in Dialect if one is not Dialect.REALTIME])
def test_where_no_voices_are_listed_only_openais_servers_see_to_it_themselves(dialect: Dialect) -> None:
    with replaying(lambda asked: missing()) as server, closing(remote(server.url, dialect)) as engine:
        assert engine.knows_voice("/etc/passwd") == (dialect is Dialect.OPENAI)
