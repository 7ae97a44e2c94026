"""GPT-SoVITS's API as both ends read it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import ClientOptions, HttpCall
from voxcli.protocols.gptsovits.messages import fallback, to_call, to_server_request, v1_call
from voxcli.protocols.gptsovits.text_cuts import CODES, from_code, to_code
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

CLIP = Clip(b"RIFF", "me.wav")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
said = st.builds(
    SynthesisRequest,
    text=texts.map(lambda text: text + "x"),
    voice=st.builds(Voice, name=texts.filter(bool)),
    sampling=st.builds(
        Sampling,
        steps=st.integers(1, 100).filter(lambda steps: steps != 32),
        seed=st.none() | st.integers(0, 2**32 - 1),
    ),
    language=st.sampled_from([None, "zh", "en", "ja", "ko", "yue"]),
    speed=st.floats(0.25, 4),
)
anything = st.builds(
    SynthesisRequest,
    text=texts.filter(str.strip),
    voice=st.builds(
        Voice,
        name=st.none() | texts,
        style=st.none() | texts,
        reference=st.none() | st.just(CLIP),
        prompt=st.none() | st.just(Prompt(CLIP, "words")),
    ),
    sampling=st.builds(
        Sampling,
        steps=st.sampled_from([10, 32]),
        guidance=st.sampled_from([2.0, 3.0]),
        seed=st.none() | st.integers(2**32 - 1, 2**32),
        min_patches=st.sampled_from([2, 3]),
        max_patches=st.none() | st.just(9),
        retries=st.sampled_from([0, 1]),
    ),
    language=st.sampled_from([None, "zh", "de"]),
    normalize=st.booleans(),
    denoise=st.booleans(),
)
wishes_of_clients = st.builds(
    ClientOptions,
    format=st.sampled_from([None, AudioFormat.WAV, AudioFormat.PCM, AudioFormat.OPUS, AudioFormat.AAC]),
    stream=st.booleans(),
)

PLAIN = SynthesisRequest(text="你好", voice=Voice(name="lena"), language="zh")


def as_named(name: str) -> Voice:
    return Voice(name=name)


def json_of(call: HttpCall) -> dict[str, Any]:
    """Return the fields as they are after their way through a socket."""
    fields = json.loads(json.dumps(call.json))
    assert isinstance(fields, dict)
    return fields


@given(said, wishes_of_clients)
def test_a_server_reads_what_a_client_has_said(request: SynthesisRequest, options: ClientOptions) -> None:
    server_request = to_server_request(json_of(to_call(request, options)), as_named)
    assert server_request.request == request
    assert server_request.form.format is (options.format or AudioFormat.WAV)
    assert server_request.form.whole is not options.stream


@given(anything, wishes_of_clients)
def test_what_is_not_refused_is_read_as_it_was_meant(request: SynthesisRequest, options: ClientOptions) -> None:
    try:
        call = to_call(request, options)
    except RequestError:
        return
    assert to_server_request(json_of(call), as_named).request == request


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_its_own_may_be_given_as_the_language(code: str) -> None:
    assert to_code(code.upper()) == code
    assert from_code(code) in (None, "zh", "en", "ja", "ko", "yue")
    server_request = to_server_request(json_of(to_call(replace(PLAIN, language=code), ClientOptions())), as_named)
    assert server_request.request.language == from_code(code)


@pytest.mark.parametrize(
    ("language", "code"),
    [(None, "auto"), ("zh-CN", "zh"), ("EN-gb", "en"), ("cmn", "zh"), ("ja_JP", "ja"), ("auto", "auto")],
)
def test_a_language_is_written_as_the_server_knows_it(language: str | None, code: str) -> None:
    assert to_code(language) == code


def test_a_language_it_does_not_speak_is_refused() -> None:
    for language in ("de", "", "auto-zh"):
        with refused("--language"):
            to_code(language)


def test_every_field_is_sent_in_full() -> None:
    call = to_call(PLAIN, ClientOptions())
    assert (call.method, call.path) == ("POST", "/tts")
    assert json_of(call) == {
        "text": "你好",
        "text_lang": "zh",
        "ref_audio_path": "lena",
        "aux_ref_audio_paths": [],
        "prompt_text": "",
        "prompt_lang": "zh",
        "top_k": 15,
        "top_p": 1,
        "temperature": 1,
        "text_split_method": "cut0",
        "batch_size": 1,
        "batch_threshold": 0.75,
        "split_bucket": False,
        "speed_factor": 1,
        "fragment_interval": 0.3,
        "seed": -1,
        "media_type": "wav",
        "streaming_mode": 3,
        "parallel_infer": False,
        "repetition_penalty": 1.35,
        "sample_steps": 32,
        "super_sampling": False,
        "overlap_length": 2,
        "min_chunk_length": 16,
    }


def test_a_recording_on_the_server_comes_as_extra_fields() -> None:
    extra = {"ref_audio_path": "/on/it/ref.wav", "prompt_text": "words", "prompt_lang": "EN", "top_k": "5"}
    fields = json_of(to_call(replace(PLAIN, voice=Voice()), ClientOptions(extra=extra)))
    assert {name: fields[name] for name in extra} == {**extra, "prompt_lang": "en", "top_k": 5}


@pytest.mark.parametrize(("stream", "mode", "sent"), [(True, None, 3), (False, None, 0), (True, 0, 0), (True, 2, 2)])
def test_the_streaming_mode_is_a_number(stream: bool, mode: int | None, sent: int) -> None:
    fields = json_of(to_call(PLAIN, ClientOptions(stream=stream, mode=mode)))
    assert fields["streaming_mode"] is not True
    assert fields["streaming_mode"] == sent


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"voice": Voice()}, "--ref-audio"),
        ({"voice": Voice(reference=CLIP)}, "--ref-audio"),
        ({"voice": Voice(prompt=Prompt(CLIP, "words"))}, "--ref-audio"),
        ({"voice": Voice(name="lena", style="calm")}, "--instruct"),
        ({"normalize": True}, "--normalize"),
        ({"denoise": True}, "--denoise"),
        ({"sampling": Sampling(guidance=3)}, "--cfg"),
        ({"sampling": Sampling(min_patches=3)}, "--min-len"),
        ({"sampling": Sampling(max_patches=3)}, "--max-len"),
        ({"sampling": Sampling(retries=1)}, "--retry-badcase"),
        ({"sampling": Sampling(seed=2**32)}, "--seed"),
        ({"sampling": Sampling(steps=32)}, "--steps"),
        ({"language": "de"}, "--language"),
        ({"text": "…!"}, "no word"),
    ],
)
def test_what_cannot_be_said_is_refused_by_the_name_of_its_option(changes: Mapping[str, Any], option: str) -> None:
    request = SynthesisRequest(**{"text": "x", "voice": Voice(name="lena"), **changes})
    with refused(option):
        to_call(request, ClientOptions())


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (ClientOptions(model="x"), "--model"),
        (ClientOptions(mode=4), "--streaming-mode"),
        (ClientOptions(mode=1, stream=False), "--no-stream"),
        (ClientOptions(format=AudioFormat.MP3), "wav, pcm, opus, aac"),
        (ClientOptions(extra={"seed": "5"}), "there is an option"),
        (ClientOptions(extra={"ref_audio_path": "/on/it/ref.wav"}), "not both"),
        (ClientOptions(extra={"top_k": "many"}), "top_k"),
        (ClientOptions(extra={"top_k": "0"}), "top_k"),
        (ClientOptions(extra={"batch_size": "0"}), "hang"),
        (ClientOptions(extra={"overlap_length": "0"}), "overlap_length"),
        (ClientOptions(extra={"fragment_interval": "-1"}), "fragment_interval"),
        (ClientOptions(extra={"batch_size": "2"}), "leaves words out"),
    ],
)
def test_what_would_harm_the_server_or_the_speech_is_refused(options: ClientOptions, word: str) -> None:
    with refused(word):
        to_call(PLAIN, options)


def test_a_batch_is_fine_where_whole_sentences_are_sent() -> None:
    assert json_of(to_call(PLAIN, ClientOptions(mode=1, extra={"batch_size": "4"})))["batch_size"] == 4


def test_an_older_server_is_asked_once_more_in_its_own_words() -> None:
    call = to_call(PLAIN, ClientOptions())
    body = b'{"detail":[{"type":"bool_parsing","loc":["body","streaming_mode"],"msg":"...","input":3}]}'
    again = fallback(call, 422, body)
    assert again is not None
    assert again == replace(call, json={**json_of(call), "streaming_mode": True})
    assert fallback(again, 422, body) is None
    assert fallback(call, 400, body) is None
    assert fallback(call, 422, b'{"detail":[{"loc":["body","seed"]}]}') is None


def test_the_first_version_is_asked_by_its_own_names() -> None:
    extra = {"ref_audio_path": "/on/it/ref.wav", "prompt_text": "words", "prompt_lang": "en"}
    call = v1_call(replace(PLAIN, voice=Voice(), speed=1.5), ClientOptions(extra=extra))
    assert (call.method, call.path) == ("POST", "/")
    assert call.json == {
        "refer_wav_path": "/on/it/ref.wav",
        "prompt_text": "words",
        "prompt_language": "en",
        "text": "你好",
        "text_language": "zh",
        "top_k": 15,
        "top_p": 1.0,
        "temperature": 1.0,
        "speed": 1.5,
        "sample_steps": 32,
        "if_sr": False,
    }


def test_the_first_version_may_speak_as_its_operator_has_set_it_up() -> None:
    call = v1_call(replace(PLAIN, voice=Voice()), ClientOptions())
    assert not {"refer_wav_path", "prompt_text", "prompt_language"} & set(json_of(call))


@pytest.mark.parametrize(
    ("request_", "options", "word"),
    [
        (replace(PLAIN, sampling=Sampling(seed=1)), ClientOptions(), "--seed"),
        (PLAIN, ClientOptions(mode=0), "--streaming-mode"),
        (PLAIN, ClientOptions(format=AudioFormat.WAV), "--wire-format"),
        (PLAIN, ClientOptions(extra={"text_split_method": "cut5"}), "text_split_method"),
    ],
)
def test_what_the_first_version_cannot_do_is_refused(
    request_: SynthesisRequest, options: ClientOptions, word: str
) -> None:
    with refused(word):
        v1_call(request_, options)
