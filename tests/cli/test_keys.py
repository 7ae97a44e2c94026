"""Keys of servers: kept where nobody else reads them, sent where they belong, and never shown."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.engines.remote.replay import Answer, Asked, posts, replaying, streamed
from tests.engines.remote.sounds import VOXCLI, tone, wav
from tests.program import Run, said
from tests.screen import run_on_terminal


def sound(asked: Asked) -> Answer:
    return streamed([wav(tone())])


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"])


@pytest.fixture
def keys(home: Path) -> Path:
    return home / "keys.json"


def test_a_key_is_kept_and_sent_and_forgotten(run: Run, keys: Path) -> None:
    with replaying(posts(sound, VOXCLI)) as server:
        done = run("keys", "set", server.url, stdin=b" sk-secret \nmore\n")
        assert done.returncode == 0, said(done)
        assert server.url in said(done)
        assert "sk-secret" not in said(done)
        assert keys.stat().st_mode & 0o777 == 0o600
        assert json.loads(keys.read_bytes()) == {server.url: "sk-secret"}
        done = run("say", "Hello", "-o", "x.wav", "--verbose", "--remote", server.url)
        assert done.returncode == 0, said(done)
        assert "sk-secret" not in said(done)
        assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer sk-secret"}
        assert run("keys", "list").stdout.decode().split() == [server.url]
        assert run("keys", "rm", server.url).returncode == 0
        assert run("keys", "list").stdout == b""
        run("say", "Hello", "-o", "y.wav", "--remote", server.url)
        assert "authorization" not in server.asked[-1].headers


def test_a_key_is_asked_for_without_being_shown(environment: dict[str, str], keys: Path) -> None:
    command = [sys.executable, "-m", "voxcli", "keys", "set", "https://api.example/v1"]
    code, shown = run_on_terminal(command, environment, {b"Key for https://api.example:": b"sk-typed\n"})
    assert code == 0
    assert "sk-typed" not in shown
    assert json.loads(keys.read_bytes()) == {"https://api.example": "sk-typed"}


def test_a_key_belongs_to_an_address_and_not_to_a_name(run: Run, home: Path, tmp_path: Path) -> None:
    """Otherwise a settings file that comes with somebody's project could have it sent elsewhere."""
    with replaying(posts(sound, VOXCLI)) as server, replaying(posts(sound, VOXCLI)) as stranger:
        (home / "voxcli.toml").write_text(f'[remote.box]\nurl = "{server.url}"\n')
        assert run("keys", "set", "box", stdin=b"sk-secret\n").returncode == 0
        (tmp_path / "voxcli.toml").write_text(f'[remote.box]\nurl = "{stranger.url}"\n')
        assert run("say", "Hello", "-o", "x.wav", "--remote", "box").returncode == 0
        assert all("authorization" not in asked.headers for asked in stranger.asked)
        (tmp_path / "voxcli.toml").unlink()
        assert run("say", "Hello", "-o", "y.wav", "--remote", "box").returncode == 0
        assert server.asked[-1].headers["authorization"] == "Bearer sk-secret"


def test_the_strongest_source_of_a_key_wins(run: Run, tmp_path: Path) -> None:
    def sent(*arguments: str, env: dict[str, str] | None = None) -> str | None:
        run("say", "Hello", "-o", "x.wav", "--force", "--remote", server.url, *arguments, env=env)
        return server.asked[-1].headers.get("authorization")

    (tmp_path / "key").write_text("# of the file\n\n  sk-file  \n")
    with replaying(posts(sound, VOXCLI)) as server:
        run("keys", "set", server.url, stdin=b"sk-kept\n")
        assert sent() == "Bearer sk-kept"
        assert sent(env={"VOXCLI_API_KEY": "sk-env"}) == "Bearer sk-env"
        assert sent("--api-key-file", "key", env={"VOXCLI_API_KEY": "sk-env"}) == "Bearer sk-file"


def test_a_key_opens_what_lies_below_its_address_and_nothing_beside_it() -> None:
    from voxcli.cli.settings.api_keys import find_key

    keys = {"http://box": "short", "http://box/deep": "long", "https://other:1": "x"}
    assert find_key(keys, "http://box") == "short"
    assert find_key(keys, "http://box/v1") == "short"
    assert find_key(keys, "http://box/deep/v1") == "long"
    assert find_key(keys, "http://boxer") is None
    assert find_key(keys, "https://box") is None
    assert find_key(keys, "https://other:12") is None


def test_keys_that_others_can_read_are_not_used(run: Run, keys: Path) -> None:
    run("keys", "set", "http://box", stdin=b"sk-secret\n")
    keys.chmod(0o640)
    for arguments in (["keys", "list"], ["say", "Hello", "-o", "x.wav", "--remote", "http://127.0.0.1:9"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert f"chmod 600 {keys}" in said(done)
        assert "sk-secret" not in said(done)


@pytest.mark.parametrize("stdin", [b"", b"\n", b"two words\n", "schlüssel\n".encode(), b"\x1b[0m\n"])
def test_what_is_no_key_is_not_kept(run: Run, keys: Path, stdin: bytes) -> None:
    assert run("keys", "set", "http://box", stdin=stdin).returncode == 2
    assert not keys.exists()


def test_a_name_that_nobody_knows_is_told(run: Run) -> None:
    done = run("keys", "set", "box", stdin=b"sk-secret\n")
    assert done.returncode == 3
    assert "[remote.box]" in said(done)
    done = run("keys", "rm", "http://box")
    assert done.returncode == 3
    assert "voxcli keys list" in said(done)


@pytest.mark.parametrize("content", ["{", "[]", '{"http://box": 7}'])
def test_a_damaged_key_file_is_named(run: Run, keys: Path, content: str) -> None:
    keys.touch(0o600)
    keys.write_text(content)
    done = run("keys", "list")
    assert done.returncode == 2
    assert "keys.json" in said(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(run: Run, home: Path) -> None:
    home.chmod(0o500)
    done = run("keys", "set", "http://box", stdin=b"sk-secret\n")
    home.chmod(0o700)
    assert done.returncode == 5
