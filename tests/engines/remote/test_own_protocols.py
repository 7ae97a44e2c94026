"""Servers with a protocol of their own, which are asked as they describe themselves."""

from contextlib import closing
from typing import Any

import pytest

from tests.engines.remote.replay import Answer, Asked, missing, replaying, said, streamed
from tests.engines.remote.sounds import remote, wav
from tests.engines.remote.speech_servers import (
    HIGH,
    SOUND_48,
    pcm,
    sound_of,
)
from voxcli.errors import RequestError
from voxcli.protocols.voxcpm.wrappers import find_route
from voxcli.synthesis.request import SynthesisRequest, Voice


def schema(*required: str, **properties: str) -> dict[str, Any]:
    return {"properties": {name: {"type": kind} for name, kind in properties.items()}, "required": list(required)}


def own_protocol(**by_path: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a server, as FastAPI writes it."""
    paths: dict[str, Any] = {"/health": {"get": {}}}
    for name in by_path:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        paths["/" + name.replace("_", "/")] = {"post": {"requestBody": {"content": content}}}
    return {"info": {"title": "TTS"}, "paths": paths, "components": {"schemas": by_path}}


TURKISH = own_protocol(
    v1_tts=schema("text", text="string", voice="string"), v1_tts_stream=schema("text", text="string", voice="string")
)
VOXCPM2_API = own_protocol(
    v1_speech=schema("text", text="string", language="string", cfg_value="number", response_format="string"),
    v1_asr=schema("audio_base64", audio_base64="string"),
)
NANO_VLLM = own_protocol(generate=schema("target_text", target_text="string", cfg_value="number", seed="integer"))


@pytest.mark.parametrize(
    ("description", "path", "field"),
    [
        (TURKISH, "/v1/tts/stream", "text"),
        (VOXCPM2_API, "/v1/speech", "text"),
        (NANO_VLLM, "/generate", "target_text"),
    ],
)
def test_a_server_with_a_protocol_of_its_own_is_asked_as_it_describes_itself(
    description: Any, path: str, field: str, tmp_path: Any
) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == "/openapi.json":
            return said(description)
        if asked.method == "POST" and asked.path == path:
            assert asked.json == {field: "Hello."}
            return streamed([wav(SOUND_48, HIGH)[:40] + b"\xff\xff\xff\x7f", *pcm(SOUND_48)])
        return missing()

    with replaying(reply, lists=True) as replay:
        for _ in range(2):
            with closing(remote(replay.url, None, cache=tmp_path)) as engine:
                assert sound_of(engine) == (SOUND_48.tolist(), HIGH)
                assert not engine.draws_voices


def test_what_such_a_server_has_no_field_for_is_refused_by_its_option() -> None:
    reply = lambda asked: said(TURKISH) if asked.path == "/openapi.json" else missing()  # noqa: E731
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(RequestError) as caught:
            next(engine.stream(SynthesisRequest(text="Hello.", speed=2.0, voice=Voice(name="anna"))))
        assert replay.of("POST") == []
    assert "Leave out --speed." in caught.value.for_command_line


def test_a_description_without_such_a_route_is_none() -> None:
    for document in (None, {}, {"paths": 1}, {"paths": {"/tts": {"post": None}}}, own_protocol(chat=schema(text="x"))):
        assert find_route(document) is None
