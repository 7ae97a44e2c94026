"""The application as a whole, and what it says of itself."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.server.running import Running, running, serving
from tests.server.tone import ToneEngine
from voxcli.server.settings import LanguageModelSettings

KEY = "open-sesame"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    nothing_there = LanguageModelSettings(url="http://127.0.0.1:1/v1")
    with running(ToneEngine(chunks=2, slots=8), language_model=nothing_there) as server:
        yield server


def test_no_request_makes_it_fail_or_answer_otherwise_than_it_says(server: Running) -> None:
    """Whatever schemathesis makes of what the server says of itself."""
    schema = schemathesis.openapi.from_url(server.url + "/openapi.json")
    for operation in schema.get_all_operations():
        checked(operation.ok())()


def checked(operation: schemathesis.APIOperation) -> Callable[[], None]:  # type: ignore[type-arg]
    @given(case=operation.as_strategy())
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])  # a text may be refused for what it says

    return check


def test_every_path_is_described_with_its_errors(server: Running) -> None:
    described = httpx.get(server.url + "/openapi.json").json()
    for path in ("/v1/audio/speech", "/api/tts", "/api/tts/stream", "/tts", "/readyz", "/metrics", "/health"):
        for operation in described["paths"][path].values():
            assert "HTTPValidationError" not in str(operation)
            assert {"200", "400", "401", "503"} <= set(operation["responses"])
    assert "securitySchemes" not in described.get("components", {})


def test_a_server_with_keys_says_that_it_wants_one() -> None:
    with serving(ToneEngine(), keys=frozenset({KEY})) as url:
        described = httpx.get(url + "/openapi.json", headers={"authorization": f"Bearer {KEY}"}).json()
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert described["paths"]["/v1/audio/speech"]["post"]["security"] == [{"key": []}]
    assert "security" not in described["paths"]["/health"]["get"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_shows_every_route_and_needs_no_other_server(server: Running, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    described = httpx.get(server.url + "/openapi.json").json()
    for one in described["paths"]:
        assert f"<code>{one}</code>" in answer.text
    for name in ("response_format", "inference_timesteps", "text_split_method"):
        assert f"<code>{name}</code>" in answer.text
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", answer.text)
    assert re.findall(r'<script type=module src="./([^"]*)"></script>', answer.text) == ["web/docs.js"]
    assert len(answer.content) < 200_000
    for link in re.findall(r'(?:href|src)="([^"]*)"', answer.text):
        assert httpx.get(httpx.URL(server.url + path).join(link)).status_code == 200


def test_the_first_page_names_the_routes_to_people_and_programs(server: Running) -> None:
    page = httpx.get(server.url, headers={"accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    listed = httpx.get(server.url).json()
    assert listed["model"] == "tone"
    assert listed["routes"]["/api/chat"] == "chat with a language model"
    described = httpx.get(server.url + "/openapi.json").json()["paths"]
    assert set(listed["routes"]) - {"/docs"} <= set(described)
    fields = {"text": "Hi.", "text_lang": "en", "ref_audio_path": "default", "prompt_lang": "en"}
    assert httpx.post(server.url, json=fields).status_code == 200  # as SillyTavern does


@pytest.mark.parametrize(
    ("method", "path", "status", "key"),
    [
        ("GET", "/nowhere", 404, "detail"),
        ("GET", "/v1/nowhere", 404, "error"),
        ("GET", "/v1/audio/speech", 405, "error"),
        ("DELETE", "/tts", 405, "message"),
        ("GET", "/api/tts", 405, "detail"),
    ],
)
def test_paths_and_methods_that_do_not_exist_are_answered_in_the_dialect_around_them(
    server: Running, method: str, path: str, status: int, key: str
) -> None:
    answer = httpx.request(method, server.url + path)
    assert answer.status_code == status
    assert key in answer.json()
    assert answer.headers["x-request-id"]
    assert (status == 405) == ("allow" in answer.headers)
