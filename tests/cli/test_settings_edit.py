"""One setting written, all others left as they stand."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.cli.settings.edit import edit_settings, with_setting
from voxcli.errors import DeviceError, RequestError

LINES = st.sampled_from(
    [
        "# a note",
        "",
        "speed = 1.5",
        "  model='espeak' # why",
        "\t",
        'text = """',
        'voice = "not this one"',
        '"""',
        "other = '''",
        "'''",
        "voice = 'bob'   # a friend",
        '"voice" = "bob"',
        "[table]",
        "volume = 2",
        "voices = 1",
    ]
)
VALUES = st.text("abz王é .-_+\"'\\#=[\t", max_size=8)


@given(lines=st.lists(LINES, max_size=9), end=st.sampled_from(["\n", "\r\n"]), value=st.none() | VALUES)
def test_only_the_one_setting_changes(lines: list[str], end: str, value: str | None) -> None:
    text = end.join(lines)
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(tomllib.TOMLDecodeError):
            with_setting(text, "voice", value)
        return
    edited = with_setting(text, "voice", value)
    expected = {key: kept for key, kept in before.items() if key != "voice"}
    assert tomllib.loads(edited) == (expected if value is None else expected | {"voice": value})
    assert with_setting(edited, "voice", value) == edited
    assert other_lines(edited) == other_lines(text)


def other_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and "voice" not in line]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'voice = "anna"\n'),
        ("speed = 2", 'speed = 2\nvoice = "anna"\n'),
        ("speed = 2\r\n", 'speed = 2\r\nvoice = "anna"\r\n'),
        ("voice='bob' # a friend\n# the end", 'voice="anna" # a friend\n# the end'),
        ("[table]\nx = 1\n", 'voice = "anna"\n[table]\nx = 1\n'),
        ("voice = 3\n", 'voice = "anna"\n'),
        ('voice = "anna"', 'voice = "anna"'),
    ],
)
def test_a_setting_is_written_where_it_belongs(before: str, after: str) -> None:
    assert with_setting(before, "voice", "anna") == after


@pytest.mark.parametrize("value", ['"""bob"""', "'''\nbob'''", "[1, 2]", "{x = 1}"])
def test_what_cannot_be_changed_safely_is_left_alone(tmp_path: Path, value: str) -> None:
    path = tmp_path / "voxcli.toml"
    path.write_text(f"voice = {value}\n")
    with pytest.raises(RequestError, match='write there: voice = "anna"'):
        edit_settings(path, "voice", "anna")
    assert path.read_text() == f"voice = {value}\n"


def test_a_table_of_that_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "voxcli.toml"
    path.write_text("[voice]\nx = 1\n")
    with pytest.raises(RequestError, match="cannot be changed safely"):
        edit_settings(path, "voice", None)
    assert path.read_text() == "[voice]\nx = 1\n"


@pytest.mark.parametrize("content", [b"voice =", b"\xff", b"\xef\xbb\xbfspeed = 1", b"a = 1\na = 2"])
def test_a_file_that_is_no_settings_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "voxcli.toml"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="cannot be changed safely"):
        edit_settings(path, "voice", "anna")
    assert path.read_bytes() == content


def test_a_link_and_its_permissions_stay(tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles.toml"
    dotfiles.write_text("speed = 2\n")
    dotfiles.chmod(0o640)
    link = tmp_path / "voxcli.toml"
    link.symlink_to(dotfiles)
    edit_settings(link, "voice", "王小明")
    assert link.is_symlink()
    assert dotfiles.read_text("utf-8") == 'speed = 2\nvoice = "王小明"\n'
    assert dotfiles.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in tmp_path.iterdir()} == {"dotfiles.toml", "voxcli.toml"}


def test_the_folder_is_made(tmp_path: Path) -> None:
    edit_settings(tmp_path / "new" / "voxcli.toml", "voice", "anna")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["voxcli.toml"]
    edit_settings(tmp_path / "none" / "voxcli.toml", "voice", None)
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="Cannot write"):
        edit_settings(tmp_path / "file" / "voxcli.toml", "voice", "anna")
