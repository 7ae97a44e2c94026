"""Lexicons: which entry counts where, and that what is written keeps its place."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.errors import RequestError
from voxcli.text.lexicon import Lexicon, load_lexicon, read_lexicon
from voxcli.text.marks import Pause, Replacement, Sentence
from voxcli.text.parts import read_parts
from voxcli.text.phonemes import Alphabet, readable

ENTRIES = """written\tspoken\tlanguage\tmatch\tcase
# names
AWS\tA W S
AWS S3\tA W S, S three
gif\tjif
重庆\t{chong2}{qing4}
重\t{zhong4}
tomato\t/təˈmeɪtoʊ/\ten
iOS\ti O S\t\tpart
us\tyou ess\t\t\tcase
über\tuber\tde
"""


def lexicon_of(text: str) -> Lexicon:
    entries, problems = read_lexicon(text, "words.tsv")
    assert problems == []
    return Lexicon([entries])


LEXICON = lexicon_of(ENTRIES)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("AWS costs aws.", "A W S costs aws."),
        ("AWS S3 and AWS.", "A W S, S three and A W S."),
        ("Gif, gifts, GIF.", "jif, gifts, jif."),
        ("我在重庆, 重。", "我在{chong2}{qing4}, {zhong4}。"),
        ("A tomato.", "A {/təˈmeɪtoʊ/}."),
        ("MyiOSphone", "Myi O Sphone"),
        ("Tell us, US.", "Tell you ess, US."),
        ("Keep {AWS} and [AWS].", "Keep {AWS} and [AWS]."),
        ("Uber und über alles mit der Welt.", "Uber und uber alles mit der Welt."),
        ("über all the land of the free", "über all the land of the free"),
    ],
)
def test_what_is_said(written: str, said: str) -> None:
    assert LEXICON.pronounced(written).said == said


WORDS = [
    "AWS",
    "aws",
    " ",
    "S3",
    "gif",
    "重",
    "庆",
    "。",
    ". ",
    "\n",
    "tomato",
    "{ni3}",
    "[laugh]",
    "us",
    "ios",
    "é",
    "\u0301",
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=20).map("".join)


@given(TEXTS, st.lists(st.integers(0, 80), max_size=8))
def test_it_does_not_matter_how_the_text_is_cut(text: str, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in zip(places, [*places[1:], len(text)], strict=True)]
    whole, cut = ([*LEXICON.applied(read_parts(each, markdown=False))] for each in ([text], pieces))
    assert [_all_of(part) for part in cut] == [_all_of(part) for part in whole]


def _all_of(part: object) -> object:
    return (str(part), part.span, part.replacements, part.said) if isinstance(part, Sentence) else part


@given(TEXTS)
def test_a_sentence_keeps_what_is_written_and_where(text: str) -> None:
    for part in read_parts([text], markdown=False):
        assert isinstance(part, Sentence)
        said = LEXICON.pronounced(part)
        assert (str(said), said.span) == (str(part), part.span)
        end = 0
        for (begin, after), _, _ in said.replacements:
            assert end <= begin < after <= len(part)
            end = after
        again = LEXICON.pronounced(said)
        assert (again.said, again.replacements) == (said.said, said.replacements)


def test_what_was_replaced_already_stays() -> None:
    mark = Replacement((4, 7), "x", "SSML")
    sentence = Sentence("AWS gif gif", "en", replacements=(mark,))
    assert LEXICON.pronounced(sentence).said == "A W S x jif"


def test_the_first_list_counts() -> None:
    first, second = (read_lexicon(f"a b\t{said}", name)[0] for said, name in (("one", "1"), ("two", "2")))
    lexicon = Lexicon([first, second])
    assert lexicon.pronounced("a b").said == "one"
    assert [(entry.origin, kept.origin) for entry, kept in lexicon.shadowed] == [("2 line 1", "1 line 1")]


def test_phonemes_that_a_model_does_not_read_are_left_out_or_rewritten(caplog: pytest.LogCaptureFixture) -> None:
    sentences = [LEXICON.pronounced("A tomato, 重庆, gif."), LEXICON.pronounced("重庆。")]
    voxcpm = frozenset({Alphabet.PINYIN, Alphabet.ARPABET})
    warned: set[str] = set()
    with caplog.at_level(logging.WARNING):
        said = [part.said for part in readable(sentences, voxcpm, warned) if isinstance(part, Sentence)]
        assert said == ["A {T AH0 M EY1 T OW0}, {chong2}{qing4}, jif.", "{chong2}{qing4}。"]
        assert caplog.records == []
        said = [part.said for part in readable(sentences * 2, frozenset(), warned) if isinstance(part, Sentence)]
    assert said == ["A tomato, 重庆, jif.", "重庆。"] * 2
    assert len(caplog.records) == 1


def test_all_that_is_wrong_is_named_with_its_place(tmp_path: Path) -> None:
    wrong = "ok\tfine\nalone\n\tx\nHe said. It\tx\nq\t{foo}\na\tb\tklingon\tpar\tupper\tmore"
    _, problems = read_lexicon(wrong, "words.tsv")
    places = [(line, column) for line, column, _ in problems]
    assert places == [(2, 2), (3, 1), (4, 1), (5, 2), (6, 6), (6, 3), (6, 4), (6, 5)]
    (tmp_path / "words.tsv").write_text(wrong, "utf-8")
    with pytest.raises(RequestError, match=r"line 2, column 2: .*and 5 more"):
        load_lexicon(tmp_path / "words.tsv")
    (tmp_path / "words.tsv").write_bytes(b"\xff")
    with pytest.raises(RequestError, match="not UTF-8"):
        load_lexicon(tmp_path / "words.tsv")


def test_a_digest_tells_lexicons_apart() -> None:
    same = lexicon_of("b\tx\na\ty")
    assert same.digest == lexicon_of("# c\na\ty\t\tword\nb\tx").digest
    for other in ("a\ty", "a\ty\t\tpart\nb\tx", "a\tY\nb\tx", "a\ty\ten\nb\tx", "a\ty\t\t\tcase\nb\tx"):
        assert lexicon_of(other).digest != same.digest


def test_pauses_pass_through() -> None:
    assert list(LEXICON.applied([Pause(1.0)])) == [Pause(1.0)]
