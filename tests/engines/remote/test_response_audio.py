"""Bodies of answers, as servers of all ages send them: heard, mended, or called by their name."""

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import numpy as np
import pytest

from tests.engines.remote.replay import Answer, Asked, Reply, head, posts, replaying, said, streamed, whole
from tests.engines.remote.sounds import HELLO, RATE, VOXCPM, heard, remote, tone, wav
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.names import Dialect

SOUND = tone(1.0)
PLAIN = SOUND.astype("<i2").tobytes()


def with_sizes(riff: int, data: int) -> bytes:
    file = bytearray(wav(SOUND))
    file[4:8], file[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    return bytes(file)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def blocks() -> list[bytes]:
    return [wav(SOUND[start : start + 1920]) for start in range(0, len(SOUND), 1920)]


@pytest.mark.parametrize(
    "pieces",
    [
        cut(wav(SOUND), 4096),
        [*cut(wav(SOUND)[:1000], 1), wav(SOUND)[1000:]],
        cut(with_sizes(0, 0), 777),
        cut(with_sizes(36, 0), 777),
        cut(with_sizes(0xFFFFFFFF, 0xFFFFFFFF), 777),
        blocks(),
        cut(b"".join(blocks()), 1001),
    ],
    ids=["one wav", "byte by byte", "size 0", "riff 36", "all ones", "a header per block", "blocks cut anywhere"],
)
def test_every_shape_of_wav_is_the_same_sound(pieces: list[bytes]) -> None:
    with replaying(lambda asked: streamed(pieces)) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)


@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/octet-stream", "text/html", ""])
def test_bytes_count_more_than_what_the_header_calls_them(content_type: str) -> None:
    with replaying(lambda asked: streamed([wav(SOUND)], content_type)) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)


@pytest.mark.parametrize("size", [1, 3, 4801])
def test_samples_without_a_header_survive_odd_pieces(size: int) -> None:
    pieces = [*cut(PLAIN[:6001], size), PLAIN[6001:]]
    options = ClientOptions(format=AudioFormat.PCM)
    with replaying(lambda asked: streamed(pieces, "audio/pcm")) as server:
        assert np.array_equal(heard(remote(server.url, options=options)), SOUND)


def test_floats_of_old_images_are_told_by_their_bits() -> None:
    options = ClientOptions(format=AudioFormat.PCM)
    for number in ("<f4", "<f8"):
        floats = (SOUND / 32768).astype(number).tobytes()
        with replaying(lambda asked: streamed(cut(floats, 7056), "audio/pcm")) as server:  # noqa: B023
            assert np.array_equal(heard(remote(server.url, options=options)), SOUND)


@pytest.mark.parametrize("format", [AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC, AudioFormat.FLAC])
def test_compressed_sound_is_heard(format: AudioFormat) -> None:
    file = b"".join(encoded(iter([AudioChunk((SOUND / 32768).astype(np.float32), RATE)]), format))
    with replaying(lambda asked: streamed(cut(file, 500), "audio/whatever")) as server:
        came = heard(remote(server.url, options=ClientOptions(format=format)))
    assert abs(len(came) / len(SOUND) - (48000 / RATE if format is AudioFormat.OPUS else 1)) < 0.1
    assert np.abs(came).max() > 6000


def events(*, last: bool = True) -> Iterator[bytes]:
    for piece in cut(wav(SOUND), 5000):
        event = {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
        yield b"data: " + json.dumps(event).encode() + b"\n\n"
    if last:
        yield b'data: {"type":"speech.audio.done","usage":{}}\n\n'


def test_events_are_unwrapped() -> None:
    with replaying(lambda asked: streamed(events(), "text/event-stream")) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)


def chunk(name: bytes, size: int) -> bytes:
    return name + size.to_bytes(4, "little") + bytes(range(1, 256)) * (size // 255 + 1)


@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF], ids=["riff right", "riff 0", "riff all ones"])
@pytest.mark.parametrize("names", [[b"LIST"], [b"LIST", b"C2PA"], [b"id3 ", b"xyz1"]])
def test_chunks_behind_the_samples_are_not_played(names: list[bytes], riff: int | None) -> None:
    behind = b"".join(chunk(name, 1000)[:1008] for name in names)
    file = bytearray(wav(SOUND) + behind)
    file[4:8] = (len(file) - 8 if riff is None else riff).to_bytes(4, "little")
    for pieces in (cut(bytes(file), 4096), cut(bytes(file), 1003)):
        with replaying(lambda asked: streamed(pieces)) as server:  # noqa: B023
            assert np.array_equal(heard(remote(server.url)), SOUND)


def test_a_size_that_covers_the_first_block_only_cuts_nothing() -> None:
    with replaying(lambda asked: streamed(cut(with_sizes(36 + 4800, 4800), 777))) as server:
        assert np.array_equal(heard(remote(server.url)), SOUND)


PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway &amp; more</title></head><body>nginx</body></html>"
FAILED = b'{"error": {"message": "the model ran out of memory", "type": "server_error"}}'


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize(
    "file",
    [with_sizes(0xFFFFFFFF, 0xFFFFFFFF), with_sizes(0, 0), wav(SOUND), b"".join(blocks())],
    ids=["all ones", "size 0", "size right", "blocks"],
)
@pytest.mark.parametrize("error", [FAILED, b'\n{\n "detail": "the model ran out of memory"}\n', b"data: " + FAILED])
def test_an_error_behind_the_samples_is_an_error_and_not_played(file: bytes, error: bytes, size: int) -> None:
    pieces = [*cut(file, 4096), *cut(error, 1)] if size == 1 else cut(file + error, size)
    with replaying(lambda asked: streamed(pieces)) as server:
        came, failure = until_error(remote(server.url))
    assert isinstance(failure, RemoteCut)
    assert "the model ran out of memory" in str(failure)
    assert np.array_equal(came, SOUND)


@pytest.mark.parametrize(
    ("error", "words"),
    [(PAGE, "502 Bad Gateway & more"), (b"event: error\ndata: " + FAILED + b"\n\n", "the model ran out of memory")],
)
def test_a_page_or_an_event_behind_the_samples_is_an_error(error: bytes, words: str) -> None:
    with replaying(lambda asked: streamed(cut(with_sizes(0, 0) + error, 4096))) as server:
        came, failure = until_error(remote(server.url))
    assert words in str(failure)
    assert np.array_equal(came, SOUND)


@pytest.mark.parametrize("format", [AudioFormat.MP3, AudioFormat.FLAC, AudioFormat.PCM])
def test_an_error_behind_sound_of_any_format_is_an_error(format: AudioFormat) -> None:
    file = b"".join(encoded(iter([AudioChunk((SOUND / 32768).astype(np.float32), RATE)]), format))
    with replaying(lambda asked: streamed([*cut(file, 500), FAILED])) as server:
        came, failure = until_error(remote(server.url, options=ClientOptions(format=format)))
    assert "the model ran out of memory" in str(failure)
    assert len(came) > 0.9 * len(SOUND)


@pytest.mark.parametrize("tail", [b'{"', b"{", b'{"a": 1}', b'{"error": '])
def test_samples_that_look_like_text_are_samples(tail: bytes) -> None:
    samples = np.frombuffer(PLAIN + tail.ljust(-(-len(tail) // 2) * 2), "<i2")
    with replaying(lambda asked: streamed(cut(wav(samples), 1000))) as server:
        assert np.array_equal(heard(remote(server.url)), samples)


def test_events_without_the_last_one_are_cut() -> None:
    with replaying(lambda asked: streamed(events(last=False), "text/event-stream")) as server:
        came, error = until_error(remote(server.url))
    assert isinstance(error, RemoteCut)
    assert np.array_equal(came, SOUND)


def test_an_event_that_reports_a_failure_says_it() -> None:
    pieces = [*events(last=False), b'data: {"type":"error","error":{"message":"the model broke"}}\n\n']
    with replaying(lambda asked: streamed(pieces, "text/event-stream")) as server:
        came, error = until_error(remote(server.url))
    assert isinstance(error, RemoteCut)
    assert "the model broke" in str(error)
    assert np.array_equal(came, SOUND)


def until_error(engine: RemoteEngine) -> "tuple[np.ndarray[tuple[int], np.dtype[np.int16]], Exception]":
    """Listen until something goes wrong, and return what came before."""
    pieces = [np.zeros(0, np.float32)]
    with closing(engine), closing(engine.stream(HELLO)) as chunks:
        try:
            for chunk in chunks:
                pieces.append(chunk.samples)
        except RemoteError as error:
            return np.round(np.concatenate(pieces) * 32768).astype(np.int16), error
    raise AssertionError("nothing went wrong")


def and_a_moment(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from pieces
    time.sleep(0.3)  # a reset discards what has not been read


def with_length_too_long(asked: object) -> Answer:
    body = wav(SOUND)[:20000]
    return Answer([head(content_type="audio/wav", content_length="48044") + body], hang_up=True)


@pytest.mark.parametrize(
    "reply",
    [
        lambda asked: streamed([wav(SOUND)[:20000]], end=False),
        with_length_too_long,
        lambda asked: Answer(and_a_moment(streamed([wav(SOUND)[:20000]], end=False).pieces), reset=True),
    ],
    ids=["without the last chunk", "shorter than announced", "reset"],
)
def test_what_came_before_a_cut_is_kept_and_the_cut_is_told(reply: Reply) -> None:
    with replaying(reply) as server:
        came, error = until_error(remote(server.url))
        assert len(server.asked) == 1
    assert isinstance(error, RemoteCut)
    assert server.url in str(error)
    assert "s of audio had arrived" in str(error)
    assert np.array_equal(came, SOUND[: len(came)])
    assert len(came) == (20000 - 44) // 2 or "eset" in str(error)


def test_silence_in_the_middle_is_a_cut() -> None:
    left = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield wav(SOUND)[:20000]
        assert left.wait(10)

    with replaying(lambda asked: streamed(pieces())) as server:
        came, error = until_error(remote(server.url, read_seconds=0.3))
        left.set()
    assert isinstance(error, RemoteCut)
    assert len(came) == (20000 - 44) // 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: whole(PAGE, "text/html"), "502 Bad Gateway & more"),
        (lambda: whole(PAGE, "audio/wav"), "502 Bad Gateway & more"),
        (lambda: said({"error": {"message": "no such model", "code": "x"}}), "no such model"),
        (lambda: streamed([b'{"detail": "out of memory"}'], "audio/wav"), "out of memory"),
        (lambda: whole(b"", "audio/wav"), "empty"),
        (lambda: streamed([], "audio/wav"), "empty"),
        (lambda: whole(wav(SOUND[:0]), "audio/wav"), "without any samples"),
        (lambda: whole(bytes(range(128, 256)) * 8, "audio/wav"), "80 81 82"),
    ],
)
def test_what_is_no_sound_is_called_what_it_is(answer: Callable[[], Answer], words: str) -> None:
    with replaying(lambda asked: answer()) as server, closing(remote(server.url)) as engine:
        with pytest.raises(RemoteError, match="(?i)" + words) as caught:
            next(engine.stream(HELLO))
        assert server.url in str(caught.value)
        assert "<html" not in str(caught.value)
        assert len(server.asked) == 1, "it is no better the next time"


def test_a_page_as_an_error_shows_its_title_only() -> None:
    with replaying(lambda asked: whole(PAGE, "text/html", 404)) as server, closing(remote(server.url)) as engine:
        with pytest.raises(RemoteRefused, match="502 Bad Gateway & more") as caught:
            next(engine.stream(HELLO))
        assert caught.value.status == 404


def test_an_answer_cut_before_any_sound_is_asked_for_as_a_whole() -> None:
    """So the servers that say 200 before they look tell what is wrong."""

    def reply(asked: Asked) -> Answer:
        if asked.path == "/api/tts/stream":
            return streamed([], end=False)
        return said({"detail": "prompt_wav_path and prompt_text must both be provided"}, 400)

    with replaying(posts(reply, VOXCPM)) as server, closing(remote(server.url, Dialect.VOXCPM)) as engine:
        with pytest.raises(RemoteRefused, match="must both be provided"):
            next(engine.stream(HELLO))
        assert [asked.path for asked in server.of("POST")] == ["/api/tts/stream", "/api/tts"]


def test_a_stream_that_fails_but_works_as_a_whole_is_heard() -> None:
    reply = posts(lambda asked: streamed([], end=False) if "stream" in asked.path else whole(wav(SOUND)), VOXCPM)
    with replaying(reply) as server:
        assert np.array_equal(heard(remote(server.url, Dialect.VOXCPM)), SOUND)


def test_leaving_closes_the_connection_at_once() -> None:
    def endless() -> Iterator[bytes]:
        yield wav(SOUND)
        yield from itertools.repeat(bytes(65536))

    with replaying(lambda asked: streamed(endless())) as server, closing(remote(server.url)) as engine:
        chunks = engine.stream(HELLO)
        next(chunks)
        chunks.close()
        assert server.hung_up.wait(5)
