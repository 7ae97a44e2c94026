"""Times of subtitles: in order, never overlapping, from the pauses in the sound, however it was cut."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.said import RATE, SECONDS_PER_LETTER, Said, spoken
from voxcli.audio.chunk import AudioChunk
from voxcli.synthesis.cues import Cue, CuedPassage, CueStream
from voxcli.synthesis.request import Piece, SentenceMark


def passages_of(pieces: Iterable[Piece]) -> list[CuedPassage]:
    stream = CueStream()
    for piece in pieces:
        if isinstance(piece, AudioChunk):
            stream.feed(piece)
        else:
            stream.mark(piece)
    stream.finish()
    return list(stream.settled.values())


def cues_of(*sentences: Said) -> list[Cue]:
    return [cue for passage in passages_of(spoken(sentences)) for cue in passage.cues]


WORDS = ["yes.", "no!", "the", "harbour,", "water", "incomprehensibilities", "and", "春天来了，", "bird", "a" * 60]
said = st.builds(
    Said,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join),
    st.sampled_from([None, None, "Anna", "Ben"]),
    st.sampled_from([0.25, 1.0, 4.0]),
    st.sampled_from([0.0, 0.0, 0.2, 3.0]),
)


@settings(max_examples=25)
@given(sentences=st.lists(said, max_size=5))
def test_cues_are_in_order_without_overlap_and_have_all_text_once(sentences: list[Said]) -> None:
    pieces = list(spoken(sentences))
    passages = passages_of(pieces)
    cues = [cue for passage in passages for cue in passage.cues]
    seconds = sum(piece.seconds for piece in pieces if isinstance(piece, AudioChunk))
    assert "".join(cue.text for cue in cues).replace(" ", "") == "".join(one.text for one in sentences).replace(" ", "")
    assert [one.mark.text for passage in passages for one in passage.sentences] == [one.text for one in sentences]
    assert all(cue.start < cue.end for cue in cues)
    assert all(before.end <= after.start for before, after in pairwise(cues))
    assert not cues or cues[-1].end <= seconds + 0.002
    for passage in passages:
        first, last = passage.sentences[0].mark, passage.sentences[-1].mark
        assert passage.cues[0].start == pytest.approx(first.start, abs=0.01)
        assert last.end is not None
        assert passage.cues[-1].end > last.end - 0.1
        assert {cue.speaker for cue in passage.cues} == {first.speaker} == {last.speaker}


@settings(max_examples=20)
@given(sentences=st.lists(said, min_size=1, max_size=3), size=st.integers(40, 700))
def test_any_cut_of_the_sound_gives_the_same_cues(sentences: list[Said], size: int) -> None:
    pieces = list(spoken(sentences))

    def cut() -> Iterator[Piece]:
        for piece in pieces:
            if isinstance(piece, SentenceMark):
                yield piece
                continue
            for at in range(0, len(piece.samples), size):
                yield AudioChunk(piece.samples[at : at + size], RATE)

    assert passages_of(cut()) == passages_of(pieces)


def test_a_long_sentence_is_cut_where_the_sound_has_its_pauses() -> None:
    text = "Antidisestablishmentarianism is said, and cats do sit on mats in the hall, while I am at sea with you."
    cues = cues_of(Said(text))
    letters, pauses = 0, 0
    for cue in cues:
        assert cue.start == pytest.approx(letters * SECONDS_PER_LETTER + 0.3 * pauses, abs=0.025)
        letters += len(cue.text.replace(" ", ""))
        pauses += cue.text.count(",")
        assert cue.text.endswith((",", "."))
    assert len(cues) == 2


def test_a_word_that_is_gone_too_soon_shares_the_cue_of_the_next_sentence() -> None:
    together = cues_of(Said("No."), Said("It is not here at all."), Said("Yes."))
    assert [cue.text for cue in together] == ["No. It is not here at all.", "Yes."]
    apart = cues_of(Said("No.", "Anna"), Said("It is not here.", "Ben"))
    assert [cue.text for cue in apart] == ["No.", "It is not here."]
    alone = cues_of(Said("No.", gap=2), Said("It is not here."))
    assert alone[0].end - alone[0].start == pytest.approx(5 / 6, abs=0.001)


def test_two_frames_are_between_cues_and_short_gaps_are_closed() -> None:
    first, second, third = cues_of(
        Said("The first sentence.", gap=0.3), Said("And one more, as long.", gap=5), Said("End.")
    )
    assert second.start - first.end == pytest.approx(2 / 24, abs=0.001)
    assert third.start - second.end > 4


def test_a_speaker_is_named_when_it_changes() -> None:
    cues = cues_of(
        Said("It rained all day long.", "Anna"),
        Said("It did not stop at night.", "Anna"),
        Said("Then the wind came.", "Ben"),
        Said("All went home."),
    )
    assert [(cue.speaker, cue.new_speaker) for cue in cues] == [
        ("Anna", True), ("Anna", False), ("Ben", True), (None, True),
    ]  # fmt: skip


def test_of_a_sentence_that_was_cut_off_there_is_what_was_heard() -> None:
    pieces = list(spoken([Said("The first sentence."), Said("The second sentence was never finished by anyone.")]))
    half = pieces[: len(pieces) // 2 + 2]
    seconds = sum(piece.seconds for piece in half if isinstance(piece, AudioChunk))
    last = passages_of(half)[-1]
    text = last.cues[-1].text
    assert "The second sentence was never finished by anyone.".startswith(text)
    assert 0 < len(text) < 40
    assert last.cues[-1].end == pytest.approx(seconds, abs=0.001)
    assert last.sentences[0].mark.span == (20, 20 + len(text))
