"""How much of a text was heard by a moment of the sound."""

from itertools import pairwise

import pytest

from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.transcript import Transcript, bookmark_times, word_times
from voxcli.text.marks import Sentence

TEXT = "One two three four. **Five** six."


@pytest.fixture
def transcript() -> Transcript:
    """Two sentences of two seconds each, with a pause of one second between them."""
    made = Transcript()
    first, second = Sentence("One two three four.", "en", (0, 19)), Sentence("Five six.", "en", (22, 33))
    for text, start in ((first, 0.0), (second, 3.0)):
        made.note(SentenceMark(text=text, start=start))
        made.note(SentenceMark(text=text, start=start, end=start + 2))
    return made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, ""),
        (0.4, ""),
        (0.6, "One"),
        (1.0, "One two"),
        (2.0, "One two three four."),
        (2.9, "One two three four."),
        (3.5, "One two three four."),
        (4.0, "One two three four. Five"),
        (5.0, "One two three four. Five six."),
        (9.0, "One two three four. Five six."),
    ],
)
def test_whole_words_are_heard(transcript: Transcript, seconds: float, text: str) -> None:
    assert transcript.until(seconds).text == text


def test_the_position_counts_characters_of_the_text_as_it_was_written(transcript: Transcript) -> None:
    assert transcript.until(1.0).position == len("One two")
    assert transcript.until(2.5).position == len("One two three four.")
    assert transcript.until(9.0).position == len(TEXT)


def test_more_is_heard_the_longer_it_lasts(transcript: Transcript) -> None:
    positions = [transcript.until(hundredth / 100).position for hundredth in range(600)]
    assert positions == sorted(positions)


def test_the_end_of_a_sentence_that_was_cut_off_is_estimated_from_those_before(transcript: Transcript) -> None:
    transcript.note(SentenceMark(text="Seven eight nine ten eleven twelve.", start=5.0))
    assert transcript.until(5.1).text.endswith("six.")
    assert "Seven" in transcript.until(6.5).text
    assert "twelve" not in transcript.until(6.5).text
    assert transcript.until(60.0).text.endswith("twelve.")


def test_characters_are_words_in_a_script_without_spaces() -> None:
    transcript = Transcript()
    transcript.note(SentenceMark(text="今天天气好。", start=0.0))
    transcript.note(SentenceMark(text="今天天气好。", start=0.0, end=5.0))
    assert transcript.until(2.0).text == "今天"
    assert transcript.until(5.0).text == "今天天气好。"


def test_pauses_tell_when_clauses_end() -> None:
    """Numbers take longer than their characters tell."""
    text = "In 1999, about 1,234,567 people lived there; today, no more than half of them."
    words = word_times(
        SentenceMark(text=text, start=5.0, end=15.0), pauses=[(6.6, 6.8), (7.9, 8.0), (11.2, 11.7), (12.1, 12.4)]
    )
    times = {text[slice(*word.at)]: (word.start, word.end) for word in words}
    assert [times[word][1] for word in ("1999,", "there;", "today,", "them.")] == [6.6, 11.2, 12.1, 15.0]
    assert [times[word][0] for word in ("In", "about", "today,", "no")] == [5.0, 6.8, 11.7, 12.4]
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(words))


def test_a_pause_far_from_any_clause_is_not_taken_for_its_end() -> None:
    mark = SentenceMark(text="One, two three four five six seven eight nine ten eleven twelve.", start=0.0, end=4.0)
    assert word_times(mark, pauses=[(3.0, 3.3)]) == word_times(mark)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我们用 Python写了，好的（很好）。", ["我", "们", "用", "Python", "写", "了，", "好", "的", "（很", "好）。"]),
        ("a well-known (old) word", ["a", "well-known", "(old)", "word"]),
    ],
)
def test_words_keep_their_marks(text: str, words: list[str]) -> None:
    mark = SentenceMark(text=text, start=0.0, end=1.0)
    assert [text[slice(*word.at)] for word in word_times(mark)] == words


def test_named_places_have_their_times() -> None:
    sentence = Sentence("One two three four.", "en", bookmarks=((0, "a"), (8, "b"), (19, "c")))
    assert bookmark_times(SentenceMark(text=sentence, start=1.0)) == []
    times = dict(bookmark_times(SentenceMark(text=sentence, start=1.0, end=3.0)))
    assert (times["a"], times["c"]) == (1.0, 3.0)
    words = word_times(SentenceMark(text=sentence, start=1.0, end=3.0))
    assert times["b"] == words[2].start
    assert bookmark_times(SentenceMark(text="plain", start=0.0, end=1.0)) == []
