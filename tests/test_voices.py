"""Voices on disk."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.errors import ModelError, NotFound, RequestError
from voxcli.speech import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary

ANNA = Voice(
    style="calm",
    reference=Clip(b"reference bytes", "Anna.WAV"),
    prompt=Prompt(Clip(b"prompt bytes", "x.mp3"), "你好"),
)


def test_a_voice_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path / "voices")
    library.save("Anna", ANNA)
    found = library.load("anna")
    assert found.style == "calm"
    assert found.reference
    assert found.reference.data == b"reference bytes"
    assert found.prompt
    assert found.prompt.clip.data == b"prompt bytes"
    assert found.prompt.clip.name == "prompt.mp3"
    assert found.prompt.transcript == "你好"
    assert library.names() == ["Anna"]


def test_no_folder_means_no_voices(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path / "nowhere")
    assert library.names() == []
    assert library.find("anna") is None


def test_an_unknown_voice_is_refused_with_the_list(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", Voice())
    library.save("王小明", Voice())
    with pytest.raises(NotFound, match=r"Did you mean 'anna'.*anna, 王小明"):
        library.load("anne")


def test_a_voice_is_not_replaced_unasked(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", Voice(style="old"))
    with pytest.raises(RequestError, match="already"):
        library.save("ANNA", Voice(style="new"))
    assert library.load("anna").style == "old"
    library.save("ANNA", Voice(style="new"), overwrite=True)
    assert library.names() == ["ANNA"]
    assert library.load("anna").style == "new"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "x" * 65, "a\n", "C:"])
def test_names_that_are_no_folder_are_refused(tmp_path: Path, name: str) -> None:
    library = VoiceLibrary(tmp_path / "voices")
    with pytest.raises(RequestError, match="cannot be called"):
        library.save(name, Voice())
    assert library.names() == []


@given(name=st.text(max_size=70))
def test_whatever_the_name_nothing_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("root")
    library = VoiceLibrary(root / "voices")
    try:
        library.save(name, Voice())
    except RequestError:
        assert library.names() == []
    else:
        assert library.find(name) is not None
    assert {path.name for path in root.iterdir()} <= {"voices"}


def test_a_description_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    folder = tmp_path / "voices" / "evil"
    folder.mkdir(parents=True)
    (folder / "voice.json").write_text(json.dumps({"version": 1, "reference": "../../secret.wav"}))
    with pytest.raises(ModelError, match="evil"):
        VoiceLibrary(tmp_path / "voices").load("evil")


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", "null", '{"version": 2}', '{"version": 1, "prompt": "x"}'])
def test_a_damaged_voice_says_so(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "voice.json").write_text(content)
    with pytest.raises(ModelError, match="anna"):
        VoiceLibrary(tmp_path).load("anna")


def test_a_voice_that_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    with pytest.raises(RequestError):
        library.save("a/b", ANNA)
    assert list(tmp_path.iterdir()) == []
