"""A server speaks in place of this machine: the options and the exit codes."""

import json
import threading
from pathlib import Path

import pytest

from tests.clips import spoken_wav
from tests.engines.remote.replay import Answer, Asked, Replay, Reply, missing, posts, replaying, streamed, whole
from tests.engines.remote.replay import said as document
from tests.engines.remote.sounds import GPT_SOVITS, SOUND, VOXCLI, VOXCPM, sound, spoken, tone, wav
from tests.program import Here, Run, said
from voxcli.audio.format import AudioFormat
from voxcli.protocols.names import PROTOCOLS, WIRE_FORMATS, Dialect


def test_every_dialect_can_be_named() -> None:
    assert tuple(Dialect) == PROTOCOLS


def test_every_format_can_be_asked_for() -> None:
    assert sorted(AudioFormat) == sorted(WIRE_FORMATS)


def test_the_format_on_the_wire_is_asked_for_where_the_dialect_has_a_choice(here: Here) -> None:
    arguments = ("say", "Hello", "-o", "x.wav", "--force", "--wire-format", "flac", "--remote")
    with replaying(posts(sound, VOXCLI)) as server:
        assert here(*arguments, server.url)[0] == 0
        assert here(*arguments, server.url, "--protocol", "openai")[0] == 0
        assert [asked.fields["format"] for asked in server.of("POST")[:1]] == ["flac"]
        assert server.of("POST")[1].json["response_format"] == "flac"
    with replaying(posts(sound, VOXCPM)) as server:
        code, answer = here(*arguments, server.url)
        assert (code, server.of("POST")) == (4, [])
        assert "--wire-format" in answer


def test_a_server_speaks_in_the_dialect_it_has(run: Run, tmp_path: Path) -> None:
    with replaying(posts(sound, VOXCPM)) as server:
        done = run("say", "Hello.", "-o", "x.wav", "--remote", server.url)
        assert done.returncode == 0, said(done)
        (asked,) = server.of("POST")
    assert asked.path == "/api/tts/stream"
    assert spoken(tmp_path / "x.wav") == SOUND.tolist()
    assert "built-in voice" not in said(done)


def test_a_dialect_may_be_named(run: Run) -> None:
    with replaying(sound) as server:
        arguments = ("--protocol", "openai", "--voice", "alloy", "--model", "tts-9", "--extra", "mood=good")
        done = run("say", "Hello", "-o", "x.mp3", "--remote", f"{server.url}/v1", *arguments)
        assert done.returncode == 0, said(done)
        (asked,) = server.asked
    assert asked.path == "/v1/audio/speech"
    assert (asked.json["voice"], asked.json["model"], asked.json["mood"]) == ("alloy", "tts-9", "good")


@pytest.mark.parametrize("protocol", ["gpt-sovits", "auto"])
def test_gpt_sovits_reads_its_recording_from_its_own_disk(run: Run, protocol: str) -> None:
    with replaying(posts(sound, GPT_SOVITS)) as server:
        there = ("--ref-audio", "/on/the/server/ref.wav", "--ref-text", "原文。", "--ref-lang", "zh")
        arguments = ("--remote", server.url, "--protocol", protocol, "--streaming-mode", "2", *there)
        done = run("say", "你好。", "-o", "x.wav", *arguments, env={"VOXCLI_VOICE": "anna"})
        assert done.returncode == 0, said(done)
        (asked,) = server.of("POST")
    assert asked.json["ref_audio_path"] == "/on/the/server/ref.wav"
    assert (asked.json["prompt_text"], asked.json["prompt_lang"]) == ("原文。", "zh")
    assert asked.json["streaming_mode"] == 2


def test_elsewhere_a_recording_is_read_here(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ref.wav").write_bytes(wav(tone(3.0)))
    with replaying(posts(sound, VOXCLI)) as server:
        done = run("say", "Hello.", "-o", "x.wav", "--remote", server.url, "--ref-audio", "ref.wav")
        assert done.returncode == 0, said(done)
        (asked,) = server.of("POST")
        assert asked.fields["reference_audio"].encode("latin-1") == wav(tone(3.0))
        words = ("--ref-audio", "ref.wav", "--ref-text", "Its words.")
        done = run("say", "Hello.", "-o", "y.wav", "--remote", server.url, *words)
        assert done.returncode == 0, said(done)
        asked = server.of("POST")[-1]
        assert asked.fields["prompt_audio"].encode("latin-1") == wav(tone(3.0))
        assert asked.fields["prompt_text"] == "Its words."
        done = run("say", "Hello.", "-o", "z.wav", "--remote", server.url, "--ref-audio", "ref.wav", "--ref-lang", "en")
        assert (done.returncode, len(server.of("POST"))) == (2, 2)


def test_the_same_voice_goes_on_where_the_server_draws_one(run: Run) -> None:
    reply = posts(lambda asked: streamed([wav(tone(4.0))], x_draws_voices="true"), VOXCLI)
    with replaying(reply) as server:
        assert (
            run("say", "This is the first one. That was the second.", "-o", "x.wav", "--remote", server.url).returncode
            == 0
        )
        first, second = server.of("POST")
    assert "prompt_text" not in first.fields
    assert second.fields["prompt_text"] == "This is the first one."


def test_a_server_without_voices_to_draw_is_not_given_one(run: Run) -> None:
    reply = posts(lambda asked: streamed([wav(tone(4.0))], x_draws_voices="false"), VOXCLI)
    with replaying(reply) as server:
        assert (
            run("say", "This is the first one. That was the second.", "-o", "x.wav", "--remote", server.url).returncode
            == 0
        )
        assert ["prompt_text" in asked.fields for asked in server.of("POST")] == [False, False]


@pytest.mark.parametrize(
    "option",
    [
        ["--device", "cpu"],
        ["--dtype", "float32"],
        ["--quantize", "int8"],
        ["--threads", "2"],
        ["--lora", "folder"],
    ],
)
def test_what_is_about_this_machine_is_refused_with_a_server(here: Here, option: list[str]) -> None:
    code, answer = here("say", "hello", "-o", "x.wav", *option, "--remote", "http://127.0.0.1:9")
    assert code == 2
    assert option[0] in answer


@pytest.mark.parametrize(
    "option",
    [
        ["--protocol", "openai"],
        ["--timeout", "5"],
        ["--api-key-file", "x"],
        ["--streaming-mode", "1"],
        ["--wire-format", "mp3"],
        ["--no-stream"],
        ["--extra", "a=b"],
        ["--ref-text", "x"],
    ],
)
def test_what_is_about_a_server_is_refused_without_one(here: Here, option: list[str]) -> None:
    code, answer = here("say", "hello", "-o", "x.wav", *option)
    assert code == 2
    assert option[0] in answer


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--protocol", "opnai"], "Did you mean 'openai'"),
        (["--extra", "a"], "KEY=VALUE"),
        (["--extra", "a=1", "--extra", "a=2"], "twice"),
        (["--no-stream", "--streaming-mode", "2"], "--streaming-mode"),
        (["--remote", "http://user:secret@box"], "voxcli keys set"),
    ],
)
def test_what_makes_no_sense_is_refused(here: Here, option: list[str], words: str) -> None:
    code, answer = here("say", "hello", "-o", "x.wav", "--remote", "http://127.0.0.1:9", *option)
    assert code in (2, 4)
    assert words in answer
    assert "secret" not in answer


def test_what_a_dialect_would_say_wrong_is_refused_by_its_option(here: Here) -> None:
    with replaying(sound) as server:
        arguments = ("--remote", server.url, "--protocol", "openai", "--language", "zh")
        code, answer = here("say", "hello", "-o", "x.wav", *arguments)
        assert (code, server.asked) == (4, [])
        assert "--language" in answer


def test_sampling_that_a_dialect_cannot_say_is_left_out_with_one_warning(here: Here) -> None:
    with replaying(sound) as server:
        arguments = ("--remote", server.url, "--protocol", "openai", "--seed", "7", "--steps", "20")
        code, answer = here("say", "Hello there. How are you?", "-o", "x.wav", *arguments)
        assert code == 0, answer
        assert answer.count("warning") == 1
        assert f"--steps, --seed have no effect on {server.url}" in answer
        assert {"seed", "steps"}.isdisjoint(server.asked[-1].json)


def test_what_was_left_out_is_not_reported_as_used(run: Run) -> None:
    with replaying(sound) as server:
        arguments = ("--remote", server.url, "--protocol", "openai", "--seed", "7", "--steps", "20")
        done = run("say", "Hello there.", "-o", "x.wav", *arguments, "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["seed"], last["steps"]) == ("done", None, None)


def broken(asked: Asked) -> Answer:
    return streamed([wav(tone(1.0))[:20000]], end=False)


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (lambda asked: document({"error": {"message": "who are you"}}, 401), 8, "voxcli keys set"),
        (lambda asked: document({"error": {"message": "not you"}}, 403), 8, "voxcli keys set"),
        (lambda asked: document({"error": {"message": "bad voice"}}, 400), 6, "bad voice"),
        (lambda asked: whole(b"<html><title>Log in</title>", "text/html"), 6, "Log in"),
    ],
)
def test_each_trouble_has_its_exit_code(run: Run, reply: Reply, code: int, words: str) -> None:
    with replaying(reply) as server:
        done = run("say", "hello", "-o", "x.wav", "--remote", server.url, "--protocol", "openai")
        assert done.returncode == code, said(done)
        assert words in said(done)


def test_a_silent_server_is_given_up(run: Run) -> None:
    left = threading.Event()

    def reply(asked: Asked) -> Answer:
        left.wait(20)
        return missing()

    with replaying(reply) as server:
        arguments = ("--remote", server.url, "--protocol", "openai", "--timeout", "0.2")
        done = run("say", "hello", "-o", "x.wav", *arguments)
        left.set()
        assert (done.returncode, len(server.asked)) == (7, 1)
        assert "--timeout" in said(done)


def test_what_came_before_a_cut_is_kept(run: Run, tmp_path: Path) -> None:
    with replaying(broken) as server:
        done = run("say", "hello", "-o", "x.wav", "--remote", server.url, "--protocol", "openai")
        assert len(server.asked) == 1
    assert done.returncode == 6
    assert "0.4 s of audio had arrived" in said(done)
    assert spoken(tmp_path / "x.wav") == tone(1.0)[: (20000 - 44) // 2].tolist()


def test_a_server_that_is_not_there_is_told_at_once(run: Run) -> None:
    replay = Replay(lambda asked: missing())
    replay.close()
    done = run("say", "hello", "-o", "x.wav", "--remote", replay.url)
    assert done.returncode == 6
    assert "Trying again" not in said(done)
    assert f"error: Cannot reach {replay.url}" in said(done)


def test_clone_and_say_on_a_server(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    with replaying(posts(sound, VOXCPM)) as server:
        recording = ("--prompt", "ref.wav", "--prompt-text", "What is said.")
        done = run("clone", *recording, "你好", "-o", "x.wav", "--remote", server.url)
        assert done.returncode == 0, said(done)
        (asked,) = server.of("POST")
    assert asked.fields["prompt_text"] == "What is said."
    assert asked.fields["prompt_audio"].startswith("RIFF")


def test_the_voices_of_a_server_are_listed(run: Run) -> None:
    listing = {"voices": [{"id": "anna", "description": "calm", "text": "x"}, {"id": "默认", "description": ""}]}

    def reply(asked: Asked) -> Answer:
        return document(listing) if asked.path == "/api/voices" else posts(sound, VOXCPM)(asked)

    with replaying(reply) as server:
        done = run("voices", "list", "--remote", server.url)
        assert [line.split() for line in done.stdout.decode().splitlines()] == [
            ["VOICE", "ABOUT"],
            ["anna", "calm"],
            ["默认"],
        ]
        listed = json.loads(run("voices", "list", "--remote", server.url, "--json").stdout)
        assert listed == [{"name": "anna", "title": "calm"}, {"name": "默认", "title": ""}]


def test_a_server_that_does_not_list_its_voices_is_named(run: Run) -> None:
    with replaying(posts(sound, GPT_SOVITS)) as server:
        done = run("voices", "list", "--remote", server.url)
        assert done.returncode == 3
        assert server.url in said(done)
