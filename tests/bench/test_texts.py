"""The texts that are measured."""

import json
from pathlib import Path

import pytest

from voxcli.bench.measure.plan import LANGUAGES, LENGTHS, Text, choose_texts
from voxcli.bench.measure.validity import plausible_seconds
from voxcli.errors import RequestError

FILES = {"a.txt": "From a file.\n", "empty.txt": "\n"}


def choose(*words: str, language: str = "zh") -> list[Text]:
    return choose_texts(words, language, FILES.__getitem__)


def test_without_a_name_there_are_three_and_each_is_longer_than_the_one_before() -> None:
    for language in LANGUAGES:
        texts = choose(language=language)
        assert [text.name for text in texts] == list(LENGTHS)
        lengths = [len(text.text) for text in texts]
        assert lengths == sorted(lengths)


def test_the_chinese_ones_are_those_of_earlier_reports() -> None:
    assert [len(text.text) for text in choose()] == [14, 51, 126]
    assert choose("short")[0].text == "你好，欢迎使用VoxCPM。"


def test_a_text_can_be_named_read_or_written() -> None:
    named, read, written = choose("short", "@a.txt", "你自己的文本", language="en")
    assert named.text.startswith("Hello")
    assert read == Text("a.txt", "From a file.")
    assert written == Text("你自己的文本", "你自己的文本")


def test_a_long_text_is_called_by_its_beginning_and_no_two_are_called_the_same() -> None:
    first, second = choose("This is long enough to be cut, one.", "This is long enough to be cut, two.")
    assert first.name == "This is long enough…"
    assert second.name == "This is long enough… (2)"


@pytest.mark.parametrize("words", [("short", "short"), ("same", "same"), ("@empty.txt",), (" ",)])
def test_nothing_to_say_and_the_same_twice_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError):
        choose(*words)


def test_the_file_of_texts_has_every_length_in_every_language() -> None:
    import voxcli.bench.measure.plan as module

    known = json.loads(Path(module.__file__).with_name("texts.json").read_text("utf-8"))
    assert {language: tuple(texts) for language, texts in known.items()} == dict.fromkeys(LANGUAGES, LENGTHS)


def test_measured_lengths_of_the_chinese_texts_are_plausible() -> None:
    """VoxCPM1.5 on an L40S: the shortest and the longest of five runs."""
    measured = {"short": (2.08, 3.04), "medium": (9.12, 13.12), "long": (17.6, 24.48)}
    for text in choose():
        least, most = plausible_seconds(text.text)
        assert least < measured[text.name][0]
        assert measured[text.name][1] < most
