"""What holds for the sentences of any text, however it arrives."""

import time
from itertools import chain, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.text.characters import is_speakable, properties_of
from voxcli.text.sentences.splitter import SentenceSplitter, split_sentences

SYMBOLS = [
    *" \n\t.!?,;:…。！？、，\"'“”‘’()[]「」«»-—*/@$€%+017aTHéß你好안ह\u0301\u200d\ufe0f\u00a0\u3000\r\u2028😀👍🏽🇩🇪"
]
MARKS = ["\n\n", ". ", "? ", ", ", "……", "？！", "。”", '." ', "...", "3.14", "1,000", "1. ", "- ", "10：30"]
ABBREVIATIONS = ["Mr. ", "U.S. ", "e.g. ", "etc. ", "p.m. ", "J. ", "No. ", "z.B. ", "St. ", "3. "]
WORDS = ["He ", "The ", "he ", "Oktober ", "你好世界", "some ordinary words "]
WHOLES = ["https://a.b/c?d", "a@b.de", "main.py", "[pause 1s]", "[lau", "gh]", "[1]"]
MORSELS = st.sampled_from([*SYMBOLS, *MARKS, *ABBREVIATIONS, *WORDS, *WHOLES])
TEXTS = st.lists(MORSELS, max_size=60).map("".join) | st.text(max_size=60)
LIMITS = st.sampled_from([{}, {"first_columns": 8, "columns": 12}, {"first_columns": 20, "columns": 40}])


def fed_in_parts(text: str, cuts: list[int], limits: dict[str, int]) -> list[str]:
    splitter = SentenceSplitter(**limits)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    fed = [splitter.feed(text[start:end]) for start, end in pairwise(places)]
    return [*chain(*fed), *splitter.finish()]


@settings(deadline=None, max_examples=400)
@given(TEXTS, LIMITS)
def test_the_pieces_joined_are_the_text(text: str, limits: dict[str, int]) -> None:
    assert "".join(fed_in_parts(text, [], limits)) == text


@settings(deadline=None, max_examples=400)
@given(TEXTS, st.lists(st.integers(min_value=0), max_size=8), LIMITS)
def test_how_the_text_was_cut_on_its_way_makes_no_difference(
    text: str, cuts: list[int], limits: dict[str, int]
) -> None:
    whole = fed_in_parts(text, [], limits)
    assert fed_in_parts(text, cuts, limits) == whole
    assert fed_in_parts(text, list(range(len(text))), limits) == whole


@settings(deadline=None, max_examples=400)
@given(st.lists(st.lists(MORSELS, max_size=6).map("".join) | st.none(), max_size=20))
def test_pauses_anywhere_lose_nothing_and_add_nothing(steps: list[str | None]) -> None:
    splitter = SentenceSplitter()
    given_out = [splitter.flush() if step is None else splitter.feed(step) for step in steps]
    assert "".join([*chain(*given_out), *splitter.finish()]) == "".join(step or "" for step in steps)


@settings(deadline=None, max_examples=400)
@given(TEXTS, LIMITS)
def test_a_piece_begins_with_no_blank_and_splits_no_character(text: str, limits: dict[str, int]) -> None:
    for piece in fed_in_parts(text, [], limits)[1:]:
        assert not piece[0].isspace()
        assert not properties_of(piece[0]).attaches


@settings(deadline=None, max_examples=400)
@given(TEXTS)
def test_every_piece_but_the_last_has_something_to_say(text: str) -> None:
    assert all(is_speakable(piece) for piece in split_sentences(text)[:-1])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["word ", "字", "Wort, ", "3.14 ", "a-b ", "。", "? "]), max_size=200).map("".join))
def test_no_piece_is_much_longer_than_its_limit(text: str) -> None:
    splitter = SentenceSplitter(first_columns=30, columns=30)
    for piece in splitter.feed(text) + splitter.finish():
        assert sum(properties_of(char).columns for char in piece.strip(" 。?")) <= 30


@settings(deadline=None, max_examples=200)
@given(TEXTS, TEXTS)
def test_a_boundary_once_given_out_does_not_depend_on_what_comes_later(text: str, more: str) -> None:
    early = SentenceSplitter().feed(text)
    assert split_sentences(text + more)[: len(early)] == early


def test_what_is_certain_is_given_out_within_a_few_characters() -> None:
    splitter = SentenceSplitter()
    arrived = "First one. Second one? He was in the U.S. He left. 你好。世界。"
    given_out = {}
    for position, char in enumerate(arrived):
        for piece in splitter.feed(char):
            given_out[piece] = position
    for piece, position in given_out.items():
        assert position - (arrived.index(piece) + len(piece)) <= 3


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    sentence = 'It was the best of times, it was the worst: "Hello, Mr. Fox!" he said... 你好。\n'
    texts = [sentence * 2000, " " * 150_000, "a" * 150_000, "." * 150_000, "Hi. " + "- " * 75_000, "[" * 150_000]
    for text in texts:
        started = time.process_time()
        splitter = SentenceSplitter()
        given_out = [splitter.feed(char) for char in text]
        assert "".join([*chain(*given_out), *splitter.finish()]) == text
        # Measured: 0.2 s. What grows with the square takes minutes.
        assert time.process_time() - started < 10
