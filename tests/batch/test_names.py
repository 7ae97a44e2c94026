"""Names of files from a list: never outside the folder, allowed on every system, and different where the rows are."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.batch.names import NameTemplate, check_name, folded_name, with_suffix
from voxcli.errors import RequestError

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def is_safe(name: str) -> bool:
    """Whether a name is a file below the folder, on Linux, macOS and Windows."""
    parts = name.split("/")
    return (
        PureWindowsPath(name).drive == ""
        and not PurePosixPath(name).is_absolute()
        and PureWindowsPath(name).parts == PurePosixPath(name).parts == (*parts,)
        and all(0 < len(part.encode()) <= 255 for part in parts)
        and not any(part in (".", "..") or part[-1] in " ." or part[0] in " ." for part in parts)
        and not any(part.partition(".")[0].strip().lower() in RESERVED for part in parts)
        and not any(char in '<>:"\\|?*' or unicodedata.category(char) in ("Cc", "Cs") for char in name)
    )


@given(st.text(max_size=300), st.integers(1, 10**6))
@example("../../etc/passwd", 1)
@example("C:\\Windows", 1)
@example("CON", 1)
@example("nul.txt", 1)
@example("é" * 300, 1)
@example("." * 90, 1)
@example("\ud800", 1)
@example("a\u202eb", 1)
def test_whatever_is_in_a_row_its_name_is_safe(value: str, n: int) -> None:
    for template in ("{n:04}-{text}.{ext}", "{text}/{n}.{ext}", "{text}.{ext}"):
        assert is_safe(NameTemplate(template).name({"n": n, "text": value, "ext": "wav"}))


@given(st.text(max_size=40))
@example("a/b.wav")
@example("..")
@example("a/../b")
@example("//x")
@example("aux.wav")
@example("a.")
def test_a_given_name_is_safe_or_refused(name: str) -> None:
    try:
        checked = check_name(name)
    except RequestError:
        return
    assert is_safe(checked)


@pytest.mark.parametrize("name", ["a.wav", "Ärger/01 - you.wav", "你好.mp3", "a/b/c.wav"])
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert check_name(name) == name


def test_a_refused_name_comes_with_one_that_is_allowed() -> None:
    with pytest.raises(RequestError, match=r"Instead: 'what_.wav'"):
        check_name("what?.wav")
    with pytest.raises(RequestError, match="leads out of the folder"):
        check_name("..\\x.wav")


def test_templates_are_filled() -> None:
    values = {"n": 7, "voice": "Anna/b", "speed": 1.25, "ext": "mp3", "text": "Hello, world"}
    for template, name in (
        ("{n:04}-{voice}.{ext}", "0007-Anna_b.mp3"),
        ("{voice}/{n}.{ext}", "Anna_b/7.mp3"),
        ("{n:x}_{speed:.1f}.{ext}", "7_1.2.mp3"),
        ("{text:.5}.wav", "Hello.wav"),
        ("{{{n}}}.{ext}", "{7}.mp3"),
    ):
        assert NameTemplate(template).name(values) == name


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{n", "cannot be read"),
        ("same.wav", "all files have one name"),
        ("{n.__class__}.{ext}", "is not a name"),
        ("{n[0]}.{ext}", "is not a name"),
        ("{}.wav", "is not a name"),
        ("../{n}.{ext}", "leads out"),
        ("/tmp/{n}.{ext}", "leads out"),
        ("{ext}/{n}", "belongs at the end"),
        (".{n}.{ext}", "not allowed"),
    ],
)
def test_a_template_that_cannot_be_one_is_refused(template: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        NameTemplate(template)


def test_what_a_row_lacks_is_told() -> None:
    with pytest.raises(RequestError, match=r"has no 'speker'.*Did you mean 'speaker'"):
        NameTemplate("{n}-{speker}.{ext}").name({"n": 1, "speaker": "x", "ext": "wav"})
    with pytest.raises(RequestError, match="does not fit 'x'"):
        NameTemplate("{id:04d}.{ext}").name({"id": "x", "ext": "wav"})


def test_names_that_are_one_file_somewhere_fold_to_one() -> None:
    assert folded_name("Straße/É.wav") == folded_name("STRASSE/e\u0301.WAV".replace("e\u0301", "E\u0301"))
    assert folded_name("a.wav") != folded_name("b.wav")


def test_the_suffix_is_replaced() -> None:
    assert with_suffix("a.b/c.d.wav", ".srt") == "a.b/c.d.srt"
