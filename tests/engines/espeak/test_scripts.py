"""Runs of script."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.engines.espeak.languages import has_kana, script_runs

CHARACTERS = "你好世界abcé0123 ,.!。，、！안녕하세요こんにちはカナー漢Яя😀\n'\u0301ｱＡ"
MIXED = st.text(st.sampled_from(CHARACTERS), max_size=40)


@given(MIXED | st.text(max_size=40))
def test_joining_the_runs_gives_the_text_back(text: str) -> None:
    assert "".join(run.text for run in script_runs(text)) == text


@given(MIXED)
def test_neighbours_are_read_by_different_voices(text: str) -> None:
    languages = [run.language for run in script_runs(text)]
    assert all(before != after for before, after in itertools.pairwise(languages))
    assert len(languages) == 1 or None not in languages


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("你好，世界", ["cmn"]),
        ("Hello, world", ["en-us"]),
        ("我用API登录。", ["cmn", "en-us", "cmn"]),
        ("안녕 hello こんにちは", ["ko", "en-us", "ja"]),
        ("カタカナー", ["ja"]),
        ("ｱｲｳ ＡＢＣ", ["ja", "en-us"]),
        ("Привет, κόσμε", ["ru", "el"]),
        ("3.14", [None]),
        ("第3章 2026年", ["cmn"]),
        ("cafe\u0301", ["en-us"]),
    ],
)
def test_each_script_has_its_voice(text: str, languages: list[str | None]) -> None:
    assert [run.language for run in script_runs(text)] == languages


def test_digits_and_signs_stay_with_what_stands_before_them() -> None:
    assert [run.text for run in script_runs("共3个，OK! 好")] == ["共3个，", "OK! ", "好"]


def test_only_kana_makes_a_text_japanese() -> None:
    assert has_kana("今日は")
    assert has_kana("ﾃﾚﾋﾞ")
    assert not has_kana("今日，東京。")
