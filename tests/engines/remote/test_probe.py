"""What a server is: found out without sound, remembered, and forgotten when it is wrong."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.remote.replay import Answer, Asked, missing, posts, replaying, said, streamed, whole
from tests.engines.remote.sounds import GPT_SOVITS, GPT_SOVITS_1, HELLO, VOXCLI, VOXCPM, remote, tone, wav
from voxcli.engines.remote.probe import CACHE_SECONDS, Server, ServerCache, read_description
from voxcli.engines.remote.settings import has_version, normalized_url, root_of
from voxcli.errors import RemoteError, RemoteRefused, RequestError
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import SynthesisRequest, Voice

OPENAI = {"info": {"title": "Kokoro TTS API"}, "paths": {"/v1/audio/speech": {}, "/v1/models": {}}}


@pytest.mark.parametrize(
    ("description", "server"),
    [
        (VOXCLI, Server(dialect=Dialect.VOXCPM, is_voxcli=True)),
        (VOXCPM, Server(dialect=Dialect.VOXCPM)),
        (OPENAI, Server(dialect=Dialect.OPENAI, prefix="/v1")),
        (GPT_SOVITS, Server(dialect=Dialect.GPT_SOVITS)),
        (GPT_SOVITS_1, Server(dialect=Dialect.GPT_SOVITS, version=1)),
    ],
)
def test_a_server_is_known_by_its_own_description(description: Any, server: Server) -> None:
    with replaying(posts(lambda asked: missing(), description)) as replay, closing(remote(replay.url, None)) as engine:
        assert engine.server == server
        asked_of_ours = ["/health"] if server.is_voxcli else []
        assert [asked.path for asked in replay.asked] == ["/openapi.json", *asked_of_ours]


def only(path: str, answer: Callable[[], Answer]) -> Callable[[Asked], Answer]:
    return lambda asked: answer() if asked.path.partition("?")[0] == path else missing()


@pytest.mark.parametrize(
    ("reply", "dialect"),
    [
        (only("/v1/models", lambda: said({"object": "list", "data": []})), Dialect.OPENAI),
        (only("/v1/models", lambda: said({"error": {"message": "no key"}}, 401)), Dialect.OPENAI),
        (only("/health", lambda: said({"status": "healthy", "model_loaded": False})), Dialect.VOXCPM),
        (only("/tts", lambda: said({"message": "ref_audio_path is required"}, 400)), Dialect.GPT_SOVITS),
    ],
)
def test_a_server_without_a_description_is_known_by_what_it_answers(
    reply: Callable[[Asked], Answer], dialect: Dialect
) -> None:
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert engine.server.dialect is dialect
        assert replay.of("POST") == []


@pytest.mark.parametrize(
    "answer",
    [missing, lambda: whole(b"<html>an app for everything</html>", "text/html"), lambda: said([1, 2])],
)
def test_an_unrecognized_server_is_not_guessed(answer: Callable[[], Answer]) -> None:
    with replaying(lambda asked: answer(), lists=True) as replay:
        with pytest.raises(RemoteError, match="not recognized") as caught:
            remote(replay.url, None)
        assert replay.of("POST") == []
    assert "--protocol" in caught.value.for_command_line


def test_a_server_behind_a_key_says_so() -> None:
    reply = lambda asked: said({"detail": "a key, please"}, 401)  # noqa: E731
    with replaying(reply, lists=True) as replay, pytest.raises(RemoteRefused, match="needs a key") as caught:
        remote(replay.url, None)
    assert caught.value.status == 401
    assert "voxcli keys set" in caught.value.for_command_line


def test_an_address_with_a_version_means_openai_and_is_asked_for_its_models_only() -> None:
    with replaying(lambda asked: missing()) as replay, closing(remote(f"{replay.url}/v1", None)) as engine:
        assert engine.server.dialect is Dialect.OPENAI
        assert replay.asked == []


def test_what_was_found_out_is_not_asked_again(tmp_path: Path) -> None:
    with replaying(posts(lambda asked: missing(), VOXCLI)) as replay:
        for _ in range(2):
            with closing(remote(replay.url, None, cache=tmp_path)) as engine:
                assert engine.server.is_voxcli
        # What engine it has now is asked every time.
        assert [asked.path for asked in replay.asked] == ["/openapi.json", "/health", "/health"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["servers.json"]


@pytest.mark.parametrize("health", [None, [], {"engine": None}, {"engine": "piper"}, {"engine": {"tags": 1}}, {}])
def test_a_server_of_ours_that_does_not_tell_its_engine_is_asked_as_before(health: object) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == "/health":
            return said(health)
        return said(VOXCLI) if asked.path == "/openapi.json" else streamed([wav(tone())])

    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        next(engine.stream(HELLO))
        (speech,) = replay.of("POST")
        assert b"as_is" not in speech.body


def test_a_server_that_has_become_another_one_is_asked_again(tmp_path: Path) -> None:
    with replaying(posts(lambda asked: missing(), GPT_SOVITS)) as replay:
        with closing(remote(replay.url, Dialect.VOXCPM, cache=tmp_path)) as engine, pytest.raises(RemoteRefused):
            next(engine.stream(HELLO))
        with closing(remote(replay.url, Dialect.VOXCPM, cache=tmp_path)):
            assert [asked.path for asked in replay.of("GET")] == ["/openapi.json", "/openapi.json"]


def test_a_cache_that_cannot_be_written_costs_nothing_but_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reply = posts(lambda asked: streamed([wav(tone())]), VOXCPM)
    with replaying(reply) as replay, closing(remote(replay.url, None, cache=tmp_path / "file" / "below")) as engine:
        assert next(engine.stream(HELLO)).sample_rate == 24000


def test_detected_servers_expire(tmp_path: Path) -> None:
    cache, server = ServerCache(tmp_path / "servers.json"), Server(dialect=Dialect.GPT_SOVITS, version=1)
    cache.keep("a", server, now=1000)
    assert cache.find("a", now=1000 + CACHE_SECONDS - 1) == server
    assert cache.find("a", now=1000 + CACHE_SECONDS) is None
    assert cache.find("a", now=999) is None, "the clock was set back"
    assert cache.find("b", now=1000) is None
    cache.forget("a")
    assert cache.find("a", now=1000) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"a": st.fixed_dictionaries({"asked": JSON, "server": JSON})}))
def test_no_damage_to_the_cache_does_harm(document: Any) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file = Path(folder) / "servers.json"
        file.write_text(json.dumps(document))
        assert ServerCache(file).find("a", now=1000) is None
        ServerCache(file).keep("a", Server(dialect=Dialect.OPENAI), now=1000)
        assert ServerCache(file).find("a", now=1000) == Server(dialect=Dialect.OPENAI)


@given(JSON | st.fixed_dictionaries({"info": JSON, "paths": JSON}))
def test_no_description_is_too_strange(document: Any) -> None:
    read_description(document)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("box:7861", "http://box:7861"),
        (" http://box:7861/ ", "http://box:7861"),
        ("HTTPS://API.Example/v1/", "https://api.example/v1"),
        ("https://host/a/Path", "https://host/a/Path"),
        ("[::1]:80", "http://[::1]:80"),
        ("::1", "http://[::1]"),
        ("localhost:8000", "http://localhost:8000"),
        ("http://box/v1/audio/speech", "http://box/v1"),
        ("http://box//v1//audio/speech/", "http://box/v1"),
        ("http://box/audio/speech", "http://box"),
        ("http://box/api/v1/audio/speech", "http://box/api/v1"),
        ("http://box/v1/models", "http://box/v1"),
        ("http://box/v1/audio/voices", "http://box/v1"),
        ("http://box/v1/chat/completions", "http://box/v1"),
        ("http://box/api/tts/stream", "http://box"),
        ("http://box/api/tts", "http://box"),
        ("http://box/docs", "http://box"),
        ("http://box/openapi.json", "http://box"),
    ],
)
def test_an_address_may_be_written_in_many_ways(written: str, url: str) -> None:
    assert normalized_url(written) == url == normalized_url(url)


@pytest.mark.parametrize(
    "written",
    [
        *("", "http://", "ftp://box", "http://box:port", "http://bo x", "http://box/?key=1", "http://box/#x"),
        *("file:///etc", "http:/box", "http://.box", "http://a..b", "ws://box/v1"),
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(RequestError):
        normalized_url(written)


@pytest.mark.parametrize("written", ["unix:///run/x.sock", "http+unix://%2Frun%2Fx", "/run/x.sock", "./x.sock", "~/x"])
def test_a_socket_file_is_refused_as_one(written: str) -> None:
    with pytest.raises(RequestError, match="over TCP"):
        normalized_url(written)


@pytest.mark.parametrize(("path", "description"), [("/tts", GPT_SOVITS), ("/api", VOXCPM)])
def test_the_path_of_a_route_may_be_there_too(path: str, description: Any, tmp_path: Path) -> None:
    def reply(asked: Asked) -> Answer:
        return posts(lambda asked: streamed([wav(tone())]), description)(asked)

    with replaying(reply) as replay:
        for _ in range(2):
            voice = Voice(name="x") if description is GPT_SOVITS else Voice()
            with closing(remote(replay.url + path, None, cache=tmp_path)) as engine:
                assert next(engine.stream(SynthesisRequest(text="Hello.", voice=voice))).sample_rate == 24000
        assert {asked.path for asked in replay.of("POST")} <= {"/tts", "/api/tts/stream"}


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    for written in ("http://user:secret@box", "user:secret@box:80", "http://secret@box:99999"):
        with pytest.raises(RequestError) as caught:
            normalized_url(written)
        assert "secret" not in str(caught.value)


def test_the_version_of_openais_api_may_be_there_or_not() -> None:
    assert root_of("http://box") == root_of("http://box/v1") == "http://box"
    assert has_version("http://box/api/v3")
    assert has_version("http://box/v1")
    assert not has_version("http://box/v1beta")
