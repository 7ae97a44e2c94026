"""VoxCPM's own API as both ends read it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, HttpCall, ServerRequest
from voxcli.protocols.voxcpm.exact import exact_form
from voxcli.protocols.voxcpm.messages import (
    SpeechForm,
    answer_form,
    answer_headers,
    extensions_used,
    to_call,
    to_server_request,
)
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
clips = st.builds(Clip, st.binary(max_size=20), texts)
samplings = st.builds(
    Sampling,
    steps=st.integers(1, 100),
    guidance=st.floats(0, 10),
    seed=st.none() | st.integers(0, 2**63 - 1),
    min_patches=st.integers(0, 2**31),
    max_patches=st.none() | st.integers(1, 2**31) | st.just(4096),
    retries=st.integers(0, 3),
)
requests = st.builds(
    SynthesisRequest,
    text=texts.filter(str.strip),
    voice=st.builds(
        Voice,
        name=st.none() | texts,
        style=st.none() | texts,
        reference=st.none() | clips,
        prompt=st.none() | st.builds(Prompt, clips, texts),
    ),
    sampling=samplings,
    language=st.none() | texts,
    text_language=st.none() | texts,
    speed=st.floats(0.25, 4),
    normalize=st.booleans(),
    denoise=st.booleans(),
)
wishes_of_clients = st.builds(
    ClientOptions,
    format=st.none() | st.sampled_from(AudioFormat),
    stream=st.booleans(),
    model=st.sampled_from([None] * 5 + ["tts-1"]),
    mode=st.sampled_from([None] * 5 + [3]),
)

PLAIN = SynthesisRequest(text="你好")
CLIP = Clip(b"RIFF", "me.wav")


def as_named(name: str) -> Voice:
    return Voice(name=name)


def fields_of(call: HttpCall) -> dict[str, Any]:
    return {**(call.form or {}), **call.files}


def server_request_of(call: HttpCall) -> ServerRequest:
    return to_server_request(fields_of(call), as_named, stream=call.path == "/api/tts/stream")


@given(requests, wishes_of_clients)
def test_a_server_reads_what_a_client_has_said(request: SynthesisRequest, options: ClientOptions) -> None:
    try:
        call = to_call(request, options)
    except RequestError:
        return
    server_request = server_request_of(call)
    assert server_request.request == request
    assert server_request.form.format is (options.format or AudioFormat.WAV)
    assert server_request.form.whole is (not options.stream or options.format is AudioFormat.FLAC)


def test_the_form_names_every_audio_format_and_the_samples_as_they_are() -> None:
    schema = SpeechForm.model_json_schema()["properties"]["format"]
    assert schema["enum"] == [*AudioFormat, "f32"]


@given(requests)
def test_a_request_crosses_exactly_where_every_name_is_left_to_the_engine(request: SynthesisRequest) -> None:
    form, files = exact_form(request)
    read = to_server_request({**form, **files}, None)
    assert read.request == request
    assert read.request.text_language == request.text_language
    assert read.as_is
    assert read.form == AnswerForm(format=AudioFormat.PCM, floats=True)
    assert read.ignored == ()


@given(requests, wishes_of_clients)
def test_a_request_as_it_is_crosses_exactly_or_is_refused(request: SynthesisRequest, options: ClientOptions) -> None:
    options = replace(options, as_is=True)
    has_clip = request.voice.reference or request.voice.prompt
    if options.model or options.mode or (request.voice.name is not None and has_clip):
        with pytest.raises(RequestError):
            to_call(request, options)
        return
    call = to_call(request, options)
    read = server_request_of(call)
    # The empty name of a voice is none, as it is for an engine.
    assert read.request == replace(request, voice=replace(request.voice, name=request.voice.name or None))
    headers = answer_headers(read, 44100)
    assert answer_form(headers, call) == replace(read.form, sample_rate=44100)
    assert answer_form({}, call) == read.form


@pytest.mark.parametrize("half", [Voice(style="\ud800"), Voice(name="\udfff"), Voice(prompt=Prompt(CLIP, "\ud800"))])
def test_half_a_character_is_refused_before_it_is_sent(half: Voice) -> None:
    with pytest.raises(RequestError, match="half of a character"):
        exact_form(replace(PLAIN, voice=half))


def test_a_file_whose_name_is_not_utf_8_is_sent() -> None:
    clip = replace(CLIP, name="\udce4.wav")
    _, files = exact_form(replace(PLAIN, voice=Voice(reference=clip, prompt=Prompt(clip, "x"))))
    assert files == dict.fromkeys(("reference_audio", "prompt_audio"), replace(CLIP, name="?.wav"))


@given(samplings, st.booleans())
def test_all_that_can_be_sampled_can_be_said_but_the_limit_that_means_none(sampling: Sampling, stream: bool) -> None:
    request = replace(PLAIN, sampling=sampling)
    if sampling.max_patches == 4096:
        with refused("--max-len"):
            to_call(request, ClientOptions(stream=stream))
    else:
        assert server_request_of(to_call(request, ClientOptions(stream=stream))).request == request


@given(requests, wishes_of_clients)
def test_what_only_our_servers_understand_is_named(request: SynthesisRequest, options: ClientOptions) -> None:
    """A server of VoxCPM, which knows its own fields only, reads the same unless an option is named."""
    try:
        call = to_call(request, options)
    except RequestError:
        return
    stream = ("text", "cfg_value", "inference_timesteps", "min_len", "max_len", "normalize", "denoise")
    stream = (*stream, "prompt_audio", "prompt_text", "voice_id")
    whole = (*stream[:-1], "retry_badcase", "retry_badcase_max_times", "retry_badcase_ratio_threshold")
    known = {name: value for name, value in fields_of(call).items() if name in (stream if options.stream else whole)}
    server_request = to_server_request(known, as_named, stream=options.stream)
    understood = server_request.request == request and server_request.form.format is (options.format or AudioFormat.WAV)
    assert understood == (not extensions_used(request, options))


def test_the_extensions_are_named_by_their_options() -> None:
    voice = Voice(name="lena", style="calm")
    request = SynthesisRequest(text="x", voice=voice, sampling=Sampling(seed=0, retries=1), language="zh", speed=2)
    assert extensions_used(request, ClientOptions(format=AudioFormat.MP3)) == [
        *("--seed", "--retry-badcase (without --no-stream)", "--instruct", "--language", "--speed", "--wire-format"),
    ]
    assert extensions_used(replace(PLAIN, voice=voice), ClientOptions(stream=False)) == [
        *("--instruct", "--voice (with --no-stream)"),
    ]
    assert extensions_used(PLAIN, ClientOptions(format=AudioFormat.WAV)) == []


def test_every_parameter_of_the_stream_is_sent_in_full() -> None:
    call = to_call(PLAIN, ClientOptions())
    assert (call.method, call.path, call.files) == ("POST", "/api/tts/stream", {})
    assert call.form == {
        "text": "你好",
        "cfg_value": "2.0",
        "inference_timesteps": "10",
        "min_len": "2",
        "max_len": "4096",
        "normalize": "false",
        "denoise": "false",
    }


def test_a_whole_answer_may_be_made_anew_where_it_goes_wrong() -> None:
    def retries(count: int) -> tuple[str, str]:
        form = to_call(replace(PLAIN, sampling=Sampling(retries=count)), ClientOptions(stream=False)).form or {}
        assert form["retry_badcase_ratio_threshold"] == "6.0"
        return form["retry_badcase"], form["retry_badcase_max_times"]

    # The server counts the first attempt, and with none at all it would make no sound.
    assert [retries(count) for count in (0, 1, 3)] == [("false", "3"), ("true", "2"), ("true", "4")]


@pytest.mark.parametrize(
    ("request_", "options", "option"),
    [
        (PLAIN, ClientOptions(model="x"), "--model"),
        (PLAIN, ClientOptions(mode=2), "--streaming-mode"),
        (PLAIN, ClientOptions(extra={"seed": "5"}), "--extra"),
        (replace(PLAIN, voice=Voice(name="a", reference=CLIP)), ClientOptions(), "--voice"),
        (replace(PLAIN, voice=Voice(name="")), ClientOptions(), "--voice"),
        (replace(PLAIN, voice=Voice(style=" ")), ClientOptions(), "--instruct"),
        (replace(PLAIN, voice=Voice(prompt=Prompt(CLIP, " "))), ClientOptions(), "--prompt-text"),
        (replace(PLAIN, language=""), ClientOptions(), "--language"),
    ],
)
def test_what_cannot_be_said_is_refused_by_the_name_of_its_option(
    request_: SynthesisRequest, options: ClientOptions, option: str
) -> None:
    with refused(option):
        to_call(request_, options)


def test_other_fields_go_along() -> None:
    call = to_call(PLAIN, ClientOptions(extra={"retry_badcase_ratio_threshold": "4"}))
    assert (call.form or {})["retry_badcase_ratio_threshold"] == "4"


@pytest.mark.parametrize(
    ("text", "text_language", "normalize", "language"),
    [
        ("12306", "zh", True, "zh"),
        ("12306", "zh", False, None),
        ("12306", "ru", True, None),
        ("号码12306", "zh", True, None),
    ],
)
def test_the_language_of_a_text_is_sent_with_a_number_alone(
    text: str, text_language: str, normalize: bool, language: str | None
) -> None:
    request = SynthesisRequest(text=text, text_language=text_language, normalize=normalize)
    assert to_call(request, ClientOptions()).form.get("language") == language
