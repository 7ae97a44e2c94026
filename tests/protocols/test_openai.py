"""OpenAI's speech API as both ends read it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.protocols.dialect import AnswerForm, ClientOptions, Framing, HttpCall, ServerRequest
from voxcli.protocols.openai.fields import VOICES, to_server_request
from voxcli.protocols.openai.messages import answer_form, answer_headers, to_call
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

CLIP = Clip(b"RIFF", "me.wav")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.sampled_from(["lena", "voice_1234", "李雷", "Zoë 2"])
voices = st.builds(Voice, name=st.none() | names, style=st.none() | texts)
said = st.builds(
    SynthesisRequest,
    text=texts.filter(str.strip),
    voice=voices,
    speed=st.floats(0.25, 4.0),
)
anything = st.builds(
    SynthesisRequest,
    text=texts.filter(str.strip),
    voice=st.builds(
        Voice,
        name=st.none() | names,
        style=st.none() | st.sampled_from(["", "None", " ", "calm"]),
        reference=st.none() | st.just(CLIP),
        prompt=st.none() | st.just(Prompt(CLIP, "words")),
    ),
    sampling=st.builds(
        Sampling,
        steps=st.sampled_from([5, 10]),
        guidance=st.sampled_from([1.0, 2.0]),
        seed=st.none() | st.just(0),
        min_patches=st.sampled_from([2, 3]),
        max_patches=st.none() | st.just(9),
        retries=st.sampled_from([0, 1]),
    ),
    language=st.none() | st.just("zh"),
    normalize=st.booleans(),
    denoise=st.booleans(),
)
options = st.builds(
    ClientOptions,
    model=st.none() | st.sampled_from(["tts-1-hd", "voxcpm-2"]),
    format=st.none() | st.sampled_from(AudioFormat),
    extra=st.dictionaries(st.sampled_from(["user", "stream_format", "x"]), st.just("sse")),
)


def find_voice(name: str) -> Voice | None:
    """Everybody but OpenAI's own is there."""
    return None if name.lower() in (*VOICES, "nobody") else Voice(name=name)


def over_the_wire(call: HttpCall) -> ServerRequest:
    return to_server_request(json.loads(json.dumps(call.json)), find_voice)


@given(said, options)
def test_what_the_protocol_can_say_arrives_unchanged(request: SynthesisRequest, options: ClientOptions) -> None:
    if request.voice.style is not None and request.voice.style.strip() in ("", "None"):
        request = replace(request, voice=replace(request.voice, style=None))

    call = to_call(request, options)
    server_request = over_the_wire(call)

    assert server_request.request == request
    assert server_request.form.format is (options.format or AudioFormat.WAV)
    assert server_request.form.framing is (Framing.SSE if "stream_format" in options.extra else Framing.PLAIN)
    assert server_request.model == (options.model or (call.json or {})["model"])


@given(anything, options)
def test_a_request_arrives_unchanged_or_is_refused(request: SynthesisRequest, options: ClientOptions) -> None:
    try:
        call = to_call(request, options)
    except RequestError:
        return
    assert over_the_wire(call).request == request


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"voice": Voice(reference=CLIP)}, "--ref-audio"),
        ({"voice": Voice(prompt=Prompt(CLIP, "words"))}, "--prompt-audio"),
        ({"voice": Voice(style="None")}, "--instruct"),
        ({"sampling": Sampling(seed=0)}, "--seed"),
        ({"sampling": Sampling(steps=5)}, "--steps"),
        ({"sampling": Sampling(guidance=3.0)}, "--cfg"),
        ({"sampling": Sampling(min_patches=0)}, "--min-len"),
        ({"sampling": Sampling(max_patches=100)}, "--max-len"),
        ({"sampling": Sampling(retries=1)}, "--retry-badcase"),
        ({"language": "en"}, "--language"),
        ({"normalize": True}, "--normalize"),
        ({"denoise": True}, "--denoise"),
    ],
)
def test_what_the_protocol_cannot_say_is_refused_with_the_option(change: dict[str, Any], option: str) -> None:
    with refused(option):
        to_call(replace(SynthesisRequest(text="Hello."), **change), ClientOptions())


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (ClientOptions(mode=2), "--streaming-mode"),
        (ClientOptions(stream=False), "--no-stream"),
        (ClientOptions(extra={"voice": "echo"}), "--extra"),
        (ClientOptions(extra={"speed": "2"}), "--extra"),
    ],
)
def test_wishes_that_make_no_sense_here_are_refused_with_the_option(options: ClientOptions, option: str) -> None:
    with refused(option):
        to_call(SynthesisRequest(text="Hello."), options)


def test_the_plainest_call_says_only_what_every_server_takes() -> None:
    call = to_call(SynthesisRequest(text="Hello."), ClientOptions())

    assert (call.method, call.path) == ("POST", "/audio/speech")
    assert call.json == {"model": "tts-1", "input": "Hello.", "voice": "alloy", "response_format": "wav"}


def test_a_description_asks_for_the_model_that_follows_it() -> None:
    call = to_call(SynthesisRequest(text="Hello.", voice=Voice(name="voice_7", style="calm")), ClientOptions())

    assert call.json == {
        "model": "gpt-4o-mini-tts",
        "input": "Hello.",
        "voice": {"id": "voice_7"},
        "instructions": "calm",
        "response_format": "wav",
    }


def test_extra_fields_keep_their_types() -> None:
    extra = {"seed": "7", "normalize": "true", "tag": "blue", "id": '"7"'}
    call = to_call(SynthesisRequest(text="Hello."), ClientOptions(extra=extra))

    assert call.json
    assert {name: call.json[name] for name in extra} == {"seed": 7, "normalize": True, "tag": "blue", "id": "7"}
    assert over_the_wire(call).request.sampling.seed == 7


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg; codecs=opus"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
    ],
)
def test_both_ends_agree_on_the_form(format: str, content_type: str) -> None:
    call = to_call(SynthesisRequest(text="Hello."), ClientOptions(format=AudioFormat(format)))
    server_request = over_the_wire(call)

    headers = answer_headers(server_request, 24000)

    assert headers["content-type"] == content_type
    assert answer_form(headers, call) == replace(server_request.form, sample_rate=24000, whole=False)


def test_both_ends_agree_on_events() -> None:
    call = to_call(SynthesisRequest(text="Hello."), ClientOptions(extra={"stream_format": "sse"}))
    server_request = over_the_wire(call)

    assert (
        answer_form(answer_headers(server_request, 24000), call).framing is server_request.form.framing is Framing.SSE
    )


@pytest.mark.parametrize(
    ("content_type", "extra", "form"),
    [
        ("audio/pcm", {}, AnswerForm(format=AudioFormat.PCM, sample_rate=24000)),
        ("audio/pcm;rate=44100", {}, AnswerForm(format=AudioFormat.PCM, sample_rate=44100)),
        ("audio/L16; channels=1; rate=48000", {}, AnswerForm(format=AudioFormat.PCM, sample_rate=48000)),
        ("audio/pcm; rate=7", {}, AnswerForm(format=AudioFormat.PCM, sample_rate=24000)),
        ("audio/pcm", {"sample_rate": "16000"}, AnswerForm(format=AudioFormat.PCM, sample_rate=16000)),
        ("text/html", {}, AnswerForm(format=AudioFormat.WAV, sample_rate=24000)),
        (None, {}, AnswerForm(format=AudioFormat.WAV, sample_rate=24000)),
    ],
)
def test_headers_tell_what_the_bytes_do_not(content_type: str | None, extra: dict[str, str], form: AnswerForm) -> None:
    headers = {"content-type": content_type} if content_type else {}

    assert answer_form(headers, to_call(SynthesisRequest(text="Hello."), ClientOptions(extra=extra))) == form
