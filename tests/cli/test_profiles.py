"""Servers with their settings, as a settings file names them."""

import json
from pathlib import Path

import pytest

from tests.engines.remote.replay import posts, replaying
from tests.engines.remote.sounds import GPT_SOVITS, SOUND, VOXCLI, sound, spoken
from tests.program import Here, Run, said


@pytest.fixture
def settings(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"]) / "voxcli.toml"


def test_a_profile_brings_its_settings(run: Run, settings: Path) -> None:
    with replaying(sound) as server:
        settings.write_text(
            'model = "voxcpm-2"\nspeed = 3.0\nvoice = "anna"\n'
            f'[remote.box]\nurl = "{server.url}"\nprotocol = "openai"\nvoice = "nova"\nmodel = "tts-7"\nspeed = 2\n'
        )
        assert run("say", "Hello", "-o", "x.wav", "--remote", "box").returncode == 0
        done = run("say", "Hello", "-o", "y.wav", "--remote", "box", "--voice", "echo", env={"VOXCLI_SPEED": "1.5"})
        assert done.returncode == 0, said(done)
        first, second = (asked.json for asked in server.asked)
    assert (first["voice"], first["model"], first["speed"]) == ("nova", "tts-7", 2.0)
    assert (second["voice"], second["model"], second["speed"]) == ("echo", "tts-7", 1.5)


@pytest.mark.parametrize("command", [("say", "你好。", "-o", "x.wav", "--force"), ("bench", "你好。", "--runs", "1")])
def test_a_profile_may_hold_a_recording_of_gpt_sovits(run: Run, settings: Path, command: tuple[str, ...]) -> None:
    with replaying(posts(sound, GPT_SOVITS)) as server:
        settings.write_text(
            f'[remote.sovits]\nurl = "{server.url}"\nref-audio = "/there/ref.wav"\nref-text = "原文。"\n'
            'ref-lang = "zh"\n'
        )
        for more in ((), ("--ref-audio", "/there/other.wav"), ("--voice", "anna")):
            done = run(*command, "--remote", "sovits", *more)
            assert done.returncode == 0, said(done)
        paths = list(dict.fromkeys(asked.json["ref_audio_path"] for asked in server.of("POST")))
        assert paths == ["/there/ref.wav", "/there/other.wav", "anna"]
        assert server.of("POST")[0].json["prompt_text"] == "原文。"
        listed = json.loads(run("config", "profiles", "--json").stdout)
        assert listed[0]["settings"]["ref_audio"] == "/there/ref.wav"


def test_a_model_in_the_settings_is_for_this_machine(run: Run, settings: Path) -> None:
    with replaying(sound) as server:
        settings.write_text('model = "voxcpm-2"\nthreads = 2\n')
        done = run("say", "Hello", "-o", "x.wav", "--remote", server.url, "--protocol", "openai")
        assert done.returncode == 0, said(done)
        assert server.asked[0].json["model"] == "tts-1"


def test_the_server_that_speaks_by_default_is_a_setting(run: Run, settings: Path, tmp_path: Path) -> None:
    with replaying(posts(sound, VOXCLI)) as server:
        for text in (
            f'model = "voxcpm-2"\nremote = "{server.url}"',
            f'[remote]\ndefault = "box"\n[remote.box]\nurl = "{server.url}"',
        ):
            settings.write_text(text)
            assert run("say", "Hello", "-o", "x.wav", "--force").returncode == 0
        assert len(server.of("POST")) == 2
        assert run("say", "Hello", "-o", "here.wav", "--remote", "").returncode == 0
        assert len(server.of("POST")) == 2
    assert spoken(tmp_path / "x.wav") == SOUND.tolist() != spoken(tmp_path / "here.wav")


def test_profiles_are_listed(run: Run, settings: Path, tmp_path: Path) -> None:
    settings.write_text('[remote.box]\nurl = "box:7861"\nvoice = "anna"\n[remote.old]\nurl = "http://old/"\n')
    (tmp_path / "voxcli.toml").write_text('[remote.old]\nurl = "https://new/v1"\n')
    listed = json.loads(run("config", "profiles", "--json").stdout)
    assert listed == [
        {"name": "box", "url": "http://box:7861", "settings": {"voice": "anna"}, "origin": str(settings)},
        {"name": "old", "url": "https://new/v1", "settings": {}, "origin": "voxcli.toml"},
    ]
    assert ["box", "http://box:7861", "voice", "anna"] in [
        line.split()[:4] for line in run("config", "profiles").stdout.decode().splitlines()
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[remote.box]\nvoice = "x"', ["voxcli.toml", "remote.box", "url"]),
        ('[remote.box]\nurl = "ftp://box"', ["voxcli.toml", "remote.box", "ftp"]),
        ('[remote.box]\nurl = "box:1"\nvoise = "x"', ["remote.box", "'voise'", "Did you mean 'voice'"]),
        ('[remote.box]\nurl = "box:1"\nremote = "y"', ["remote.box", "'remote'"]),
        ('[remote.box]\nurl = "box:1"\nspeed = 99', ["remote.box", "'speed'"]),
        ("remote = 7", ["voxcli.toml", "remote"]),
        ("[remote]\nother = 7", ["voxcli.toml", "remote"]),
        ('[remote.bux]\nurl = "box:1"', ["Unknown server profile 'box'", "Did you mean 'bux'", "[remote.box]"]),
        ("", ["Unknown server profile 'box'", "http://box:7861"]),
    ],
)
def test_a_wrong_profile_is_named(here: Here, tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "voxcli.toml").write_text(content)
    code, answer = here("say", "hello", "-o", "x.wav", "--remote", "box")
    assert code == (3 if "Unknown server profile 'box'" in words else 2)
    for word in words:
        assert word in answer


def test_a_broken_profile_does_not_stop_the_others(run: Run, settings: Path) -> None:
    with replaying(sound) as server:
        settings.write_text(
            f'[remote.broken]\nvoice = "x"\n[remote.box]\nurl = "{server.url}"\nprotocol = "openai"\nspeed = 2\n'
        )
        done = run("say", "Hello", "-o", "x.wav", "--remote", "box")
        assert done.returncode == 0, said(done)
    listed = run("config", "profiles", "--json")
    assert [profile["name"] for profile in json.loads(listed.stdout)] == ["box"]
    assert "[remote.broken]: url is missing" in said(listed)


def test_several_servers_share_their_settings_or_are_refused(here: Here, settings: Path) -> None:
    arguments = ("say", "Hello", "-o", "x.wav", "--force")
    with replaying(posts(sound, VOXCLI)) as one, replaying(posts(sound, VOXCLI)) as other:
        settings.write_text(
            f'[remote.one]\nurl = "{one.url}"\nlanguage = "en"\n[remote.two]\nurl = "{other.url}"\nlanguage = "en"\n'
            f'[remote.three]\nurl = "{other.url}"\n'
        )
        for _ in range(2):
            assert here(*arguments, "--remote", "one", "--remote", "two")[0] == 0
        assert len(one.of("POST")) + len(other.of("POST")) == 2
        assert all(asked.fields["language"] == "en" for server in (one, other) for asked in server.of("POST"))
        for named, word in ((("one", "three"), "'language'"), (("one", one.url), "twice"), (("", "one"), "no server")):
            code, answer = here(*arguments, *(part for name in named for part in ("--remote", name)))
            assert (code, word in answer) == (2, True), answer
        code, answer = here("voices", "list", "--remote", "one", "--remote", "two")
        assert (code, "one server" in answer) == (2, True), answer
