"""Voices on disk."""

import json
import os
from pathlib import Path

import pytest

from voxcli.errors import DeviceError, ModelError, NotFound, RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import Notes, VoiceLibrary

ANNA = Voice(
    style="calm",
    reference=Clip(b"reference bytes", "Anna.WAV"),
    prompt=Prompt(Clip(b"prompt bytes", "x.mp3"), "你好"),
)


def test_a_voice_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path / "voices")
    assert library.save("Anna", ANNA) == "Anna"
    found = library.load("anna")
    assert found.style == "calm"
    assert found.reference == Clip(b"reference bytes", "reference.wav")
    assert found.prompt == Prompt(Clip(b"prompt bytes", "prompt.mp3"), "你好")
    assert library.names() == ["Anna"]
    library.save("anna", found, overwrite=True)
    assert library.load("anna") == found


def test_no_folder_means_no_voices(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path / "nowhere")
    assert library.names() == []
    assert library.find("anna") is None
    for change in (lambda: library.remove("anna"), lambda: library.rename("anna", "bob")):
        with pytest.raises(NotFound, match="No voices are saved yet"):
            change()
    assert list(tmp_path.iterdir()) == []


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


def test_a_replaced_voice_leaves_no_clip_behind(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    library.save("anna", Voice(reference=Clip(b"new", "new.flac")), overwrite=True)
    assert sorted(path.suffix for path in (tmp_path / "anna").iterdir()) == [".flac", ".json"]


def test_a_renamed_voice_is_the_same_voice(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    before = library.load("anna")
    assert library.rename("ANNA", "王小明") == ("anna", "王小明")
    assert library.names() == ["王小明"]
    assert library.load("王小明") == before


def test_a_name_can_change_its_case_only(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    library.rename("anna", "Anna")
    assert library.names() == ["Anna"]


def test_the_notes_on_a_voice_stay_with_it_until_it_is_replaced(tmp_path: Path) -> None:
    library, notes = VoiceLibrary(tmp_path), Notes(consent="Anna said yes: 好的", created="2025-12-31", voxcli="0.1.0")
    library.save("anna", ANNA, notes)
    before = library.load("anna")
    library.rename("anna", "bob")
    assert library.load_noted("bob") == (before, notes)
    library.save("bob", Voice(style="new"), overwrite=True)
    assert library.load_noted("bob") == (Voice(style="new"), Notes())


def test_a_voice_is_described_without_reading_its_clips(tmp_path: Path) -> None:
    library, notes = VoiceLibrary(tmp_path), Notes(created="2025-12-31")
    library.save("anna", ANNA, notes)
    for clip in (tmp_path / "anna").glob("*-*"):
        clip.unlink()
    described = library.describe("anna")
    assert described is not None
    voice, noted = described
    assert noted == notes
    assert voice.style == "calm"
    assert voice.reference == Clip(b"", "reference.wav")
    assert voice.prompt == Prompt(Clip(b"", "prompt.mp3"), "你好")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b'{"version": 1, "prompt": "prompt.wav"}'])
def test_a_damaged_voice_has_no_description(tmp_path: Path, content: bytes) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    (tmp_path / "anna" / "voice.json").write_bytes(content)
    assert library.describe("anna") is None


def test_only_a_voice_of_the_library_has_a_description(tmp_path: Path) -> None:
    VoiceLibrary(tmp_path).save("outside", Voice())
    library = VoiceLibrary(tmp_path / "voices")
    library.save("anna", Voice())
    library.remove("anna")
    for name in ("anna", "../outside", "..", "", "a/b"):
        assert library.describe(name) is None


def test_a_voice_is_not_renamed_onto_another(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", Voice(style="a"))
    library.save("Bob", Voice(style="b"))
    with pytest.raises(RequestError, match="'Bob' already exists"):
        library.rename("anna", "bob")
    assert [library.load(name).style for name in ("anna", "bob")] == ["a", "b"]


def test_a_removed_voice_is_gone_with_all_its_files(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    library.save("bob", ANNA)
    assert library.remove("ANNA") == "anna"
    assert library.names() == ["bob"]
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "bob"}


def test_a_description_cannot_reach_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    folder = tmp_path / "voices" / "evil"
    folder.mkdir(parents=True)
    (folder / "voice.json").write_text(json.dumps({"version": 1, "reference": "../../secret.wav"}))
    with pytest.raises(ModelError, match="evil"):
        VoiceLibrary(tmp_path / "voices").load("evil")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "{",
        "null",
        "[" * 100_000,
        '{"version": 1, "prompt": "x"}',
        '{"version": 1, "prompt": "prompt.wav", "transcript": " "}',
        '{"version": 1, "reference": "reference.wav"}',
        '{"version": 1, "reference": 3}',
        '{"version": 1, "style": ["calm"]}',
        '{"version": 1, "consent": true}',
        '{"version": 1, "style": "\\ud800"}',
        '{"version": "1"}',
    ],
)
def test_a_damaged_voice_says_so(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "voice.json").write_text(content)
    with pytest.raises(ModelError, match="'anna' is damaged"):
        VoiceLibrary(tmp_path).load("anna")
    VoiceLibrary(tmp_path).remove("anna")
    assert not folder.exists()


def test_a_voice_of_a_newer_version_asks_for_an_upgrade(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "voice.json").write_text('{"version": 2}')
    with pytest.raises(ModelError, match="newer version of voxcli"):
        VoiceLibrary(tmp_path).load("anna")


def test_a_voice_without_marks_in_the_names_of_its_clips_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "reference.wav").write_bytes(b"x")
    (folder / "voice.json").write_text('{"version": 1, "name": null, "style": null, "reference": "reference.wav"}')
    assert VoiceLibrary(tmp_path).load_noted("anna") == (Voice(reference=Clip(b"x", "reference.wav")), Notes())


@pytest.mark.parametrize(
    ("voice", "notes"),
    [
        (Voice(style="\udc80"), Notes()),
        (Voice(prompt=Prompt(Clip(b"x"), "\udc80")), Notes()),
        (Voice(), Notes(consent="\udc80")),
    ],
)
def test_half_a_character_is_refused(tmp_path: Path, voice: Voice, notes: Notes) -> None:
    with pytest.raises(RequestError, match="Unicode"):
        VoiceLibrary(tmp_path).save("anna", voice, notes)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_without_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="transcript"):
        VoiceLibrary(tmp_path).save("anna", Voice(prompt=Prompt(Clip(b"x"), " \n")))


def test_what_is_no_voice_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for hidden in (".new-left", "-x"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "voice.json").write_text('{"version": 1}')
    assert VoiceLibrary(tmp_path).names() == []


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match=r"Cannot save the voice .* in"):
        VoiceLibrary(tmp_path / "file").save("anna", ANNA)


def test_a_clip_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", Voice(reference=Clip(b"x", "x.wav")))
    [clip] = (tmp_path / "anna").glob("reference*")
    clip.unlink()
    clip.mkdir()
    with pytest.raises(DeviceError, match="Cannot read the voice 'anna'"):
        library.load("anna")


def test_leftovers_of_the_killed_do_no_harm_and_are_swept(tmp_path: Path) -> None:
    library = VoiceLibrary(tmp_path)
    library.save("anna", ANNA)
    left = tmp_path / ".new-left"
    left.mkdir()
    (left / "reference.wav").write_bytes(b"half")
    (tmp_path / "anna" / f"reference-{os.urandom(4).hex()}.wav").write_bytes(b"half")
    (tmp_path / "anna" / ".voice.json").write_bytes(b"{")
    assert library.names() == ["anna"]
    assert library.load("anna").style == "calm"
    library.save("anna", ANNA, overwrite=True)
    assert not left.exists()
    assert len(list((tmp_path / "anna").iterdir())) == 3
