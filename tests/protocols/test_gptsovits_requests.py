"""GPT-SoVITS's API as a server reads it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, FieldError, HttpCall, Problem, ServerRequest
from voxcli.protocols.gptsovits.fields import DEFAULTS, stem_of
from voxcli.protocols.gptsovits.messages import (
    answer_form,
    answer_headers,
    error_body,
    error_message,
    problem_of,
    to_call,
    to_server_request,
)
from voxcli.synthesis.request import Clip, Sampling, SynthesisRequest, Voice

CLIP = Clip(b"RIFF", "me.wav")
PLAIN = SynthesisRequest(text="你好", voice=Voice(name="lena"), language="zh")
ASKED = {"text": "你好，世界。", "text_lang": "zh", "prompt_lang": "zh", "ref_audio_path": "lena"}
LENA = Voice(reference=CLIP, style="calm")


def as_named(name: str) -> Voice:
    return Voice(name=name)


def json_of(call: HttpCall) -> dict[str, Any]:
    """Return the fields as they are after their way through a socket."""
    fields = json.loads(json.dumps(call.json))
    assert isinstance(fields, dict)
    return fields


def read(**fields: Any) -> ServerRequest:
    return to_server_request({**ASKED, **fields}, {"lena": LENA}.get)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "ref_audio_path is required"),
        ({"ref_audio_path": "lena"}, "text is required"),
        ({"text": "x"}, "text_lang is required"),
        ({"text_lang": "zz"}, "text_lang: zz is not supported in version v2Pro"),
        ({"text_lang": "ZH"}, "prompt_lang is required"),
        ({"prompt_lang": "Klingon"}, "prompt_lang: Klingon is not supported in version v2Pro"),
        ({"prompt_lang": "en", "media_type": "WAV"}, "media_type: WAV is not supported"),
        ({"media_type": "ogg", "text_split_method": "cut6"}, "text_split_method:cut6 is not supported"),
        (
            {"text_split_method": "cut0", "streaming_mode": 4},
            "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)",
        ),
    ],
)
def test_the_checks_come_in_the_order_and_the_words_of_the_original(fields: dict[str, Any], message: str) -> None:
    # Each case keeps what earlier ones have put right, and adds a fault that comes after all that follows.
    steps: list[dict[str, Any]] = [
        {},
        {"ref_audio_path": "lena"},
        {"text": "x"},
        {"text_lang": "zz"},
        {"text_lang": "ZH"},
        {"prompt_lang": "Klingon"},
        {"prompt_lang": "en", "media_type": "WAV"},
        {"media_type": "ogg", "text_split_method": "cut6"},
        {"text_split_method": "cut0", "streaming_mode": 4},
    ]
    given: dict[str, Any] = {"streaming_mode": 9}
    for step in steps[: steps.index(fields) + 1]:
        given |= step
    with pytest.raises(FieldError) as caught:
        to_server_request(given, as_named)
    problem = problem_of(caught.value)
    assert problem.status == 400
    assert error_body(problem) == {"message": message}


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        *((value, 0) for value in (0, False, "0", "false", "off")),
        *((value, 1) for value in (1, True, 1.0, "1", "true", "True", "on", "yes")),
        *((value, int(float(value))) for value in (2, "2", 2.0, "2.0", 3, "3")),
    ],
)
def test_a_streaming_mode_is_a_number_or_a_truth(value: object, mode: int) -> None:
    assert read(streaming_mode=value).form.whole is (mode == 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": None}, "string_type"),
        ({"text": 5}, "string_type"),
        ({"seed": 7.5}, "int_from_float"),
        ({"top_p": "high"}, "float_parsing"),
        ({"parallel_infer": 7}, "bool_parsing"),
        ({"aux_ref_audio_paths": "a.wav"}, "list_type"),
        ({"streaming_mode": None}, "bool_parsing"),
        ({"streaming_mode": 2.5}, "bool_parsing"),
        ({"streaming_mode": ""}, "bool_parsing"),
        ({"streaming_mode": "abc"}, "bool_parsing"),
    ],
)
def test_a_malformed_field_is_found_before_anything_else(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(FieldError) as caught:
        to_server_request(fields, as_named)
    problem = problem_of(caught.value)
    (field,) = fields
    assert (problem.status, problem.code, problem.field) == (422, code, field)
    assert error_body(problem)["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"ref_audio_path": "/etc/passwd"}, "/etc/passwd not exists"),
        ({"text": "…。"}, "valid text"),
        ({"text": "…。", "text_split_method": "cut0"}, "valid text"),
        ({"fragment_interval": -1}, "fragment_interval"),
        ({"fragment_interval": 1e9}, "fragment_interval"),
        ({"fragment_interval": float("nan")}, "fragment_interval"),
    ],
)
def test_what_fails_later_in_the_original_is_a_failed_speech(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(FieldError) as caught:
        read(**fields)
    body = error_body(problem_of(caught.value))
    assert body["message"] == "tts failed"
    assert word in body["Exception"]


@pytest.mark.parametrize("fields", [{"speed_factor": 0}, {"sample_steps": 0}])
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        read(**fields)


def test_fields_without_effect_are_named() -> None:
    given = read(top_k=5, aux_ref_audio_paths=["a.wav"], sample_steps=500, seed=-2, parallel_infer=False, whatever=1)
    assert given.ignored == ("aux_ref_audio_paths", "top_k", "sample_steps", "whatever")
    assert given.request.sampling == Sampling(steps=100)
    assert given.parameters == {"sample_steps": "steps", "seed": "seed"}


@pytest.mark.parametrize(
    "path", ["lena", "lena.wav", "./参考音频/lena.wav", "C:\\voices\\lena.mp3", "/a/b/lena.flac", "../../lena.WAV"]
)
def test_a_path_is_the_name_of_a_voice(path: str) -> None:
    # Some clients send the name of the voice as its words; the library knows better.
    assert read(ref_audio_path=path, prompt_text="lena").request.voice == LENA


def test_a_voice_may_be_called_like_a_path() -> None:
    assert to_server_request({**ASKED, "ref_audio_path": "a/b.wav"}, {"a/b.wav": LENA}.get).request.voice == LENA
    assert (stem_of("v1.5"), stem_of("x.wav"), stem_of("voices/")) == ("v1", "x", "")


def test_the_default_voice_is_the_choice_of_the_model() -> None:
    assert read(ref_audio_path="./参考音频/default.wav").request.voice == Voice()
    with pytest.raises(FieldError, match="not exists"):
        read(ref_audio_path="./参考音频/.wav")


def test_the_defaults_of_the_original_ask_for_nothing_in_particular() -> None:
    everything = to_server_request({**DEFAULTS, **ASKED}, {"lena": LENA}.get)
    assert everything.request == read().request
    assert everything.request.sampling == Sampling()
    assert everything.form == AnswerForm(format=AudioFormat.WAV, whole=True)


@pytest.mark.parametrize(
    ("media_type", "format", "sample_rate"),
    [
        ("wav", AudioFormat.WAV, None),
        ("raw", AudioFormat.PCM, 32000),
        ("ogg", AudioFormat.OPUS, None),
        ("aac", AudioFormat.AAC, None),
    ],
)
def test_a_client_expects_what_a_server_announces(
    media_type: str, format: AudioFormat, sample_rate: int | None
) -> None:
    for stream in (True, False):
        call = to_call(PLAIN, ClientOptions(format=format, stream=stream))
        server_request = to_server_request(json_of(call), as_named)
        headers = answer_headers(server_request, 48000)
        assert headers["content-type"] == f"audio/{media_type}"
        assert answer_form(headers, call) == replace(server_request.form, sample_rate=48000)
        assert answer_form({}, call) == server_request.form
        assert server_request.form == AnswerForm(format=format, sample_rate=sample_rate, whole=not stream)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"tts failed","Exception":"x.wav not exists"}', "x.wav not exists"),
        (b'{"message":"tts failed","Exception":""}', "tts failed"),
        (b'{"message":"text is required"}', "text is required"),
        ('{"code":400,"message":"未指定参考音频且接口无预设"}'.encode(), "未指定参考音频且接口无预设"),
        (b'{"detail":"Not Found"}', "Not Found"),
    ],
)
def test_an_error_comes_back_as_its_sentence(body: bytes, message: str) -> None:
    assert error_message(400, body) == message


def test_an_error_of_ours_comes_back_as_its_sentence() -> None:
    for status, code in ((400, "required"), (403, None), (503, "busy"), (422, "int_parsing")):
        problem = Problem(status=status, message="So it is.", code=code)
        assert "So it is." in error_message(status, json.dumps(error_body(problem)).encode())
