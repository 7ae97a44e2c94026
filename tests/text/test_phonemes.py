"""Phonemes in braces: what they are written in, and how one alphabet becomes another."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voxcli.text import phonemes
from voxcli.text.normalization.bilingual import in_words
from voxcli.text.phonemes import Alphabet, Phonemes, alphabet_of, arpabet_of, ipa_of, outside_phonemes, split_phonemes


@pytest.mark.parametrize(
    ("written", "alphabet"),
    [
        ("ni3", Alphabet.PINYIN),
        ("lü4", Alphabet.PINYIN),
        ("zhuang1", Alphabet.PINYIN),
        ("HH AH0 L OW1", Alphabet.ARPABET),
        ("AY1", Alphabet.ARPABET),
        ("/həˈloʊ/", Alphabet.IPA),
        *((other, None) for other in ("x", "K", "foo bar", "ni", "ni6", "HH3", "h1", "1", "", "/", "/a{b/")),
    ],
)
def test_phonemes_are_told_from_other_braces(written: str, alphabet: Alphabet | None) -> None:
    assert alphabet_of(written) is alphabet


SIGNS = [*phonemes._CONSONANTS, *(f"{vowel}{stress}" for vowel in phonemes._VOWELS for stress in "012")]


@given(st.lists(st.sampled_from(SIGNS), min_size=1, max_size=12))
def test_arpabet_comes_back_from_ipa(signs: list[str]) -> None:
    arpabet = " ".join(signs)
    assume(not any(pair in ipa_of(arpabet) for pair in ("əɹ", "əʊ")))  # which are one sound, ER and OW
    again = arpabet_of(ipa_of(arpabet))
    assert again
    assert ipa_of(again) == ipa_of(arpabet)


def test_sounds_that_english_does_not_have_are_not_written_in_arpabet() -> None:
    assert arpabet_of("təˈmeɪtoʊ") == "T AH0 M EY1 T OW0"
    assert arpabet_of("ˈʃtʁaːsə") is None


SIGNS_OF_TEXT = ["{ni3}", "{hao3}", "{HH AH0}", "{/ˈɪt/}", "{x}", "a ", "3 ", "。", "{", "}"]
PIECES = st.lists(st.sampled_from(SIGNS_OF_TEXT), max_size=9)


@given(PIECES.map("".join))
def test_only_what_is_outside_is_changed(text: str) -> None:
    assert outside_phonemes(text, lambda plain: plain) == text
    kept = [piece for piece in split_phonemes(text) if isinstance(piece, Phonemes)]
    changed = outside_phonemes(text, lambda plain: plain.replace("a", "b"))
    assert [piece for piece in split_phonemes(changed) if isinstance(piece, Phonemes)] == kept


@pytest.mark.parametrize("text", ["I say {HH AH0 L OW1}.", "我在{chong2}{qing4}。", "A {/təˈmeɪtoʊ/}!"])
def test_normalization_keeps_phonemes(text: str) -> None:
    assert in_words(text) == text
