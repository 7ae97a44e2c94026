"""The language of a text, and how it reaches each of its sentences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Speech, SynthesisRequest
from voxcli.text.language import TextLanguage, base_language, language_of, latin_language
from voxcli.text.normalization.normalize import normalized
from voxcli.text.parts import Silence, read_text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("请记住这个号码。12306。", "zh"),
        ("用Qwen2.5-7B模型。", "zh"),
        ("りんごを3つ買いました。2024年。", "ja"),
        ("사과 3개를 샀다.", "ko"),
        ("У меня 3 яблока.", "ru"),
        ("Έχω 3 μήλα.", "el"),
        ("I have 3 cats.", "en"),
        ("Los Angeles 2028", "en"),
        ("Las Vegas had 3 shows", "en"),
        ("5 die in crash", "en"),
        ("Müller scored 3.", "en"),
        ("naïve café 5", "en"),
        ("I paid 5 dollars", "en"),
        ("Ich habe 3 Katzen.", "de"),
        ("Der Zug fährt um 14:30 Uhr.", "de"),
        ("J'ai 3 chats.", "fr"),
        ("Il y a 3 chats.", "fr"),
        ("Tengo 3 gatos.", "es"),
        ("Ho 3 gatti.", "it"),
        ("Tenho 3 gatos.", "pt"),
        ("Hij is 3 jaar oud.", "nl"),
        ("Mam 3 koty i nie lat 5.", "pl"),
        ("12306", None),
        ("", None),
    ],
)
def test_the_language_of_a_text_is_told(text: str, language: str | None) -> None:
    assert language_of(text) == language


@given(st.text(max_size=60))
def test_every_text_has_a_language_or_no_letters(text: str) -> None:
    language = language_of(text)
    assert language is None or 2 <= len(language) <= 3
    assert latin_language(text) is None or language is not None


@given(st.lists(st.sampled_from(["我们", " have ", "3", "。", "cats ", "你好", "der ", "のは"]), max_size=12))
def test_the_language_is_that_of_all_pieces_together(pieces: list[str]) -> None:
    together = TextLanguage()
    for piece in pieces:
        together.feed(piece)
    # Words that touch across a cut make no difference to scripts.
    assert (together.language is None) == (language_of("".join(pieces)) is None)


@pytest.mark.parametrize(
    ("name", "base"), [("zh-CN", "zh"), ("cmn", "zh"), ("yue", "zh"), ("en_US", "en"), ("de-at", "de"), (None, None)]
)
def test_regions_do_not_matter(name: str | None, base: str | None) -> None:
    assert base_language(name) == base


_PAUSE = Silence(5.0)


class Normalizing:
    """An engine that notes what a model would be given to read."""

    slots = 1
    draws_voices = False

    def __init__(self) -> None:
        self.read: list[str] = []

    def stream(self, request: SynthesisRequest) -> Speech:
        read = normalized(request.text, language=request.language, text_language=request.text_language)
        self.read.append(read)
        yield AudioChunk(np.zeros(100, np.float32), 8000)

    def close(self) -> None: ...


def read_aloud(*pieces: str | Silence, language: str | None = None, split: bool = True) -> list[str]:
    engine = Normalizing()
    parts = read_text(pieces, markdown=False, split=split)
    list(synthesize(engine, parts, Delivery(language=language, normalize=True)))
    return engine.read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("请记住这个号码。12306。", ["请记住这个号码。", "幺二三零六。"]),
        ("12306。请记住这个号码。", ["幺二三零六。", "请记住这个号码。"]),
        ("一共多少？25。", ["一共多少？", "二十五。"]),
        ("他多重？50 kg。", ["他多重？", "五十千克。"]),
        ("Remember this. 25.", ["Remember this.", "twenty-five."]),
        ("Wie viele sind es? 25.", ["Wie viele sind es?", "25."]),
        ("Combien y en a-t-il dans la rue ? 25.", ["Combien y en a-t-il dans la rue ?", "25."]),
        ("Сколько их? 25.", ["Сколько их?", "25."]),
        ("りんごはいくつですか。25。", ["りんごはいくつですか。", "25。"]),
        ("몇 개입니까? 25.", ["몇 개입니까?", "25."]),
    ],
)
def test_a_number_alone_is_read_in_the_language_of_its_text(text: str, read: list[str]) -> None:
    assert read_aloud(text) == read
    assert "".join(read_aloud(text, split=False)).replace(" ", "") == "".join(read).replace(" ", "")


def test_while_a_text_arrives_what_came_before_decides() -> None:
    assert read_aloud("请记住", "这个号码。", _PAUSE, "12306", _PAUSE, "再说一遍。", "12306。") == [
        "请记住这个号码。",
        "幺二三零六",
        "再说一遍。",
        "幺二三零六。",
    ]


@pytest.mark.parametrize(
    ("text", "language", "read"),
    [
        ("25", "zh", "二十五"),
        ("25", "zh-CN", "二十五"),
        ("25", "en", "twenty-five"),
        ("25", "de", "25"),
        ("25", "ja", "25"),
        ("3 Hunde", "de", "3 Hunde"),
        ("3 chats", "fr", "3 chats"),
        ("我有3个", "en", "我有三个"),
        ("iPhone 15", "zh", "iPhone fifteen"),
    ],
)
def test_the_language_that_was_asked_for_decides(text: str, language: str, read: str) -> None:
    assert read_aloud(text, language=language) == [read]


def test_spaces_that_part_thousands_reach_the_engine() -> None:
    assert read_aloud("It is 12\u202f500 steps\u00a0away.") == ["It is twelve thousand five hundred steps away."]
