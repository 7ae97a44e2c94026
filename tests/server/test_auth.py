"""Who may come in."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from tests.server.running import serving
from tests.server.tone import ToneEngine

KEY = "open-sesame"
GUARDED = ["/v1/models", "/", "/openapi.json", "/metrics", "/readyz", "/api/voices", "/nowhere"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server whose door stands open, and which has another name."""
    with serving(ToneEngine(), allowed_hosts=("box.example",)) as url:
        yield url


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """One that wants a key."""
    with serving(ToneEngine(), keys=frozenset({KEY, "another"})) as url:
        yield url


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}".strip()}


def test_without_keys_the_door_is_open_even_to_an_empty_bearer(url: str) -> None:
    assert httpx.get(url + "/v1/models").status_code == 200
    assert httpx.get(url + "/v1/models", headers={"authorization": "Bearer"}).status_code == 200


def test_each_key_opens_and_nothing_else_does(locked: str) -> None:
    for key in (KEY, "another"):
        assert httpx.get(locked + "/v1/models", headers=bearer(key)).status_code == 200
    wrong = [{}, bearer(""), bearer("wrong"), bearer(KEY + "x"), bearer(KEY[:-1]), {"authorization": KEY}]
    for headers in [*wrong, {"authorization": f"Basic {KEY}"}]:
        answer = httpx.get(locked + "/v1/models", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", GUARDED)
def test_keys_guard_every_path(locked: str, path: str) -> None:
    assert httpx.get(locked + path).status_code == 401
    assert httpx.get(locked + path, headers=bearer(KEY)).status_code in (200, 404)


def test_pages_are_there_before_the_key_is_known(locked: str) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/", "/docs", "/redoc", "/web/app.js", "/web/style.css"):
        assert httpx.get(locked + path, headers=browser).status_code == 200
    for path in ("/web/../v1/models", "/web/%2e%2e/metrics", "/web/x/y", "/v1/models", "/metrics"):
        assert httpx.get(locked + path, headers=browser).status_code in (401, 404)
    assert httpx.post(locked + "/web/app.js", headers=browser).status_code == 401
    assert "tone" not in httpx.get(locked + "/", headers=browser).text


def test_whoever_looks_after_the_server_needs_no_key(locked: str) -> None:
    assert httpx.get(locked + "/livez").status_code == 200
    assert httpx.get(locked + "/health").status_code == 200


def test_each_dialect_refuses_in_its_own_words(locked: str) -> None:
    assert httpx.post(locked + "/v1/audio/speech", json={}).json()["error"]["code"] == "invalid_api_key"
    assert "message" in httpx.get(locked + "/tts").json()
    assert "detail" in httpx.post(locked + "/api/tts").json()


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]:80", "192.168.3.4:7861", "box.example", "BOX.example:80"]
)
def test_the_servers_own_names_are_answered_to(url: str, host: str) -> None:
    assert httpx.get(url + "/livez", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[", "", "a b"])
def test_a_name_that_somebody_else_controls_is_not(url: str, host: str) -> None:
    answer = httpx.get(url + "/v1/models", headers={"host": host})
    assert answer.status_code == 421 or (host == "a b" and answer.status_code == 400)


def test_any_name_will_do_where_the_operator_says_so() -> None:
    with serving(ToneEngine(), allowed_hosts=("*",)) as url:
        assert httpx.get(url + "/livez", headers={"host": "evil.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "audio"},
    ],
)
def test_a_page_of_another_site_cannot_have_it_speak(headers: dict[str, str]) -> None:
    engine = ToneEngine()
    with serving(engine) as url:
        for answer in (
            httpx.post(url + "/api/tts", data={"text": "Hello."}, headers=headers),
            httpx.get(url + "/tts", params={"text": "Hello."}, headers=headers),
        ):
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
    assert not engine.requests


def test_its_own_pages_and_links_to_it_are_welcome(url: str) -> None:
    assert httpx.get(url + "/v1/models", headers={"origin": url}).status_code == 200
    behind_a_proxy = {"origin": "https://voice.example", "sec-fetch-site": "same-origin"}
    assert httpx.get(url + "/v1/models", headers=behind_a_proxy).status_code == 200
    assert httpx.get(url + "/v1/models", headers={**behind_a_proxy, "sec-fetch-site": "same-site"}).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert httpx.get(url + "/docs", headers=followed).status_code == 200


def test_a_site_that_is_allowed_can_use_it_keys_and_all() -> None:
    site = "https://app.example"
    with serving(ToneEngine(), cors_origins=(site,), keys=frozenset({KEY})) as url:
        asked = {
            "origin": site,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        }
        preflight = httpx.options(url + "/v1/audio/speech", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == site
        answer = httpx.get(url + "/v1/models", headers={"origin": site, **bearer(KEY)})
        assert answer.headers["access-control-allow-origin"] == site
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert (
            httpx.get(url + "/v1/models", headers={"origin": "https://evil.example", **bearer(KEY)}).status_code == 403
        )


def test_no_site_is_allowed_unless_that_was_asked_for(url: str) -> None:
    answer = httpx.get(url + "/v1/models", headers={"origin": url})
    assert "access-control-allow-origin" not in answer.headers


def test_an_answer_has_a_name_which_is_the_clients_own_if_that_is_one(url: str) -> None:
    assert httpx.get(url + "/livez", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    first, second = (httpx.get(url + "/nowhere", headers={"x-request-id": "no name!"}) for _ in range(2))
    assert first.headers["x-request-id"] != second.headers["x-request-id"] != "no name!"


def test_what_is_said_never_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    secret = "Zaphod"
    with caplog.at_level(logging.DEBUG), serving(ToneEngine()) as url:
        httpx.post(url + "/v1/audio/speech", json={"model": "m", "voice": "alloy", "input": secret})
        httpx.post(url + "/v1/audio/speech", json={"model": "m", "voice": secret, "input": secret})
        httpx.post(url + "/api/tts", data={"text": secret, "cfg_value": secret})
        httpx.post(url + "/tts", json={"text": secret, "text_lang": secret})
        ours = [record for record in caplog.records if record.name.startswith(("voxcli", "uvicorn"))]
    assert ours
    assert not [record for record in ours if secret in record.getMessage() or secret in str(record.exc_info)]
