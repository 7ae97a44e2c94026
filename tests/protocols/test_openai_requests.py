"""What a server makes of the fields of OpenAI's speech API."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import AnswerForm, FieldError, Problem, ServerRequest
from voxcli.protocols.openai.fields import VOICES, steps_of, to_server_request
from voxcli.protocols.openai.messages import answer_headers, error_body
from voxcli.synthesis.request import Clip, Sampling, Voice

CLIP = Clip(b"RIFF", "me.wav")


def find_voice(name: str) -> Voice | None:
    """Everybody but OpenAI's own is there."""
    return None if name.lower() in (*VOICES, "nobody") else Voice(name=name)


HELLO = {"model": "tts-1", "input": "Hello.", "voice": "lena"}


def server_request(**fields: Any) -> ServerRequest:
    return to_server_request(HELLO | fields, find_voice, steps_by_model=True)


def test_a_client_that_names_no_form_gets_mp3() -> None:
    assert server_request().form == AnswerForm(format=AudioFormat.MP3)
    assert server_request(response_format=None).form == AnswerForm(format=AudioFormat.MP3)


def test_pcm_leaves_at_the_rate_that_everybody_takes_it_for() -> None:
    assert server_request(response_format="pcm").form.sample_rate == 24000
    assert server_request(response_format="pcm", sample_rate=16000.0).form.sample_rate == 16000
    assert server_request(response_format="wav").form.sample_rate is None


@pytest.mark.parametrize("instructions", [None, "", " ", "None"])
def test_instructions_that_say_nothing_are_none(instructions: str | None) -> None:
    assert server_request(instructions=instructions).request.voice == Voice(name="lena")


def test_instructions_describe_the_voice() -> None:
    assert server_request(instructions="calm").request.voice == Voice(name="lena", style="calm")


@pytest.mark.parametrize("name", [*VOICES, "Alloy"])
def test_the_voices_of_openai_are_taken_for_no_voice_in_particular(name: str) -> None:
    assert server_request(voice=name).request.voice == Voice()
    assert server_request(voice={"id": name}).request.voice == Voice()


@pytest.mark.parametrize("name", VOICES)
def test_a_voice_of_the_library_comes_before_one_of_openai(name: str) -> None:
    own = Voice(reference=CLIP)
    assert to_server_request(HELLO | {"voice": name}, lambda asked: own if asked == name else None).request.voice == own


def test_model_and_voice_may_be_missing_as_in_voxcpms_server() -> None:
    server_request = to_server_request({"input": "Hello."}, find_voice, steps_by_model=True)

    assert (server_request.request.voice, server_request.request.sampling.steps, server_request.model) == (
        Voice(),
        5,
        None,
    )


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        ("tts-1", 5),
        ("tts-1-1106", 5),
        ("tts-1-hd", 10),
        ("tts-1-hd-1106", 10),
        ("gpt-4o-mini-tts", 7),
        ("gpt-4o-mini-tts-2025-12-15", 7),
        ("voxcpm-2", None),
        ("tts-1-other", None),
    ],
)
def test_the_model_chooses_the_steps(model: str, steps: int | None) -> None:
    assert steps_of(model) == steps
    assert server_request(model=model).request.sampling.steps == (steps or 10)
    assert server_request(model=model, steps=33).request.sampling.steps == 33
    assert to_server_request(HELLO | {"model": model}, find_voice).request.sampling == Sampling()


def test_fields_of_ours_are_taken_and_unknown_ones_passed_over() -> None:
    request = server_request(seed=3, language="zh", normalize=True, stream=True, lang_code="e").request

    assert (request.sampling.seed, request.language, request.normalize) == (3, "zh", True)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": ""}, "input", "invalid_value"),
    ({"input": " \n"}, "input", "invalid_value"),
    ({"input": 7}, "input", "invalid_type"),
    ({"input": ["Hello."]}, "input", "invalid_type"),
    ({"input": "x" * 4097}, "input", "string_above_max_length"),
    ({"input": "\ud800"}, "input", "invalid_value"),
    ({"model": 1}, "model", "invalid_type"),
    ({"voice": "nobody"}, "voice", "voice_not_found"),
    ({"voice": ["alloy"]}, "voice", "invalid_type"),
    ({"voice": {}}, "voice.id", "missing_required_parameter"),
    ({"voice": {"id": 7}}, "voice.id", "invalid_type"),
    ({"voice": {"id": "nobody"}}, "voice", "voice_not_found"),
    ({"response_format": "ogg"}, "response_format", "invalid_value"),
    ({"response_format": 3}, "response_format", "invalid_type"),
    ({"stream_format": "xml"}, "stream_format", "invalid_value"),
    ({"speed": 0.2}, "speed", "invalid_value"),
    ({"speed": 4.1}, "speed", "invalid_value"),
    ({"speed": float("nan")}, "speed", "invalid_value"),
    ({"speed": 10**400}, "speed", "invalid_type"),
    ({"speed": "1"}, "speed", "invalid_type"),
    ({"speed": True}, "speed", "invalid_type"),
    ({"instructions": "x" * 4097}, "instructions", "string_above_max_length"),
    ({"instructions": {}}, "instructions", "invalid_type"),
    ({"seed": 1.5}, "seed", "invalid_type"),
    ({"steps": 0}, "steps", "invalid_value"),
    ({"sample_rate": 7999}, "sample_rate", "invalid_value"),
    ({"normalize": "yes"}, "normalize", "invalid_type"),
]


@pytest.mark.parametrize(("fields", "field", "code"), BAD, ids=str)
def test_a_wrong_field_is_named_with_a_code(fields: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(FieldError) as caught:
        server_request(**fields)

    assert (caught.value.field, caught.value.code) == (field, code)
    assert len(str(caught.value)) < 200


def test_a_server_may_take_longer_texts() -> None:
    assert to_server_request(HELLO | {"input": "x" * 5000}, find_voice, max_characters=5000).request.text == "x" * 5000


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "x"]), inner, max_size=2),
    max_leaves=3,
)
FIELDS = ["model", "input", "voice", "instructions", "response_format", "speed", "stream_format", "seed", "language"]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_whatever_comes_is_an_order_or_a_field_error(fields: Mapping[str, Any]) -> None:
    try:
        server_request = to_server_request(fields, find_voice)
    except FieldError as refused:
        json.dumps(error_body(Problem(status=400, message=str(refused))), ensure_ascii=False).encode()
        return
    assert answer_headers(server_request, 24000)["content-type"]
