"""How spoken sentences are compared with what was heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.measure_voices import judged, units
from tests.benchmarks.speech_judges import Verdict, edits
from tests.benchmarks.spoken_sentences import SENTENCES, Sentence

WORDS = st.lists(st.sampled_from([frozenset(letter) for letter in "abc"]), max_size=8)
Units = list[frozenset[str]]


@given(WORDS, WORDS, WORDS)
def test_edits_are_a_distance(some: Units, others: Units, thirds: Units) -> None:
    assert edits(some, some) == 0
    assert edits(some, []) == len(some)
    assert edits(some, others) == edits(others, some)
    assert abs(len(some) - len(others)) <= edits(some, others) <= edits(some, thirds) + edits(thirds, others)


@pytest.mark.parametrize("language", SENTENCES)
def test_what_is_heard_right_has_no_errors(language: str) -> None:
    assert len(SENTENCES[language]) == len({one.text for one in SENTENCES[language]}) == 10
    for sentence in SENTENCES[language]:
        for reading in sentence.readings:
            right = judged(sentence, Verdict(reading.upper(), 5.0), language, 0.1)
            assert right.errors == right.tone_errors == 0
            assert right.units > 2


@pytest.mark.parametrize(
    ("language", "said", "heard"),
    [
        ("en", "twenty four dollars and fifty cents, isn't it", "$24.50, isn’t it?"),
        ("en", "doctor wilson", "Dr. Wilson"),
        ("zh", "二零二六年十一月二十七日，百分之四十", "2026年11月27日,40%"),
        ("zh", "小女孩儿还没还给图书馆", "小女孩還沒還給圖書館。"),
        ("zh-en", "这个 API", "這個A P I"),
        ("fr", "L'été, s'il vous plaît ?", "l’été s’il vous plaît"),
        ("hi", "कल सुबह", "कल, सुबह।"),
    ],
)
def test_spelling_makes_no_difference(language: str, said: str, heard: str) -> None:
    assert edits(units(said, language), units(heard, language, all_readings=True)) == 0


def test_a_tone_counts_apart() -> None:
    sentence = Sentence("买马", ("买马",))
    assert units("银行", "zh", tones=True) == [{"yin2"}, {"hang2"}]
    assert units("行", "zh", all_readings=True) == [{"xing", "hang", "heng"}]
    wrong = judged(sentence, Verdict("卖马", 3.0), "zh", 0.1)
    assert (wrong.errors, wrong.tone_errors) == (0, 0.5)


def test_no_sentence_has_more_errors_than_words() -> None:
    wrong = judged(Sentence("一二三", ("一二三",)), Verdict("啊" * 50, 1.0), "zh", 0.1)
    assert wrong.errors == wrong.tone_errors == 1
