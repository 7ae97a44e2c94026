"""Where sentences stand in the text that they were made from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.text.marks import Sentence
from voxcli.text.parts import read_parts


def spans(text: str, *, markdown: bool = False, cut: int = 1000) -> list[tuple[str, str]]:
    """Return each sentence with the text that stands at its span."""
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    found = []
    for part in read_parts(pieces, markdown=markdown):
        assert isinstance(part, Sentence)
        assert part.span is not None
        found.append((str(part), text[slice(*part.span)]))
    return found


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_sentences_are_found_where_they_stand(cut: int) -> None:
    text = "Hello there.  How are you?\nNo. No. No."
    assert spans(text, cut=cut) == [(sentence, sentence) for sentence in ("Hello there.", "How are you?", *["No."] * 3)]


def test_markup_belongs_to_its_sentence() -> None:
    text = "Read **this** [page](https://example.com/a/long/address) now. Then stop."
    assert spans(text, markdown=True) == [
        ("Read this page now.", "Read **this** [page](https://example.com/a/long/address) now."),
        ("Then stop.", "Then stop."),
    ]


def test_words_that_come_again_without_markup_are_not_taken_for_those_with_it() -> None:
    text = "**No**. Well. No."
    assert [found for _, found in spans(text, markdown=True)] == ["No**.", "Well.", "No."]


def test_reasoning_is_passed_over() -> None:
    text = f"<think>{'Hm, what to say. ' * 600}</think>\nThe answer is four. Good."
    assert [found for _, found in spans(text)] == ["The answer is four.", "Good."]


def test_a_sentence_in_look_alikes_follows_the_one_before_it() -> None:
    text = "First. Ｆｕｌｌ ｗｉｄｔｈ． Third one."
    assert [found for _, found in spans(text)][-1] == "Third one."


@given(text=st.text(alphabet="ab .!?\n*_[]ａＢ１。，é\u0301\x1b\r", max_size=80), cut=st.integers(1, 20))
def test_spans_are_in_order_and_inside_the_text_whatever_it_is(text: str, cut: int) -> None:
    end = 0
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    for part in read_parts(pieces, markdown=False):
        if isinstance(part, Sentence):
            assert part.span is not None
            assert end <= part.span[0] <= part.span[1] <= len(text)
            end = part.span[1]
