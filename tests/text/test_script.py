"""Scripts: who speaks each line, however the text was cut on its way, and which names are missing."""

import itertools
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.errors import RequestError
from voxcli.text.marks import Part, Pause, Sentence
from voxcli.text.parts import read_parts
from voxcli.text.script import ScriptNames, ScriptReader, UnknownName, names_in, read_script

NAMES = ScriptNames(speakers={"Anna": "Anna", "BEN": "BEN", "李雷": "李雷"}, prose=frozenset({"NOTE"}), any_voice=True)
SCENE = """The garden.

ANNA: Hello. How are you?
I am fine.

She waits. Note: it rains.

(They sit down.)
BEN (whispering): Well: not good.
**Anna:** (loudly) What?
李雷：你好。
[voice:ben] Now Ben narrates.

Still Ben. NOTE: no name.
NOTE: this neither. [voice: af_sky ] The sky.
"""


def turns(*pieces: str, names: ScriptNames = NAMES) -> list[tuple[str | None, str]]:
    reader = ScriptReader(names)
    return [
        (part.manner.speaker, str(part))
        for part in read_parts(reader.pieces(pieces), markdown=False)
        if isinstance(part, Sentence)
    ]


def test_each_line_has_its_speaker() -> None:
    assert turns(SCENE) == [
        (None, "The garden."),
        ("Anna", "Hello."),
        ("Anna", "How are you?"),
        ("Anna", "I am fine."),
        (None, "She waits."),
        (None, "Note: it rains."),
        (None, "They sit down."),
        ("BEN", "Well: not good."),
        ("Anna", "What?"),
        ("李雷", "你好。"),
        ("BEN", "Now Ben narrates."),
        ("BEN", "Still Ben."),
        ("BEN", "NOTE: no name."),
        ("BEN", "NOTE: this neither."),
        ("af_sky", "The sky."),
    ]


def test_sentences_stand_where_they_are_written() -> None:
    parts = read_parts(ScriptReader(NAMES).pieces([SCENE]), markdown=False)
    for part in parts:
        if isinstance(part, Sentence):
            assert SCENE[slice(*part.span or ())] == part


ALPHABET = ["ANNA", "Anna", "BEN", "Note", "NOTE", ":", "：", " ", "\n", "\n\n", "(", ")", "[voice:", "ben]", "]", "**"]
TEXTS = st.lists(st.sampled_from([*ALPHABET, "Hello.", "word ", "李雷", "x" * 70]), max_size=25).map("".join)


@given(TEXTS | st.just(SCENE), st.lists(st.integers(0, 400), max_size=12))
def test_it_does_not_matter_how_the_text_is_cut(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in itertools.pairwise(places)]
    assert _parts(pieces) == _parts([text])
    assert _parts(list(text)) == _parts([text])


def _parts(pieces: list[str]) -> list[object]:
    reader = ScriptReader(NAMES, pause=0.5, unknown=[])
    return [
        (str(part), part.span, part.manner) if isinstance(part, Sentence) else part
        for part in read_parts(reader.pieces(pieces), markdown=False)
    ]


@given(TEXTS)
def test_nothing_is_lost_but_names_and_marks(text: str) -> None:
    plain = ScriptNames(speakers={}, lines=False)
    kept = "".join(piece for piece in ScriptReader(plain, unknown=[]).pieces([text]) if isinstance(piece, str))
    if "[voice:" not in text:
        assert kept == text


def test_two_speakers_never_meet_without_the_pause() -> None:
    parts: list[Part] = list(read_parts(ScriptReader(NAMES, pause=0.5).pieces([SCENE]), markdown=False))
    before: str | None = None
    for number, part in enumerate(parts):
        if isinstance(part, Sentence):
            if number and part.manner.speaker != before:
                assert parts[number - 1] == Pause(0.5)
            before = part.manner.speaker


def test_all_unknown_names_are_found_with_their_lines() -> None:
    text = "EVE: Hi.\n\nBEN: Oh.\nADAM:\nYes.\nEVE: No.\nHTTP://x\n[voice:zoe] So."
    names = ScriptNames(speakers={"BEN": "BEN"})
    _, unknown = read_script(text, names)
    assert unknown == [UnknownName("EVE", 1), UnknownName("ADAM", 4), UnknownName("EVE", 6), UnknownName("zoe", 8)]
    with pytest.raises(RequestError, match="Line 1 names EVE"):
        list(ScriptReader(names).pieces([text]))


def test_directions_are_left_out_where_the_voice_does_not_follow_them(caplog: pytest.LogCaptureFixture) -> None:
    text = "BEN (softly): Hi.\n(He goes.)\nBEN (softly): Bye."
    told = [part.manner.style for part in read_parts(ScriptReader(NAMES).pieces([text]), markdown=False) if part]
    assert told == ["softly", None, "softly"]
    with caplog.at_level(logging.WARNING):
        reader = ScriptReader(NAMES, styles=False, read_directions=False)
        parts = list(read_parts(reader.pieces([text]), markdown=False))
    assert [str(part) for part in parts] == ["Hi.", "Bye."]
    assert len(caplog.records) == 1


def test_names_are_guessed_from_capitals_and_repetition() -> None:
    assert names_in("ANNA: a\nMr Ben: b\nnote: c\nMr Ben: d\nOnce: e\nSo this is it: f\nSo this is it: g") == [
        *("ANNA", "Mr Ben")
    ]
