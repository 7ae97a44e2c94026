"""VoxCPM's own API as a server reads it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, FieldError, Framing, Problem, ServerRequest
from voxcli.protocols.voxcpm.messages import (
    answer_form,
    answer_headers,
    error_body,
    error_message,
    problem_of,
    to_call,
    to_server_request,
)
from voxcli.protocols.voxcpm.voices import voice_entry
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

PLAIN = SynthesisRequest(text="你好")
CLIP = Clip(b"RIFF", "me.wav")


def as_named(name: str) -> Voice:
    return Voice(name=name)


def read(fields: Mapping[str, Any], **settings: Any) -> ServerRequest:
    return to_server_request({"text": "x", **fields}, as_named, **settings)


def test_a_bare_text_is_spoken_as_by_the_servers_of_voxcpm() -> None:
    server_request = read({})
    assert server_request.request == SynthesisRequest(text="x", sampling=Sampling(steps=5))
    assert server_request.form == AnswerForm(format=AudioFormat.WAV)
    assert read({}, stream=False).form == AnswerForm(format=AudioFormat.WAV, whole=True)
    assert read({}, default_steps=10).request == SynthesisRequest(text="x")


def test_an_empty_field_is_not_there() -> None:
    names = ("cfg_value", "min_len", "prompt_audio", "prompt_text", "voice_id", "seed", "format", "normalize", "speed")
    assert read(dict.fromkeys(names, "")) == read({})


@pytest.mark.parametrize("format", AudioFormat)
def test_a_format_is_an_answer_in_one_piece(format: AudioFormat) -> None:
    assert read({"format": format.value}).form == AnswerForm(format=format, whole=format is AudioFormat.FLAC)
    assert read({"format": format.value}, stream=False).form == AnswerForm(format=format, whole=True)


@pytest.mark.parametrize("yes", ["true", "True", "1", "yes", "on", "ON", True, 1, 1.0])
def test_many_words_mean_yes(yes: object) -> None:
    assert read({"normalize": yes}).request.normalize


@pytest.mark.parametrize("no", ["false", "0", "no", "off", False, 0])
def test_many_words_mean_no(no: object) -> None:
    assert not read({"denoise": no}).request.denoise


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"text": ""}, "text", "missing"),
        ({"text": CLIP}, "text", "string_type"),
        ({"text": "\ud800"}, "text", "string_unicode"),
        ({"inference_timesteps": "5.5"}, "inference_timesteps", "int_parsing"),
        ({"inference_timesteps": "9" * 5000}, "inference_timesteps", "int_parsing_size"),
        ({"min_len": "x"}, "min_len", "int_parsing"),
        ({"cfg_value": "much"}, "cfg_value", "float_parsing"),
        ({"normalize": "perhaps"}, "normalize", "bool_parsing"),
        ({"normalize": "nan"}, "normalize", "bool_parsing"),
        ({"prompt_audio": "me.wav"}, "prompt_audio", "is_instance_of"),
        ({"format": "midi"}, "format", "enum"),
    ],
)
def test_a_malformed_field_is_named_as_fastapi_does(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(FieldError) as caught:
        read(fields)
    problem = problem_of(caught.value)
    assert (problem.status, problem.field, problem.code) == (422, field, code)
    assert error_body(problem)["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"prompt_audio": CLIP, "reference_audio": CLIP}, 400, "prompt_text"),
        ({"prompt_text": "words"}, 400, "prompt_audio"),
        ({"prompt_audio": CLIP, "prompt_text": "words", "voice_id": "lena"}, 400, "not both"),
        ({"voice_id": "nobody"}, 404, "nobody"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields: dict[str, Any], status: int, word: str) -> None:
    with pytest.raises(FieldError, match=word) as caught:
        to_server_request({"text": "x", **fields}, {"lena": Voice(reference=CLIP)}.get)
    problem = problem_of(caught.value)
    assert problem.status == status
    assert error_body(problem) == {"detail": str(caught.value)}


@pytest.mark.parametrize(
    "fields", [{"text": " \n"}, {"inference_timesteps": "0"}, {"cfg_value": "nan"}, {"speed": "9"}, {"max_len": "-1"}]
)
def test_what_makes_no_sense_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(RequestError):
        read(fields)


@pytest.mark.parametrize(
    ("fields", "sampling", "ignored"),
    [
        ({"retry_badcase": "1", "retry_badcase_max_times": "0"}, Sampling(steps=5), ()),
        (
            {"retry_badcase": "1", "retry_badcase_max_times": "5"},
            Sampling(steps=5, retries=3),
            ("retry_badcase_max_times",),
        ),
        ({"retry_badcase_max_times": "5"}, Sampling(steps=5), ("retry_badcase_max_times",)),
        ({"retry_badcase_ratio_threshold": "4"}, Sampling(steps=5), ("retry_badcase_ratio_threshold",)),
        ({"inference_timesteps": "500"}, Sampling(steps=100), ("inference_timesteps",)),
        ({"seed": "-1"}, Sampling(steps=5), ()),
        ({"min_len": "-1"}, Sampling(steps=5, min_patches=0), ()),
        ({"framing": "blocks", "format": "mp3"}, Sampling(steps=5), ("framing",)),
        ({"top_k": "5", "a b": "1", "é": "2"}, Sampling(steps=5), ("top_k",)),
    ],
)
def test_a_value_that_cannot_matter_is_limited_and_named(
    fields: dict[str, str], sampling: Sampling, ignored: tuple[str, ...]
) -> None:
    server_request = read(fields)
    assert server_request.request.sampling == sampling
    assert server_request.ignored == ignored


def test_a_stream_comes_in_blocks_on_request() -> None:
    assert read({"framing": "blocks"}).form == AnswerForm(format=AudioFormat.WAV, framing=Framing.BLOCKS)
    assert read({"framing": "blocks"}, stream=False).form == AnswerForm(format=AudioFormat.WAV, whole=True)


@pytest.mark.parametrize("words", [{}, {"prompt_text": " "}])
def test_a_recording_without_its_transcript_is_imitated(words: dict[str, str]) -> None:
    assert read({"prompt_audio": CLIP, **words}).request.voice == Voice(reference=CLIP)


def test_a_transcript_beside_a_voice_of_the_server_makes_no_difference() -> None:
    server_request = read({"voice_id": "lena", "prompt_text": "words"})
    assert (server_request.request.voice, server_request.ignored) == (Voice(name="lena"), ("prompt_text",))


def test_a_long_text_is_refused_where_there_is_a_limit() -> None:
    assert read({"text": "x" * 10}, max_characters=10)
    with pytest.raises(FieldError, match="10"):
        read({"text": "x" * 11}, max_characters=10)


def test_the_default_voice_is_the_choice_of_the_model_unless_the_library_has_one() -> None:
    fields = {"text": "x", "voice_id": "default"}
    assert to_server_request(fields, {}.get).request.voice == Voice()
    assert to_server_request({**fields, "prompt_audio": CLIP, "prompt_text": "words"}, {}.get).request.voice.prompt
    mine = Voice(reference=CLIP)
    assert to_server_request(fields, {"default": mine}.get).request.voice == mine


def test_a_description_adds_to_a_voice_of_the_library() -> None:
    lena = Voice(reference=CLIP, style="calm")
    fields = {"text": "x", "voice_id": "lena"}
    assert to_server_request(fields, {"lena": lena}.get).request.voice == lena
    assert to_server_request({**fields, "instruct": "loud"}, {"lena": lena}.get).request.voice == replace(
        lena, style="loud"
    )


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        (None, "audio/wav"),
        (AudioFormat.MP3, "audio/mpeg"),
        (AudioFormat.OPUS, "audio/ogg; codecs=opus"),
        (AudioFormat.AAC, "audio/aac"),
        (AudioFormat.FLAC, "audio/flac"),
        (AudioFormat.PCM, "audio/pcm"),
    ],
)
def test_a_client_expects_what_a_server_announces(format: AudioFormat | None, content_type: str) -> None:
    for stream in (True, False):
        call = to_call(PLAIN, ClientOptions(format=format, stream=stream))
        server_request = to_server_request({**(call.form or {}), **call.files}, as_named, stream=stream)
        headers = answer_headers(server_request, 44100)
        assert headers["content-type"] == content_type
        assert answer_form(headers, call) == replace(server_request.form, sample_rate=44100)


def test_what_a_server_does_not_announce_is_what_it_was_asked_for() -> None:
    call = to_call(PLAIN, ClientOptions(format=AudioFormat.PCM))
    assert answer_form({}, call) == AnswerForm(format=AudioFormat.PCM)
    assert answer_form({"content-type": "audio/x-wav"}, call) == AnswerForm(format=AudioFormat.WAV)


def test_an_error_comes_back_as_its_sentence() -> None:
    problem = Problem(status=503, message="All is busy.")
    assert error_message(503, json.dumps(error_body(problem)).encode()) == "All is busy."
    malformed = Problem(status=422, message="'seed' should be a whole number.", code="int_parsing", field="seed")
    assert "'seed' should be a whole number." in error_message(422, json.dumps(error_body(malformed)).encode())


def test_a_listed_voice_has_its_description_and_its_transcript() -> None:
    lena = Voice(prompt=Prompt(CLIP, "words"), style="calm")
    assert voice_entry("lena", lena) == {"id": "lena", "description": "calm", "text": "words"}
    assert voice_entry("default", Voice()) == {"id": "default", "description": "", "text": ""}
