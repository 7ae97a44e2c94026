"""Pieces: nothing is lost at a cut, the model's limit holds, and playing never catches up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.engines.kokoro.mandarin import BREAK
from voxcli.engines.kokoro.pieces import LEAST, MOST, pieces_of

WORDS = st.text(st.sampled_from("abɪʃˈː→↘"), min_size=1, max_size=14)
GLUE = st.sampled_from([" ", BREAK, ", ", ". ", "? ", " “", "” ", "—", ""])
PHONEMES = st.lists(st.tuples(WORDS, GLUE), max_size=150).map(lambda parts: "".join(map("".join, parts)))


def sound(phonemes: str) -> str:
    return phonemes.replace(BREAK, "").replace(" ", "")


@given(PHONEMES)
def test_every_phoneme_is_in_a_piece_and_in_its_order(phonemes: str) -> None:
    pieces = list(pieces_of(phonemes))
    assert sound("".join(pieces)) == sound(phonemes)
    assert all(0 < len(piece) <= MOST for piece in pieces)
    assert not any(BREAK in piece or piece != piece.strip() for piece in pieces)


@pytest.mark.parametrize("phonemes", ["a" * 10_000, "ni↗|xau↓|" * 2_000, "wˈɜɹd " * 2_000, "ˈ" * 600])
def test_a_text_without_a_mark_is_cut_all_the_same(phonemes: str) -> None:
    pieces = list(pieces_of(phonemes))
    assert sound("".join(pieces)) == sound(phonemes)
    assert max(map(len, pieces)) <= MOST


@given(PHONEMES)
def test_a_piece_is_ready_before_the_one_before_it_is_over(phonemes: str) -> None:
    """At 14 phonemes a second, and 0.18 s for each second of sound and for the quiet around a piece."""
    pieces = list(pieces_of(phonemes))
    for played, made in pairwise(pieces):
        if len(played) >= LEAST:
            assert 0.18 * (len(made) / 14 + 1) < len(played) / 14 + 0.16


def test_a_first_clause_is_a_piece_of_its_own() -> None:
    assert list(pieces_of("ʨi→n|tʰjɛ→n|tʰjɛ→n|ʨʰi↘|xə↗n|xau↓, wo↓|mən|i↘|ʨʰi↓|ʨʰy↘|kʊ→ŋ|ɥɛ↗n|sa↘n|pu↘|pa. ")) == [
        "ʨi→ntʰjɛ→ntʰjɛ→nʨʰi↘xə↗nxau↓,",
        "wo↓məni↘ʨʰi↓ʨʰy↘kʊ→ŋɥɛ↗nsa↘npu↘pa.",
    ]


def test_a_short_text_is_one_piece() -> None:
    assert list(pieces_of("ni↗|xau↓, ʂɨ↘|ʨje↘. ")) == ["ni↗xau↓, ʂɨ↘ʨje↘."]
    assert list(pieces_of("")) == list(pieces_of(" | ")) == []
