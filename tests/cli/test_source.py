"""Text that is still being written."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.cli.text_source import Arriving, TextDecoder
from voxcli.errors import RequestError
from voxcli.text.parts import Silence, read_parts, read_whole


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)


def arrived(data: bytes) -> str:
    with pipe() as (reading, writing):
        threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))).start()
        return read_whole(Arriving(reading, "pipe").pieces(lambda: None), markdown=False)


def test_text_comes_before_its_writer_is_done_and_a_pause_is_told_again_and_again() -> None:
    with pipe() as (reading, writing):
        waits: list[int] = []
        pieces = Arriving(reading, "pipe", idle_seconds=0.05).pieces(lambda: waits.append(1))
        os.write(writing, "第一句。".encode())
        assert next(piece for piece in pieces if not isinstance(piece, Silence)) == "第一句。"
        first, second = next(pieces), next(pieces)
        assert isinstance(first, Silence)
        assert isinstance(second, Silence)
        assert 0.05 <= first.seconds < second.seconds
        assert waits
        os.write(writing, b"second")
        assert next(piece for piece in pieces if not isinstance(piece, Silence)) == "second"
        os.close(writing)
        assert [piece for piece in pieces if piece and not isinstance(piece, Silence)] == []


def test_a_character_may_arrive_in_halves() -> None:
    with pipe() as (reading, writing):
        pieces = Arriving(reading, "pipe", idle_seconds=10).pieces(lambda: None)
        first, second = "好".encode()[:1], "好".encode()[1:]
        os.write(writing, first)
        assert next(pieces) == ""
        os.write(writing, second)
        assert next(pieces) == "好"
        os.close(writing)
        assert list(pieces) == [""]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")), st.integers(1, 9))
def test_decoding_in_pieces_is_decoding_the_whole(text: str, size: int) -> None:
    data, decoder = text.encode(), TextDecoder("text")
    pieces = [decoder.decode(data[i : i + size]) for i in range(0, len(data), size)]
    assert "".join(pieces) + decoder.decode(b"") == text


@given(st.binary(max_size=60), st.integers(1, 9))
def test_the_first_wrong_byte_is_named_however_it_arrives(data: bytes, size: int) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        place = error.start
    else:
        return
    if b"\0" in data[:place]:
        return
    decoder = TextDecoder("text")
    with pytest.raises(RequestError, match=f"byte {place} "):
        for i in range(0, len(data) + size, size):
            decoder.decode(data[i : i + size])


def test_a_byte_order_mark_is_not_read() -> None:
    assert arrived("\ufeffhello".encode()) == "hello"


def test_a_long_text_arrives_whole() -> None:
    text = "句子。" * 300_000
    assert arrived(text.encode()) == text


def test_a_descriptor_that_cannot_be_read_is_named(tmp_path: object) -> None:
    folder = os.open(str(tmp_path), os.O_RDONLY)
    with pytest.raises(RequestError, match="Cannot read folder"):
        list(Arriving(folder, "folder").pieces(lambda: None))
    os.close(folder)


def test_a_slow_writer_is_spoken_in_few_parts() -> None:
    with pipe() as (reading, writing):
        noticed = threading.Event()

        def write() -> None:
            for word in ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog.", ""]:
                noticed.wait(10)  # for a pause, which each word is followed by
                noticed.clear()
                os.write(writing, f"{word} ".encode())
            os.close(writing)

        def noticing() -> Iterator[str | Silence]:
            for piece in Arriving(reading, "pipe", idle_seconds=0.02).pieces(lambda: None):
                yield piece
                if isinstance(piece, Silence):
                    noticed.set()

        threading.Thread(target=write).start()
        assert list(read_parts(noticing(), markdown=True)) == ["The quick brown fox jumps over the lazy dog."]
