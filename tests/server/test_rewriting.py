"""Spellings of paths that people use, servers behind proxies, and who a request is from."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server.raw import connected
from tests.server.running import Running, running, serving
from tests.server.tone import ToneEngine, until
from voxcli.server.rewriting import Rewriting
from voxcli.server.settings import ServerSettings

FIELDS = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
TTS = {"text": "Hello.", "text_lang": "en", "ref_audio_path": "default", "prompt_lang": "en"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(slots=8)) as server:
        yield server


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/audio/speech", "/v1/audio/speech/", "/audio/speech", "/audio/speech/", "/v1/v1/audio/speech"),
        *("//v1/audio/speech", "/v1//audio/speech", "/v1/v1/v1/audio/speech/", "/v1/audio/speech/audio/speech"),
        *("/v1/audio/speech/v1/audio/speech", "/api/tts", "/api/tts/", "/api/tts/stream/", "/tts/", "//tts"),
    ],
)
def test_speech_is_made_however_the_base_url_was_entered(server: Running, path: str) -> None:
    given = {"data": {"text": "Hello."}} if "/api/" in path else {"json": TTS if "audio" not in path else FIELDS}
    answer = httpx.post(server.url + path, **given)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("audio/")


@pytest.mark.parametrize(
    ("path", "same"),
    [
        *(("/models", "/v1/models"), ("/models/tone", "/v1/models/tone"), ("/v1/models/", "/v1/models")),
        *(("/audio/voices", "/v1/audio/voices"), ("/v1/v1/audio/models", "/v1/audio/models")),
        *(("/voices/", "/v1/voices"), ("/health/", "/health"), ("/readyz/", "/readyz"), ("/speakers/", "/speakers")),
        *(("/docs/", "/docs"), ("//", "/"), ("/api/voices/", "/api/voices"), ("/v1/nowhere/", "/v1/nowhere")),
    ],
)
def test_other_paths_are_found_too(server: Running, path: str, same: str) -> None:
    answers = [httpx.get(server.url + spelling) for spelling in (path, same)]
    assert answers[0].status_code == answers[1].status_code != 307
    # Links are relative: what is one level deeper leads back by one.
    assert answers[0].content.replace(b"../", b"./") == answers[1].content


def test_paths_that_only_resemble_others_are_not_taken_for_them(server: Running) -> None:
    for path in ("/modelsx", "/v1x/models", "/audiox/speech", "/v1/audio/speechx", "/v1/x/models"):
        assert httpx.get(server.url + path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/livez", "/health", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/models", "/v1/audio/voices"),
        *("/v1/voices", "/api/voices", "/speakers", "/health/"),
    ],
)
def test_head_gets_the_headers_of_get(server: Running, path: str) -> None:
    head, whole = httpx.head(server.url + path), httpx.get(server.url + path)
    assert head.status_code == whole.status_code == 200
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.content == b""
    with connected(server.url) as client:
        client.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert client.read(10**6).partition(b"\r\n\r\n")[2] == b""


def test_head_speaks_nothing() -> None:
    engine = ToneEngine()
    with serving(engine) as url:
        assert httpx.head(url + "/tts", params=TTS).status_code == 405
        assert httpx.head(url + "/v1/audio/speech").status_code == 405
        assert httpx.head(url + "/livez").status_code == 200
    assert not engine.requests


@pytest.mark.parametrize("root_path", ["/voice", "/voice/", "/a/b", "/v1", "/tts"])
def test_below_a_prefix_everything_works_whether_the_proxy_removes_it_or_not(root_path: str) -> None:
    prefix = root_path.rstrip("/")
    with serving(ToneEngine(), root_path=root_path) as url:
        for before in ("", prefix):
            assert httpx.post(url + before + "/v1/audio/speech", json=FIELDS).status_code == 200
            assert httpx.get(url + before + "/health").status_code == 200
            assert httpx.get(url + before + "/openapi.json").json()["servers"] == [{"url": prefix}]
            assert f'"{prefix}/openapi.json"' in httpx.get(url + before + "/docs").text
        assert httpx.get(url + prefix).json()["name"] == "voxcli"
        if prefix != "/v1":
            assert httpx.get(url + prefix + "x/health").status_code == 404


def test_keys_are_required_however_the_path_is_spelled() -> None:
    with serving(ToneEngine(), keys=frozenset({"key"}), root_path="/health") as url:
        for path in ("/v1/models/", "/models", "/health/v1/models", "//v1/models", "/health//metrics", "/"):
            assert httpx.get(url + path).status_code == 401
        assert httpx.head(url + "/v1/models").status_code == 401
        assert httpx.get(url + "/livez/").status_code == 200


FORWARDED = [
    # trusted proxies, X-Forwarded-For, whose request it is
    ((), "1.2.3.4", "127.0.0.1"),
    (("10.0.0.1",), "1.2.3.4", "127.0.0.1"),
    (("127.0.0.1",), "1.2.3.4", "1.2.3.4"),
    (("127.0.0.0/8",), "1.2.3.4:5678", "1.2.3.4"),
    (("127.0.0.1",), "[2001:db8::1]:443", "2001:db8::1"),
    (("127.0.0.1",), "2001:db8::1", "2001:db8::1"),
    (("127.0.0.1",), "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # the first was made up by the client
    (("127.0.0.1", "10.0.0.0/8"), "6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"),
    (("127.0.0.1", "10.0.0.0/8"), "10.2.2.2, 10.1.1.1", "10.2.2.2"),
    (("127.0.0.1",), "", "127.0.0.1"),
    (("127.0.0.1",), "unknown", "127.0.0.1"),
    (("127.0.0.1", "10.0.0.0/8"), "6.6.6.6, garbage, 10.1.1.1", "10.1.1.1"),
    (("*",), "6.6.6.6, 1.2.3.4", "1.2.3.4"),
    (("127.0.0.1",), "::ffff:1.2.3.4", "1.2.3.4"),
]


@pytest.mark.parametrize(("trusted", "forwarded", "client"), FORWARDED)
def test_the_real_client_is_logged_if_its_proxy_is_trusted(
    trusted: tuple[str, ...], forwarded: str, client: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        serving(ToneEngine(), trusted_proxies=trusted) as url,
        connected(url) as connection,
    ):
        head = f"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {forwarded}\r\nConnection: close"
        connection.send(f"{head}\r\n\r\n".encode())
        connection.read(10**6)
    assert f" {client} GET /livez: 200" in caplog.text


@pytest.mark.anyio
async def test_proxies_are_known_on_sockets_that_take_both_kinds_of_addresses_and_by_other_headers() -> None:
    seen = []

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        seen.append(scope["client"])

    rewriting = Rewriting(app, ServerSettings(trusted_proxies=("10.0.0.0/8",)))
    scope = {"type": "http", "path": "/", "method": "GET", "client": ("::ffff:10.0.0.1", 5)}
    for headers in ([(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")], [(b"x-real-ip", b"1.2.3.4")]):
        await rewriting({**scope, "headers": headers}, None, None)  # type: ignore[arg-type]
    await rewriting({**scope, "client": None, "headers": []}, None, None)  # type: ignore[arg-type]
    assert [client and client[0] for client in seen] == ["1.2.3.4", "1.2.3.4", None]


@pytest.mark.parametrize(("trusted", "status"), [((), 429), (("127.0.0.1",), 503)], ids=["unknown", "trusted"])
def test_clients_of_a_trusted_proxy_are_told_apart_in_the_queue(trusted: tuple[str, ...], status: int) -> None:
    """Too many requests of one client are its own fault, and a queue full of others is not."""
    engine = ToneEngine(slots=1, hold_at=0)
    with (
        ThreadPoolExecutor(2) as pool,
        running(engine, queue=1, trusted_proxies=trusted) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        admission = server.service.admission

        def come(number: int) -> int:
            headers = {"x-forwarded-for": f"1.2.3.{number}"}
            return client.post("/v1/audio/speech", json=FIELDS, headers=headers).status_code

        speaking = pool.submit(come, 1)
        until(lambda: admission.used == 1)
        waiting = pool.submit(come, 2)
        until(lambda: admission.depth == 1)
        assert come(3) == status
        engine.go.set()
        assert (speaking.result(), waiting.result()) == (200, 200)


@pytest.mark.parametrize("prefix", ["/voice", "/a/b/"])
def test_a_trusted_proxy_may_tell_its_prefix(prefix: str) -> None:
    with serving(ToneEngine(), trusted_proxies=("127.0.0.1",)) as url:
        described = httpx.get(url + "/openapi.json", headers={"x-forwarded-prefix": prefix}).json()
        assert described["servers"] == [{"url": prefix.rstrip("/")}]
        assert "servers" not in httpx.get(url + "/openapi.json").json()
        for evil in ('/"><script>', "javascript:x", "//evil.example", "https://evil.example"):
            assert evil not in httpx.get(url + "/docs", headers={"x-forwarded-prefix": evil}).text
    with serving(ToneEngine()) as url:
        assert "servers" not in httpx.get(url + "/openapi.json", headers={"x-forwarded-prefix": prefix}).json()
