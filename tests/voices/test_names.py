"""Names of voices, which are names of folders too."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.errors import RequestError
from voxcli.synthesis.request import Voice
from voxcli.voices import VoiceLibrary
from voxcli.voices.description import check_name, folded, name_from

IN_MANY_SCRIPTS = ["王小明", "हिन्दी आवाज़", "เสียงของฉัน", "Ёлка", "صوت", "목소리", "é", "Ångström", "கா", "3", "a_", "_x"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "x" * 65, "a\n", "C:", "-x", "a ", "𠀀" * 64, "\u0301a"]
)
def test_names_that_are_no_folder_are_refused(tmp_path: Path, name: str) -> None:
    library = VoiceLibrary(tmp_path / "voices")
    with pytest.raises(RequestError, match="cannot be called"):
        library.save(name, Voice())
    assert library.names() == []


@pytest.mark.parametrize("name", ["con", "NUL", "Aux.wav", "com1", "LPT9.x", "COM¹", "prn ", "nul .txt"])
def test_names_that_windows_keeps_for_itself_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="Windows"):
        VoiceLibrary(tmp_path).save(name, Voice())


@pytest.mark.parametrize("name", ["conrad", "com10", "Nulla", "a.con", *IN_MANY_SCRIPTS])
def test_a_name_may_be_in_any_script(tmp_path: Path, name: str) -> None:
    library = VoiceLibrary(tmp_path)
    library.save(name, Voice(style="x"))
    assert [folded(known) for known in library.names()] == [folded(name)]
    for spelling in (name.upper(), unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name)):
        assert library.load(spelling).style == "x"


@given(name=st.text(max_size=70))
@example(name="ǰ")  # grows when its case changes
def test_whatever_the_name_nothing_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("root")
    library = VoiceLibrary(root / "voices")
    try:
        kept = library.save(name, Voice())
    except RequestError:
        assert library.names() == []
    else:
        assert library.names() == [kept]
        assert library.find(name) is not None
        assert library.find(name.casefold()) is not None
    assert {path.name for path in root.iterdir()} <= {"voices"}


@given(text=st.text(max_size=200))
def test_a_name_made_from_a_text_is_a_name(text: str) -> None:
    if name := name_from(text):
        assert check_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ref", "ref"),
        ("my ref (1)", "my ref -1"),
        ("...", None),
        ("con", None),
        ("x" * 100, "x" * 64),
        ("录音 #2", "录音 -2"),
    ],
)
def test_a_voice_can_be_called_like_its_file(text: str, name: str | None) -> None:
    assert name_from(text) == name
