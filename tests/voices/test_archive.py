"""Voices as files to pass on."""

import json
import stat
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.format import MAX_BYTES
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import Notes, VoiceLibrary
from voxcli.voices.archive import pack, unpack

NOTES = Notes(consent="Anna said yes.", created="2025-12-31", voxcli="0.1.0")
ANNA = Voice(style="calm", prompt=Prompt(Clip(b"RIFF and more", "prompt.wav"), "你好"))

texts = st.text(st.characters(codec="utf-8"))
suffixes = st.sampled_from(["", ".wav", ".mp3"])
names = st.from_regex(r"[a-zé王][a-zé王 ._-]{0,20}[a-z]", fullmatch=True).filter(
    lambda name: name[:3] not in ("con", "nul")
)


def clips(role: str) -> st.SearchStrategy[Clip]:
    return st.builds(lambda data, suffix: Clip(data, role + suffix), st.binary(max_size=100), suffixes)


voices = st.builds(
    Voice,
    name=st.none() | texts,
    style=st.none() | texts,
    reference=st.none() | clips("reference"),
    prompt=st.none() | st.builds(Prompt, clips("prompt"), texts.filter(str.strip)),
)


def archive_of(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def description(**fields: object) -> bytes:
    return json.dumps({"version": 1, **fields}).encode()


notes_on_them = st.builds(Notes, **dict.fromkeys(["consent", "created", "voxcli"], st.none() | texts))


@given(name=names, voice=voices, notes=notes_on_them)
def test_what_is_packed_is_unpacked_and_the_same_gives_the_same_bytes(name: str, voice: Voice, notes: Notes) -> None:
    packed = pack(name, voice, notes)
    assert unpack(packed) == (name, voice, notes)
    assert pack(*unpack(packed)) == packed


def test_a_library_gives_what_another_one_took(tmp_path: Path) -> None:
    here, there = VoiceLibrary(tmp_path / "here"), VoiceLibrary(tmp_path / "there")
    here.save("Anna", ANNA, NOTES)
    there.save(*unpack(pack("Anna", *here.load_noted("Anna"))))
    assert there.load_noted("anna") == here.load_noted("anna") == (ANNA, NOTES)
    assert pack("Anna", *there.load_noted("anna")) == pack("Anna", ANNA, NOTES)


def test_an_archive_unpacked_by_hand_is_a_voice_of_the_library(tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(pack("王小明", ANNA))) as archive:
        archive.extractall(tmp_path)
    assert VoiceLibrary(tmp_path).load("王小明") == ANNA


def test_an_archive_packed_by_hand_is_welcome() -> None:
    files = {
        "anna/": b"",
        "anna/prompt.wav": b"RIFF" * 100,
        "anna/voice.json": description(prompt="prompt.wav", transcript="x"),
    }
    name, voice, notes = unpack(archive_of(files, zipfile.ZIP_DEFLATED))
    assert (name, notes) == ("anna", Notes())
    assert voice == Voice(prompt=Prompt(Clip(b"RIFF" * 100, "prompt.wav"), "x"))


@pytest.mark.parametrize("name", ["../evil", "..", "/etc", "C:", "a\\b", "a/b", "", ".hidden", "con", "a\x01b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"cannot be called|not an exported voice"):
        unpack(archive_of({f"{name}/voice.json": description()}))


@pytest.mark.parametrize("clip", ["../../etc/passwd", "/etc/passwd", "anna/reference.wav", "voice.json", "C:x"])
def test_a_clip_that_lies_elsewhere_is_refused(clip: str) -> None:
    files = {"anna/voice.json": description(reference=clip), f"anna/{clip}": b"x", clip: b"x"}
    with pytest.raises(RequestError, match="damaged"):
        unpack(archive_of(files))


@pytest.mark.parametrize("more", ["anna/notes.txt", "../x", "anna/reference.wav", "bob/voice.json"])
def test_more_than_a_voice_is_refused(more: str) -> None:
    with pytest.raises(RequestError, match="contains other files"):
        unpack(archive_of({"anna/voice.json": description(), more: b"x"}))


def test_a_file_that_is_there_twice_is_refused() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("anna/voice.json", description())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("anna/voice.json", description(style="other"))
    with pytest.raises(RequestError, match="contains other files"):
        unpack(packed.getvalue())


def test_a_link_is_refused() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("anna/voice.json", description(reference="reference.wav"))
        link = zipfile.ZipInfo("anna/reference.wav")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RequestError, match="is a symbolic link"):
        unpack(packed.getvalue())


@pytest.mark.parametrize("said", [None, 10])
def test_a_bomb_is_read_no_further_than_a_clip_may_go(said: int | None) -> None:
    files = {"anna/voice.json": description(reference="reference.wav"), "anna/reference.wav": bytes(MAX_BYTES + 1)}
    bomb = archive_of(files, zipfile.ZIP_DEFLATED)
    assert len(bomb) < MAX_BYTES / 500
    if said is not None:  # in both headers of the clip
        bomb = bomb.replace(struct.pack("<L", MAX_BYTES + 1), struct.pack("<L", said))
    with pytest.raises(RequestError, match=r"larger than|damaged"):
        unpack(bomb)


def test_a_table_of_contents_without_end_is_not_read() -> None:
    packed = archive_of({f"anna/{number}": b"" for number in range(2000)})
    with pytest.raises(RequestError, match="too many files"):
        unpack(packed)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"RIFF....WAVE", bytes(1000), archive_of({}), archive_of({"readme.txt": b"x"}), b"PK\5\6" + bytes(18)],
)
def test_a_foreign_file_is_named_as_such(content: bytes) -> None:
    with pytest.raises(RequestError, match=r"^ref\.zip is not an exported voice"):
        unpack(content, label="ref.zip")


def test_a_newer_version_asks_for_an_upgrade() -> None:
    with pytest.raises(RequestError, match="newer version of voxcli"):
        unpack(archive_of({"anna/voice.json": json.dumps({"version": 2}).encode()}))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 100_000, description(style=1), description(consent=["x"]), bytes(2 << 20)]
)
def test_a_damaged_description_is_refused(content: bytes) -> None:
    with pytest.raises(RequestError):
        unpack(archive_of({"anna/voice.json": content}))


@given(data=st.data())
def test_a_damaged_archive_is_refused_or_gives_a_voice(data: st.DataObject) -> None:
    packed = bytearray(pack("anna", ANNA))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=4)):
        packed[place] = data.draw(st.integers(0, 255))
    try:
        name, voice, _ = unpack(bytes(packed))
    except RequestError:
        return
    assert name
    assert voice.prompt


@given(cut=st.integers(0, len(pack("anna", ANNA)) - 1))
def test_an_archive_that_breaks_off_is_refused(cut: int) -> None:
    with pytest.raises(RequestError):
        unpack(pack("anna", ANNA)[:cut])
