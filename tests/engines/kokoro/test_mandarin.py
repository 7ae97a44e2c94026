"""Mandarin in Kokoro's alphabet: every character has a syllable, and tones change as in speech."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypinyin.pinyin_dict import pinyin_dict

from voxcli.engines.kokoro.alphabet import tokens_of
from voxcli.engines.kokoro.mandarin import BREAK, mandarin_phonemes

COMMON = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
HAN = st.text(st.sampled_from(COMMON + "儿好小花女看行长重"), min_size=1, max_size=12)
TONES = {"→": 1, "↗": 2, "↓": 3, "↘": 4}


def phonemes(text: str) -> str:
    return mandarin_phonemes(text)[0]


def syllables(text: str) -> list[str]:
    return phonemes(text).replace(" ", BREAK).split(BREAK)


def tones(text: str) -> list[int]:
    return [next((TONES[mark] for mark in syllable if mark in TONES), 5) for syllable in syllables(text)]


@given(HAN)
def test_every_character_is_a_syllable_or_the_suffix_of_one(text: str) -> None:
    found = syllables(text)
    assert text.count("儿") >= len(text) - len(found) >= 0
    assert all(map(tokens_of, found))


def test_every_reading_of_the_dictionary_can_be_written() -> None:
    chars = [*map(chr, range(0x4E00, 0x9FA6))]
    unread = "".join(mandarin_phonemes("".join(chars[start : start + 100]))[1] for start in range(0, len(chars), 100))
    without = [char for char in unread if ord(char) in pinyin_dict]
    assert without == []
    assert len(unread) < 20


def test_a_character_without_a_reading_is_named_and_the_others_are_spoken() -> None:
    assert mandarin_phonemes("天兙天") == ("tʰjɛ→n|tʰjɛ→n", "兙")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("不对", [2, 4]),
        ("不好", [4, 3]),
        ("不", [4]),
        ("好不好", [3, 5, 3]),
        ("一个", [2, 4]),
        ("一样", [2, 4]),
        ("一天", [4, 1]),
        ("一百", [4, 3]),
        ("第一个", [4, 1, 4]),
        ("十一", [2, 1]),
        ("一月", [1, 4]),
        ("一九九一年", [1, 2, 3, 1, 2]),
        ("看一看", [4, 5, 4]),
        ("了解", [2, 3]),
        ("我很好", [3, 2, 3]),
        ("请你给我买", [3, 2, 3, 2, 3]),
        ("妈妈", [1, 5]),
        ("朋友", [2, 5]),
        ("我们的", [3, 5, 5]),
        ("银行行长", [2, 2, 2, 3]),
        ("重新长大", [2, 1, 3, 4]),
    ],
)
def test_tones(text: str, expected: list[int]) -> None:
    assert tones(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("花儿", "xwa→ɚ"),
        ("一点儿", "i↘|tja↓ɚ"),
        ("小孩儿", "ɕjau↓|xa↗ɚ"),
        ("事儿", "ʂə↘ɚ"),
        ("有空儿", "jou↓|kʰʊ↘ŋɚ"),
        ("女儿", "ny↓|ɚ↗"),
        ("儿子", "ɚ↗|ʦɨ"),
        ("儿", "ɚ↗"),
        ("二儿", "ɚ↘|ɚ↗"),
    ],
)
def test_the_suffix_joins_the_syllable_before_it(text: str, expected: str) -> None:
    assert phonemes(text) == expected


@pytest.mark.parametrize("text", ["嗯", "呣", "噷", "哼", "哟", "唷", "诶"])
def test_interjections_have_a_vowel(text: str) -> None:
    assert re.search("[aeiouəɛɔɤ]", phonemes(text))


def test_a_question_is_hummed_upwards() -> None:
    assert mandarin_phonemes("嗯", asks=True)[0] == "ə↗n"
    assert mandarin_phonemes("嗯")[0] == "ə↘n"


def test_a_light_syllable_does_not_run_into_the_next_word() -> None:
    assert phonemes("我的邮箱") == "wo↓|tɤ jou↗|ɕja→ŋ"


def test_u_with_two_dots_is_written_however_pinyin_spells_it() -> None:
    assert [phonemes(char) for char in "居鱼女略远云"] == ["ʨy→", "y↗", "ny↓", "lɥe↘", "ɥɛ↓n", "y↗n"]
