"""SSML: all text of a document is spoken in its order, nothing of the markup is, and what is refused has its place."""

import logging
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.errors import RequestError
from voxcli.text.marks import MannerChange, MarkedUp, Pause, Sentence
from voxcli.text.parts import Flush, TextPiece, read_parts
from voxcli.text.phonemes import Alphabet, readable
from voxcli.text.ssml import is_ssml, refusing_ssml, sniffed
from voxcli.text.ssml.reader import read_ssml


def sentences_of(document: str) -> list[Sentence]:
    parts = read_parts(read_ssml(document).pieces, markdown=False)
    return [part for part in parts if isinstance(part, Sentence)]


def in_speak(content: str) -> str:
    return f"<speak>{content}</speak>"


WORD = st.sampled_from(["one", "two & three", "<four>", "x < y", "五", "“six”", "seven.", "Eight! Nine?"])
LEAF = st.one_of(
    WORD.map(escape),
    WORD.map(lambda word: f"<![CDATA[{word}]]>"),
    st.just('<break time="10ms"/>'),
    st.just("<!-- a comment -->"),
    st.just('<mark name="m"/>'),
    st.sampled_from([" ", "\n  "]),
    WORD.map(lambda word: f"<sub alias={quoteattr(word)}>{escape(word)}</sub>"),
)


def _element(children: list[str], name: str) -> str:
    attributes = {"prosody": ' rate="99%"', "lang": ' xml:lang="en"', "voice": ' name="v"'}
    return f"<{name}{attributes.get(name, '')}>{' '.join(children)}</{name}>"


TREE = st.recursive(
    LEAF,
    lambda inner: st.builds(
        _element, st.lists(inner, max_size=4), st.sampled_from(["p", "s", "prosody", "lang", "voice"])
    ),
    max_leaves=12,
)


@given(st.lists(TREE, max_size=5).map(" ".join))
def test_all_text_is_spoken_in_order_and_no_markup(content: str) -> None:
    document = in_speak(content)
    leaves = _letters(_text_of(document))
    pieces = read_ssml(document).pieces
    assert _letters("".join(piece for piece in pieces if isinstance(piece, str))) == leaves
    assert _letters("".join(sentences_of(document))) == leaves
    assert _letters("".join(sentence.said for sentence in sentences_of(document))) == leaves


@given(st.lists(TREE, max_size=5).map(" ".join))
def test_the_pieces_are_written_as_the_document(content: str) -> None:
    document = in_speak(content)
    pieces = read_ssml(document).pieces
    assert "".join(piece.written for piece in pieces if isinstance(piece, MarkedUp | MannerChange)) == document
    end = 0
    for sentence in sentences_of(document):
        start, after = sentence.span or (-1, -1)
        assert end <= start <= after <= len(document)
        end = start


def _text_of(document: str) -> str:
    import xml.etree.ElementTree as ET

    return "".join(ET.fromstring(document).itertext())


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def test_nested_manners_are_multiplied() -> None:
    inner = '<prosody rate="50%" volume="-6dB">b</prosody>'
    first, second, third = sentences_of(in_speak(f'<prosody rate="fast" volume="soft">a {inner}</prosody> c'))
    assert (first.manner.speed, first.manner.volume) == (1.25, 0.5)
    assert (second.manner.speed, round(second.manner.volume, 4)) == (0.625, 0.2506)
    assert (third.manner.speed, third.manner.volume) == (1.0, 1.0)


def test_pauses_marks_and_other_words() -> None:
    document = in_speak(
        'The <sub alias="World Wide Web">WWW</sub> <mark name="a"/>is here.<break time="1.5s"/><break strength="none"/>'
        '<s>A <phoneme ph="təˈmeɪtoʊ">tomato</phoneme></s><s>Pay <say-as interpret-as="currency">USD 3.50</say-as>.</s>'
        '<mark name="end"/>'
    )
    parts = list(read_parts(read_ssml(document).pieces, markdown=False))
    first, pause, second, third = parts
    assert pause == Pause(1.5)
    assert isinstance(first, Sentence)
    assert isinstance(second, Sentence)
    assert isinstance(third, Sentence)
    assert (str(first), first.said) == ("The WWW is here.", "The World Wide Web is here.")
    assert first.bookmarks == ((8, "a"),)
    assert second.said == "A {/təˈmeɪtoʊ/}"
    assert third.said == "Pay three dollars and fifty cents."
    assert third.bookmarks == ((len(third), "end"),)


@pytest.mark.parametrize(
    ("kind", "form", "written", "said"),
    [
        ("cardinal", "", "1,234", "one thousand two hundred and thirty-four"),
        ("ordinal", "", "21", "twenty-first"),
        ("characters", "", "A1b", "A one B"),
        ("spell-out", "", "x@y", "X at Y"),
        ("digits", "", "42", "four two"),
        ("telephone", "", "+1 (555) 12-3", "plus one, five five five, one two, three"),
        ("date", "dmy", "1.5.2024", "May first, twenty twenty-four"),
        ("date", "mdy", "05/01/2024", "May first, twenty twenty-four"),
        ("date", "", "20240501", "May first, twenty twenty-four"),
        ("date", "md", "5/1", "May first"),
        ("date", "d", "3", "third"),
        ("currency", "", "3.50€", "three euros and fifty cents"),
        ("time", "hms12", "3:45 pm", "three forty-five PM"),
        ("fraction", "", "3/4", "three quarters"),
        ("unit", "", "10 kg", "ten kilograms"),
    ],
)
def test_readings_in_english(kind: str, form: str, written: str, said: str) -> None:
    document = f'<speak xml:lang="en"><say-as interpret-as="{kind}" format="{form}">{written}</say-as></speak>'
    assert [sentence.said for sentence in sentences_of(document)] == [said]


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [
        ("cardinal", "120", "一百二十"),
        ("ordinal", "3", "第三"),
        ("digits", "42", "四二"),
        ("telephone", "110", "幺幺零"),
        ("date", "2024-05-01", "二零二四年五月一日"),
        ("characters", "A1", "A 一"),
    ],
)
def test_readings_in_chinese(kind: str, written: str, said: str) -> None:
    document = f'<speak xml:lang="zh-CN"><say-as interpret-as="{kind}">{written}</say-as></speak>'
    assert [sentence.said for sentence in sentences_of(document)] == [said]


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ("<speak>\n <emphasis>a</emphasis>\n<audio src='x'/></speak>", ["line 2, column 2: <emphasis>", "line 3"]),
        ("<speak><prosody pitch='high'>a</prosody></speak>", ["the attribute pitch of <prosody>"]),
        ("<speak xmlns:m='u'><m:express-as>a</m:express-as></speak>", ["<m:express-as> is not supported"]),
        ("<speak><break time='5'/><break strength='x'/><break time='90s'/></speak>", ["'5'", "'x'", "'90s'"]),
        ("<speak><say-as interpret-as='cardinal'>abc</say-as></speak>", ["'abc' is no number"]),
        ("<speak><say-as interpret-as='moon'>abc</say-as></speak>", ["'moon' is not known"]),
        (
            "<speak><phoneme ph='{'>a</phoneme><phoneme>b</phoneme></speak>",
            ["not written in ipa", "needs the attribute ph"],
        ),
        ("<speak><prosody rate='10'>a</prosody></speak>", ["outside 0.25 to 4"]),
        ("<speak><lang xml:lang='tlhIngan Hol'>a</lang></speak>", ["'tlhIngan Hol' is not a language"]),
        ("<speak>a<p>b</speak>", ["line 1, column 15: mismatched tag"]),
        ("<speak>a</speak>b", ["junk after document element"]),
        ("<speak>&nbsp;</speak>", ["undefined entity"]),
        ("<speak>" + "<p>" * 90 + "</p>" * 90 + "</speak>", ["more than 64 elements"]),
        (
            "<speak><sub alias='a'>b<s>c</s></sub><speak>d</speak></speak>",
            ["<s> cannot be within <sub>", "<speak> cannot"],
        ),
        ('<!DOCTYPE speak [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><speak>&c;</speak>', ["document type declarations"]),
        ("<?xml version='1.0'?><?x y?><speak>a</speak>", ["<?x?>"]),
    ],
)
def test_what_is_refused_has_its_place(document: str, places: list[str]) -> None:
    with pytest.raises(RequestError) as found:
        read_ssml(document)
    for place in places:
        assert place in str(found.value)


@pytest.mark.parametrize("prefix", ["", "\ufeff", " \n", '<?xml version="1.0"?>\n', "<!-- a --> <!-- b -->", "<ssml:"])
def test_it_is_found_by_its_root(prefix: str) -> None:
    assert is_ssml(f"{prefix}speak>" if prefix == "<ssml:" else f"{prefix}<speak>a</speak>")


@pytest.mark.parametrize(
    "text", ["speak", "<p>a</p>", "a <speak>", "<speaker>", "<!-- a -->" * 40 + "<b>", "<think>speak"]
)
def test_other_texts_are_not_ssml(text: str) -> None:
    assert not is_ssml(text)


ARRIVING = ["<speak>One. Two.</speak>", "<think>a", "<sp", "plain <speak>", "<!-- x --><speak>a</speak>"]


@given(st.sampled_from(ARRIVING), st.data())
def test_a_text_that_arrives_in_pieces_is_the_same(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, cut = ([str(part) for part in read_parts(sniffed(each), markdown=False)] for each in ([text], pieces))
    assert cut == whole
    if is_ssml(text):
        with pytest.raises(RequestError, match="cannot be sent"):
            list(refusing_ssml(pieces))
    else:
        assert "".join(refusing_ssml(pieces)) == text
        assert "".join(piece for piece in sniffed(pieces) if isinstance(piece, str)) == text


def test_a_flush_ends_the_search() -> None:
    pieces: list[TextPiece] = ["<sp", Flush(), "eak>a"]
    assert list(sniffed(pieces)) == pieces


def test_phonemes_that_are_not_read_leave_the_word(caplog: pytest.LogCaptureFixture) -> None:
    document = in_speak('A <phoneme ph="ʁʏ">rue</phoneme>.')
    with caplog.at_level(logging.WARNING):
        [sentence] = readable(sentences_of(document), frozenset({Alphabet.ARPABET}), set())
    assert isinstance(sentence, Sentence)
    assert sentence.said == "A rue."
    assert "phonemes of rue" in caplog.text
