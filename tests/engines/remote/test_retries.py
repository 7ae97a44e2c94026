"""Retries of requests to a server: for which failures, how often, and when not."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from email.utils import formatdate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.remote.replay import Answer, Asked, missing, posts, replaying, said, streamed, whole
from tests.engines.remote.sounds import HELLO, VOXCPM, heard, remote, tone, wav
from voxcli.backoff import LONGEST_DELAY, Backoff, parse_retry_after
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteRefused, RemoteTimeout, RequestError
from voxcli.protocols.names import Dialect

SOUND = tone()


def failing(*answers: Callable[[], Answer]) -> Callable[[Asked], Answer]:
    """Answer so one after another, then with sound."""
    left = list(answers)
    return lambda asked: left.pop(0)() if left else streamed([wav(SOUND)])


def broken() -> Answer:
    return Answer([], hang_up=True)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with replaying(failing(lambda: said({}, status), lambda: said({}, status))) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)
        assert len(server.asked) == 3
        assert len({asked.body for asked in server.asked}) == 1, "the same every time"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 501])
def test_a_refusal_stands(status: int) -> None:
    with replaying(lambda asked: said({"error": {"message": "so not"}}, status)) as server:
        with closing(remote(server.url)) as engine, pytest.raises(RemoteRefused, match="so not") as caught:
            next(engine.stream(HELLO))
        assert caught.value.status == status
        assert len(server.asked) == 1


def test_a_server_that_says_it_is_no_use_is_believed() -> None:
    with (
        replaying(lambda asked: said({}, 500, x_should_retry="false")) as server,
        closing(remote(server.url)) as engine,
    ):
        with pytest.raises(RemoteRefused):
            next(engine.stream(HELLO))
        assert len(server.asked) == 1


def test_in_the_end_it_is_given_up_with_what_the_server_says() -> None:
    with replaying(lambda asked: said({"detail": "melted"}, 503)) as server, closing(remote(server.url)) as engine:
        with pytest.raises(RemoteRefused, match="melted"):
            next(engine.stream(HELLO))
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    "answer", [broken, lambda: streamed([], end=False), lambda: Answer([b"HTTP/1.1 200 OK\r\n"], reset=True)]
)
def test_a_connection_that_breaks_before_any_sound_is_made_anew(answer: Callable[[], Answer]) -> None:
    with replaying(failing(answer, answer)) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)
        assert server.connections == 3


def test_one_connection_serves_many_requests() -> None:
    with replaying(lambda asked: whole(wav(SOUND))) as server, closing(remote(server.url)) as engine:
        for _ in range(3):
            assert sum(len(chunk.samples) for chunk in engine.stream(HELLO)) == len(SOUND)
        assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    answers = iter([lambda: Answer(whole(wav(SOUND)).pieces, hang_up=True), lambda: whole(wav(SOUND))])
    with replaying(lambda asked: next(answers)()) as server, closing(remote(server.url)) as engine:
        for _ in range(2):
            assert sum(len(chunk.samples) for chunk in engine.stream(HELLO)) == len(SOUND)
        assert server.connections == 2


def test_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    answers = (lambda: said({}, 429, retry_after_ms="300"), lambda: said({}, 503, Retry_After="1"))
    with replaying(failing(*answers)) as server:
        started = time.monotonic()
        heard(remote(server.url))
        assert 1.3 <= time.monotonic() - started < 3


def test_who_is_asked_to_wait_for_ever_does_not() -> None:
    with replaying(lambda asked: said({"detail": "much later"}, 429, Retry_After="3600")) as server:
        with closing(remote(server.url)) as engine, pytest.raises(RemoteRefused, match="much later"):
            next(engine.stream(HELLO))
        assert len(server.asked) == 1


def test_a_silent_server_is_given_up_in_time_and_only_once() -> None:
    left = threading.Event()

    def reply(asked: Asked) -> Answer:
        left.wait(10)
        return missing()

    with replaying(reply) as server, closing(remote(server.url, read_seconds=0.2)) as engine:
        with pytest.raises(RemoteTimeout) as caught:
            next(engine.stream(HELLO))
        assert "--timeout" in caught.value.for_command_line
        left.set()
        assert len(server.asked) == 1


def test_a_move_is_told_and_not_followed() -> None:
    reply = lambda asked: said({}, 307, Location="https://elsewhere/")  # noqa: E731
    with replaying(reply) as server, closing(remote(server.url, key="sk-secret")) as engine:
        with pytest.raises(RemoteRefused, match="elsewhere"):
            next(engine.stream(HELLO))
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_move_on_the_same_server_is_followed(status: int) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path.startswith("/v1/"):
            return said({}, status, Location=f"/api{asked.path}")
        return streamed([wav(SOUND)])

    with replaying(reply) as server, closing(remote(server.url, key="sk-secret")) as engine:
        for _ in range(2):
            assert sum(len(chunk.samples) for chunk in engine.stream(HELLO)) == len(SOUND)
        posts = server.of("POST")
    paths = ["/v1/audio/speech", "/api/v1/audio/speech", "/api/v1/audio/speech"]
    assert [asked.path for asked in posts] == paths, "the second request goes there at once"
    assert {asked.headers["authorization"] for asked in posts} == {"Bearer sk-secret"}
    assert len({asked.body for asked in posts}) == 1


@pytest.mark.parametrize("location", ["/login", "http://127.0.0.2/v1/audio/speech", "http://[", "//elsewhere/v1"])
def test_a_move_to_a_page_or_elsewhere_is_named(location: str) -> None:
    with replaying(lambda asked: said({}, 302, Location=location)) as server, closing(remote(server.url)) as engine:
        with pytest.raises(RemoteRefused, match="redirects to"):
            next(engine.stream(HELLO))
        assert len(server.of("POST")) == 1


def test_a_move_in_a_circle_ends() -> None:
    with (
        replaying(lambda asked: said({}, 307, Location=f"/x{asked.path}")) as server,
        closing(remote(server.url)) as engine,
    ):
        with pytest.raises(RemoteRefused, match="redirects to"):
            next(engine.stream(HELLO))
        assert len(server.of("POST")) == 5


def test_the_key_is_sent_and_never_shown() -> None:
    reply = lambda asked: said({"error": {"message": "wrong key"}}, 401)  # noqa: E731
    with replaying(reply) as server, closing(remote(server.url, key="sk-secret")) as engine:
        with pytest.raises(RemoteRefused) as caught:
            next(engine.stream(HELLO))
        assert f"voxcli keys set {server.url}" in caught.value.for_command_line
        assert server.asked[0].headers["authorization"] == "Bearer sk-secret"
        assert "secret" not in str(caught.value)
    assert "secret" not in repr(RemoteSettings(url=server.url, key="sk-secret"))


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "\x07"])
def test_what_can_be_no_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(RequestError) as caught:
        remote("http://127.0.0.1:9", key=key)
    assert key not in str(caught.value)


def test_a_description_that_is_not_ready_is_waited_for() -> None:
    answers = iter([said({}, 503), said({}, 429), said(VOXCPM)])
    with replaying(lambda asked: next(answers)) as server, closing(remote(server.url, None)) as engine:
        assert engine.server.dialect is Dialect.VOXCPM


def test_an_old_image_without_streams_is_asked_for_the_whole() -> None:
    old = {"info": {"title": "VoxCPM API"}, "paths": {"/api/tts": {}, "/health": {}}}
    reply = posts(lambda asked: whole(wav(SOUND)) if asked.path == "/api/tts" else missing(), old)
    with replaying(reply) as server:
        assert np.array_equal(heard(remote(server.url, None)), SOUND)
        assert [asked.path for asked in server.of("POST")] == ["/api/tts/stream", "/api/tts"]


@given(st.lists(st.floats(0, 10), max_size=5), st.integers(0, 2**32), st.one_of(st.none(), st.floats(0, 1e4)))
def test_waits_end_and_never_are_shorter_than_asked(waits: list[float], seed: int, asked: float | None) -> None:
    backoff = Backoff(waits, random.Random(seed))
    taken = []
    while (seconds := backoff.next_delay(asked)) is not None:
        taken.append(seconds)
    assert len(taken) == (0 if asked is not None and asked > LONGEST_DELAY else len(waits))
    assert all(
        (asked or 0) <= seconds <= (asked or 0) + longest for seconds, longest in zip(taken, waits, strict=False)
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": formatdate(1030, usegmt=True)}, 30),
        ({"retry-after": formatdate(900, usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_every_way_to_say_a_time_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, now=1000) == seconds
