"""Mistakes on the command line are explained in one style, and words of other programs are understood."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.program import PATIENCE_SECONDS, Here, Run, said, started
from tests.screen import run_on_terminal
from voxcli.cli.app import app
from voxcli.cli.exits import ExitCode, exit_code
from voxcli.cli.parser import other_programs
from voxcli.cli.parser.command_line import understood
from voxcli.errors import RemoteRefused, did_you_mean


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--keep-alive", "5m"], ["There is no option --keep-alive.", "voxcli serve has --idle-seconds"]),
        (["say", "--hlep"], ["There is no option --hlep. Did you mean --help?", "voxcli say --help"]),
        (["say", "hi", "--extr", "a=b"], ["Did you mean --extra?"]),
        (["say", "hi", "--norm"], ["Did you mean --normalize?"]),
        (["say", "hi", "--speed", "fast"], ["Not a number: --speed fast (0.25 to 4)."]),
        (["say", "hi", "--speed", "160"], ["Out of range: --speed 160 (0.25 to 4).", "--speed 0.91"]),
        (["say", "hi", "--speed", "nan"], ["--speed nan (0.25 to 4)"]),
        (["say", "hi", "--seed", "1.5"], ["Not a whole number: --seed 1.5"]),
        (["say", "hi", "-o"], ["-o needs a value: -o FILE."]),
        (["say", "hi", "--quiet=true"], ["--quiet takes no value"]),
        (["say", "--quiet", "true"], ["--quiet takes no value", "leave the value out"]),
        (["say", "hi", "--play", "false"], ["--play takes no value", "write --no-play"]),
        (["say", "-5 degrees"], ['voxcli say -- "-5 degrees"']),
        (["say", "- an item"], ['voxcli say -- "- an item"']),
        (["models", "pull", "voxcpm-2", "--from", "hugingface"], ["Unknown value: --from hugingface", "'huggingface'"]),
        (["models", "show"], ["MODEL is missing, as in: voxcli models show MODEL"]),
        (["keys", "rm", "a", "b"], ["Too many arguments: b.", "voxcli keys rm --help"]),
        (["voices", "delete", "anna"], ["Did you mean 'rm'? As in: voxcli voices rm anna"]),
        (["convert", "x.txt"], ["voxcli batch LIST -d FOLDER"]),
        (["Hello world"], ['voxcli say "Hello world"']),
        (["--voice", "en"], ["It is an option of a command, as in: voxcli say --voice"]),
        (["rm", "anna"], ["voxcli voices rm anna", "voxcli models rm anna"]),
        (["list"], ["voxcli voices", "voxcli models"]),
        (["Hello"], ['To speak a text: voxcli say "Hello".']),
        (["models", "use", "x"], ["voxcli say --model x"]),
        (["config", "set", "speed", "2"], ["voxcli.toml"]),
        (["voices", "rm"], ["NAME is missing, as in: voxcli voices rm NAME."]),
        (["say", "hi", "--seed", "-1"], ["Out of range: --seed -1 (at least 0)."]),
        (["serve", "--insecure", "--api-key-file", "k"], ["--insecure contradicts --api-key-file"]),
        (["say", "hi", "--list-voices"], ["voxcli voices"]),
        (["say", "hi", "--rate", "200"], ["words per minute", "--speed 1.1"]),
        (["say", "hi", "--stability", "0.5"], ["--cfg"]),
    ],
)
def test_a_mistake_is_explained(here: Here, arguments: list[str], words: list[str]) -> None:
    code, answer = here(*arguments)
    assert code == 2, answer
    assert answer.startswith("error: ")
    for word in words:
        assert word in answer


def test_a_variable_is_named_as_it_is_written(run: Run) -> None:
    done = run("say", "hi", "-o", "x.wav", env={"VOXCLI_SPEED": "fast"})
    assert done.returncode == 2
    assert said(done) == "error: Not a number: VOXCLI_SPEED=fast (0.25 to 4)."


@pytest.mark.parametrize(
    "arguments", [["say", "hi", "--speed", "fast"], ["voices", "list", "--nonsense"], ["nonsense"]]
)
def test_with_json_a_mistake_is_an_event(run: Run, arguments: list[str]) -> None:
    done = run(*arguments, "--json")
    assert done.returncode == 2
    assert done.stderr == b""
    event = json.loads(done.stdout)
    assert (event["event"], event["code"]) == ("error", 2)
    assert event["message"]


def test_events_stay_away_from_sound(run: Run) -> None:
    done = run("say", "hi", "-o", "-", "--json", "--speed", "fast")
    assert done.stdout == b""
    assert json.loads(done.stderr)["code"] == 2


def command_of(*names: str) -> tuple[Any, typer.Context]:
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="voxcli")
    for name in names:
        command = command.commands[name]
        context = typer.Context(command, info_name=name, parent=context)
    return command, context


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("x --control calm --cfg-value 2 --inference-timesteps 5", "x --instruct calm --cfg 2 --steps 5"),
        ("x --cfg_value=2 --output_path o.wav", "x --cfg 2 --output o.wav"),
        ("x --write-media o.mp3 --rate +50% --volume -20%", "x --output o.mp3 --speed 1.5 --volume 0.8"),
        ("x --length-scale 2 --sentence_silence 0.3", "x --speed 0.5 --gap 0.3"),
        ("x -w o.wav --stdout -y", "x --output o.wav --output - --force"),
        ("-ra ref.wav --speaker anna --cuda --stream", "--ref-audio ref.wav --voice anna --device cuda"),
        ("-pa ref.wav -pt words", "--prompt-audio ref.wav --prompt-text words"),
        ("--instruct --control -- --rate 5", "--instruct --control -- --rate 5"),
        ("x --voice anna", "x --voice anna"),
    ],
)
def test_words_of_other_programs_become_ours(theirs: str, ours: str) -> None:
    assert understood(*command_of("say"), theirs.split()) == ours.split()


def test_every_word_of_another_program_stands_for_an_option_that_exists() -> None:
    options = {
        name
        for names in (["say"], ["clone"], ["serve"], ["bench"], ["models", "pull"])
        for param in command_of(*names)[0].params
        for name in param.opts
    }
    assert set(other_programs.SAME.values()) <= options
    assert {words[0] for words in other_programs.FLAGS.values() if words} <= options
    assert not set(other_programs.SAME) & set(other_programs.HINTS)


def test_every_command_of_another_program_stands_for_one_that_exists() -> None:
    commands = command_of()[0].commands
    for words in other_programs.COMMANDS.values():
        assert words[0] in commands or words[0] == "--version"
        if words[0] in ("models", "voices") and len(words) > 1:
            assert words[1] in commands[words[0]].commands
    assert not set(other_programs.COMMANDS) & set(commands)
    assert not set(other_programs.COMMAND_HINTS) & set(commands)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(["list-voices"], ["voices"]), (["voices", "ls"], ["voices", "list"]), (["--list-voices"], ["voices"])],
)
def test_commands_of_other_programs_do_the_same(run: Run, theirs: list[str], ours: list[str]) -> None:
    assert run(*theirs).stdout == run(*ours).stdout != b""


def test_text_is_spoken_as_other_programs_take_it(run: Run, tmp_path: Path) -> None:
    assert run("say", "Hello, world", "-o", "ours.wav").returncode == 0
    done = run("tts", "--text", "Hello, world", "--output-path", "theirs.wav")
    assert done.returncode == 0, said(done)
    assert (tmp_path / "ours.wav").read_bytes() == (tmp_path / "theirs.wav").read_bytes()


def test_an_option_given_twice_is_a_warning(run: Run) -> None:
    done = run("say", "hello", "-o", "x.wav", "--voice", "en-us", "-v", "fr")
    assert done.returncode == 0
    assert "-v is given twice: fr counts, en-us does not." in said(done)
    assert "twice" not in said(run("say", "hello", "-o", "y.wav", "--voice", "fr", "-v", "fr"))


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("shrot", ["short", "medium"], "short"),
        ("helo", ["hello", "help"], "hello"),
        ("Voxcpm2", ["voxcpm-2", "voxcpm-1.5"], "voxcpm-2"),
        ("lang", ["language", "lazy"], "language"),
        ("text", ["extra", "text-file-name"], "text-file-name"),
        ("batch", ["bench", "say"], None),
        ("delete", ["default", "rm"], None),
        ("french", ["fr-ch", "fr"], None),
        ("x", ["y"], None),
    ],
)
def test_only_what_is_near_is_suggested(name: str, names: list[str], meant: str | None) -> None:
    assert did_you_mean(name, names) == (f" Did you mean '{meant}'?" if meant else "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--min-len", "50", "--max-len", "10", "-o", "x.wav"], "--min-len 50 is more than --max-len 10."),
        (["--format", "mp3"], "--format is the format of -o"),
        (["--audio-device", "hall", "-o", "x.wav"], "--audio-device has no effect without --play"),
        (["--quiet", "--verbose", "-o", "x.wav"], "--quiet contradicts --verbose"),
        (["-f", "x.wav"], "To write x.wav: -o x.wav"),
    ],
)
def test_options_that_contradict_each_other_are_refused(here: Here, arguments: list[str], words: str) -> None:
    code, answer = here("say", "hello", *arguments)
    assert code == 2
    assert words in answer


def test_a_loudspeaker_in_the_settings_does_not_stand_in_the_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text('audio-device = "hall"\nplay = false\nquiet = true\n')
    assert run("say", "hello", "-o", "x.wav", "--verbose").returncode == 0


def test_several_files_are_spoken_in_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The first text.")
    (tmp_path / "b.md").write_text("The **second** text.\n")
    done = run("say", "-f", "a.txt", "-f", "-", "-f", "b.md", "-o", "x.wav", "--verbose", stdin=b"The middle.")
    assert done.returncode == 0, said(done)
    first, middle, second = (said(done).index(text) for text in ("first text", "middle", "The second text"))
    assert first < middle < second
    assert run("say", "-f", "a.txt", "-f", "missing.txt", "-o", "y.wav").returncode == 4
    assert run("say", "-f", "-", "-f", "-", "-o", "y.wav").returncode == 2


def test_the_name_of_a_file_is_not_spoken_by_mistake(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("What is in it.")
    done = run("say", "notes.txt", "-o", "x.wav")
    assert done.returncode == 2
    assert "-f notes.txt" in said(done)
    assert run("say", "--text", "notes.txt", "-o", "x.wav").returncode == 0
    assert run("say", "other.txt", "-o", "y.wav").returncode == 0


def test_a_redirected_output_gets_a_note_and_no_sound(tmp_path: Path, environment: dict[str, str]) -> None:
    def run_into(name: str, *arguments: str) -> tuple[bytes, bytes]:
        with (tmp_path / name).open("wb") as file:
            command = [sys.executable, "-m", "voxcli", "say", "hello", *arguments]
            with started(command, environment, (None, file.fileno(), subprocess.PIPE)) as process:
                _, words = process.communicate(timeout=PATIENCE_SECONDS)
        return (tmp_path / name).read_bytes(), words

    assert b"add -o -" in run_into("x.wav")[1]
    sound, messages = run_into("y.wav", "-o", "-")
    assert sound.startswith(b"RIFF")
    assert b"add -o -" not in messages


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--device", "gpu"], 2, "Unknown value: --device gpu. Did you mean 'cuda'?"),
        (["--device", "cuda:x"], 2, "cuda:N"),
        (["--dtype", "fp16"], 2, "Did you mean 'float16'?"),
        (["--quantize", "int4"], 2, "Did you mean 'int8'?"),
        (["--remote", "ftp://x"], 2, "Not the address of a server: 'ftp://x'"),
        (["--language", "klingonish"], 3, "does not speak 'klingonish'"),
        (["--language", "frensh"], 3, "Did you mean 'french'?"),
        (["--voice", "nonesuch"], 3, "no voice 'nonesuch'"),
    ],
)
def test_exit_codes_are_those_of_the_table(here: Here, arguments: list[str], code: int, words: str) -> None:
    found, answer = here("say", "hello", "-o", "x.wav", *arguments)
    assert found == code, answer
    assert words in answer


@pytest.mark.parametrize("name", ["french", "Français", "fra", "fr", "FR"])
def test_languages_are_known_by_their_names(run: Run, tmp_path: Path, name: str) -> None:
    assert run("say", "Bonjour", "-o", "code.wav", "--language", "fr").returncode == 0
    done = run("say", "Bonjour", "-o", "name.wav", "--language", name)
    assert done.returncode == 0, said(done)
    assert (tmp_path / "name.wav").read_bytes() == (tmp_path / "code.wav").read_bytes()


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (404, "There is no voice 'nope'. Its voices: alloy.", ExitCode.NOT_FOUND),
        (400, "Invalid voice 'nope'. Supported: alloy", ExitCode.NOT_FOUND),
        (404, "The model `x` does not exist", ExitCode.NOT_FOUND),
        (400, "The built-in voice does not speak 'xx'.", ExitCode.NOT_FOUND),
        (404, "Not Found", ExitCode.NETWORK),
        (400, "The text is empty.", ExitCode.NETWORK),
        (500, "No such voice", ExitCode.NETWORK),
        (401, "no voice without a key", ExitCode.UNAUTHORIZED),
    ],
)
def test_a_server_that_lacks_a_voice_gets_the_code_of_this_machine(status: int, message: str, code: ExitCode) -> None:
    assert exit_code(RemoteRefused(f"http://box rejected the request ({status}): {message}", status)) == code


def test_opposite_flags_are_a_warning(run: Run) -> None:
    done = run("say", "hello", "--play", "--no-play", "-o", "x.wav")
    assert done.returncode == 0
    assert "--no-play counts, --play before it does not." in said(done)


def test_a_group_without_a_command_shows_its_help(run: Run) -> None:
    done = run("keys")
    assert done.returncode == 0
    assert done.stdout.startswith(b"Usage: voxcli keys COMMAND")
    assert done.stderr == b""


def test_who_types_a_text_is_told_how_to_end_it(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voxcli", "say", "-", "-o", str(tmp_path / "x.wav")]
    code, shown = run_on_terminal(command, environment, {b"Ctrl-D on a line of its own ends it": b"Hello.\n\x04"})
    assert code == 0, shown
    assert (tmp_path / "x.wav").stat().st_size > 10_000
