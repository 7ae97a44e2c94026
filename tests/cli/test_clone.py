"""`voxcli clone`: a recording becomes a voice."""

import json
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer.main

from tests.clips import WORDS, spoken_wav
from tests.program import Run, said
from tests.screen import Reactions, run_on_terminal
from voxcli.cli.app import app
from voxcli.cli.commands.recording import build_voice
from voxcli.cli.console import Console
from voxcli.cli.options.speech import RecordingOptions
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary


@pytest.fixture
def library(environment: dict[str, str]) -> VoiceLibrary:
    home = Path(environment["VOXCLI_HOME"])
    environment["HF_HUB_CACHE"] = str(home / "hub")  # which models are here makes a difference
    return VoiceLibrary(home / "voices")


@pytest.fixture
def ref(tmp_path: Path) -> Path:
    path = tmp_path / "ref.wav"
    path.write_bytes(spoken_wav())
    return path


def test_a_recording_is_kept_under_the_name_of_its_file(run: Run, library: VoiceLibrary, ref: Path) -> None:
    done = run("clone", "--prompt", "ref.wav")
    assert done.returncode == 0, said(done)
    assert done.stdout == b""
    assert 'Use it with: voxcli say "..." --voice ref' in said(done)
    assert "only VoxCPM2 can imitate it" in said(done)
    assert "warning" not in said(done)
    assert library.load("ref") == Voice(reference=Clip(ref.read_bytes(), "reference.wav"))


@pytest.mark.parametrize(
    ("clip", "words"),
    [("--prompt", "--prompt-text"), ("--prompt-audio", "--ref-text"), ("--ref-audio", "--prompt-text")],
)
def test_with_its_words_it_is_kept_as_a_prompt(
    run: Run, library: VoiceLibrary, ref: Path, clip: str, words: str
) -> None:
    done = run("clone", clip, "ref.wav", words, f" {WORDS}\n", "--name", "Anna B", "-i", "calm")
    assert done.returncode == 0, said(done)
    assert "--voice 'Anna B'" in said(done)
    assert "VoxCPM2" not in said(done)
    prompt = Prompt(Clip(ref.read_bytes(), "prompt.wav"), WORDS)
    assert library.load("anna b") == Voice(style="calm", prompt=prompt)


def test_the_words_may_be_in_a_file_beside_it(run: Run, library: VoiceLibrary, ref: Path) -> None:
    (ref.parent / "ref.txt").write_text("你好,\n世界\n", "utf-8")
    done = run("clone", "--reference-audio", "ref.wav")
    assert "Transcript from ref.txt: 你好, 世界" in said(done)
    assert library.load("ref").prompt == Prompt(Clip(ref.read_bytes(), "prompt.wav"), "你好, 世界")
    assert run("clone", "--prompt", "ref.wav", "--name", "without", "--no-prompt-text").returncode == 0
    assert library.load("without").prompt is None
    (ref.parent / "words").write_text("other words", "utf-8")
    assert run("clone", "--prompt", "ref.wav", "--name", "other", "--prompt-text-file", "words").returncode == 0
    prompt = library.load("other").prompt
    assert prompt
    assert prompt.transcript == "other words"


@pytest.mark.parametrize(("answer", "transcript"), [("你好 world\n", "你好 world"), ("\n", None)])
def test_on_a_terminal_the_words_are_asked_for(
    library: VoiceLibrary, ref: Path, environment: dict[str, str], answer: str, transcript: str | None
) -> None:
    command = [sys.executable, "-m", "voxcli", "clone", "--prompt", str(ref)]
    code, shown = run_on_terminal(command, environment, {b"Enter if you do not know:": answer.encode()})
    assert code == 0, shown
    prompt = library.load("ref").prompt
    assert (prompt.transcript if prompt else None) == transcript


def test_a_voice_is_kept_even_if_the_model_cannot_speak_with_it(run: Run, library: VoiceLibrary, ref: Path) -> None:
    done = run("clone", "--prompt", "ref.wav", "Hello", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 4
    assert said(done).index("Saved voice ref.") < said(done).index("cannot imitate a voice")
    assert library.names() == ["ref"]
    assert not (ref.parent / "x.wav").exists()
    done = run("clone", "--prompt", "ref.wav", "--force", "Hello", "--model", "espeak", "-o", "-", "--json")
    assert done.returncode == 4
    assert done.stdout == b""
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[0] == {"event": "kept", "voice": "ref"}
    assert (events[-1]["event"], events[-1]["code"]) == ("error", 4)


def test_a_voice_is_replaced_by_force_only(run: Run, library: VoiceLibrary, ref: Path) -> None:
    library.save("REF", Voice(style="before"))
    done = run("clone", "--prompt", "ref.wav", "--json")
    assert done.returncode == 4
    assert "--force" in json.loads(done.stdout)["message"]
    assert library.load("ref").style == "before"
    done = run("clone", "--prompt", "ref.wav", "--json", "--force")
    assert json.loads(done.stdout) == {"event": "kept", "voice": "ref"}
    assert library.names() == ["ref"]
    assert library.load("ref").reference


def make_bad_clips(folder: Path) -> None:
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a recording")
    (folder / "cut.wav").write_bytes(spoken_wav()[:40])
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    soundfile.write(folder / "silent.wav", np.zeros(50_000), 16000)
    soundfile.write(folder / "nothing.wav", np.zeros(0), 16000)
    soundfile.write(folder / "long.flac", np.zeros(8000 * 301), 8000)
    with (folder / "huge.wav").open("wb") as file:
        file.truncate(8 << 30)
    (folder / "folder.wav").mkdir()


BAD_CLIPS = [
    ("missing.wav", "No such file"),
    ("folder.wav", "Is a directory"),
    ("empty.wav", "is empty"),
    ("text.wav", "it is text"),
    ("cut.wav", "cut.wav"),
    ("picture.png", "is a picture"),
    ("silent.wav", "is silent"),
    ("nothing.wav", "nothing.wav"),
    ("long.flac", "longer than the 300 s allowed"),
    ("huge.wav", "larger than the 64 MiB allowed"),
]


def test_what_is_no_recording_of_a_voice_is_refused(tmp_path: Path) -> None:
    make_bad_clips(tmp_path)
    for clip, reason in (*BAD_CLIPS, ("/dev/zero", "larger than the 64 MiB allowed")):
        with pytest.raises(RequestError, match=reason):
            build_voice(RecordingOptions(tmp_path / clip), Console())


@pytest.mark.parametrize("clip", ["empty.wav", "huge.wav"])
def test_of_a_bad_recording_nothing_is_kept(run: Run, library: VoiceLibrary, tmp_path: Path, clip: str) -> None:
    make_bad_clips(tmp_path)
    done = run("clone", "--prompt", clip, "Hello", "-o", "x.mp3")
    assert done.returncode == 4, said(done)
    assert dict(BAD_CLIPS)[clip] in said(done)
    assert not library.folder.exists()
    assert not (tmp_path / "x.mp3").exists()


def test_a_poor_recording_is_kept_with_warnings(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    time = np.arange(8000) / 8000
    soundfile.write(tmp_path / "poor.wav", np.clip(4 * np.sin(2 * np.pi * 200 * time), -1, 1), 8000)
    done = run("clone", "--prompt", "poor.wav", "-q")
    assert done.returncode == 0
    for remark in ("too short", "distorted", "telephone"):
        assert f"warning: poor.wav: It {'sounds like a' if remark == 'telephone' else 'is'} {remark}" in said(done)
    assert "is kept" not in said(done)
    assert library.names() == ["poor"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give a recording"),
        (["--prompt", "con.wav"], "Choose one"),
        (["--prompt", "ref.wav", "-o", "x.wav"], "Only for speaking, and no text is given"),
        (["--prompt", "ref.wav", "--steps", "4"], "Only for speaking, and no text is given"),
        (["--prompt", "ref.wav", "--prompt-text", "a", "--no-prompt-text"], "in one way only"),
        (["--prompt", "ref.wav", "Hello", "--format", "xyz", "--json"], "Unknown format"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_kept(
    run: Run, library: VoiceLibrary, ref: Path, arguments: list[str], words: str
) -> None:
    done = run("clone", *arguments)
    assert done.returncode == 2, said(done)
    assert words in said(done) + done.stdout.decode()


def test_silence_at_the_ends_of_a_recording_is_not_kept(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    samples, rate = soundfile.read(BytesIO(spoken_wav()), dtype="int16")
    silence = np.zeros(2 * rate, np.int16)
    whole = np.concatenate([silence, samples, silence])
    soundfile.write(tmp_path / "long.flac", whole, rate)
    done = run("clone", "--prompt", "long.flac")
    assert done.returncode == 0, said(done)
    assert "long.flac: removed 3.9 s of silence at the ends" in said(done)
    assert "warning" not in said(done)
    clip = library.load("long").reference
    assert clip
    assert clip.name == "reference.wav"
    kept, kept_rate = soundfile.read(BytesIO(clip.data), dtype="int16")
    assert kept_rate == rate
    assert whole.tobytes().find(kept.tobytes()) % 2 == 0  # a piece of it, sample by sample
    assert np.trim_zeros(samples).tobytes() in kept.tobytes()
    (tmp_path / "short.wav").write_bytes(clip.data)
    assert run("clone", "--prompt", "short.wav").returncode == 0
    assert library.load("short").reference == clip


V1, V2 = "voxcpm-1.5", "voxcpm-2"


@pytest.mark.parametrize("ways", [["--model"], ["--device", "cpu", "say this", "-o", "x.wav", "--model"]])
def test_for_a_model_that_needs_the_words_nothing_is_kept_without_them(
    run: Run, library: VoiceLibrary, ref: Path, checkpoints: Callable[[str], Path], ways: list[str]
) -> None:
    done = run("clone", "--prompt", "ref.wav", *ways, checkpoints(V1))
    assert done.returncode == 4, said(done)
    for way in (V1, "--prompt-text TEXT", "--prompt-text-file FILE", "or in ref.txt", "--no-prompt-text"):
        assert way in said(done)
    assert not library.folder.exists()
    assert not ref.with_name("x.wav").exists()


@pytest.mark.parametrize("answer", ["The words.", ""])
def test_on_a_terminal_it_says_that_the_model_needs_the_words(
    library: VoiceLibrary, ref: Path, environment: dict[str, str], checkpoints: Callable[[str], Path], answer: str
) -> None:
    command = [sys.executable, "-m", "voxcli", "clone", "--prompt", str(ref), "--model", str(checkpoints(V1))]
    typed: Reactions = {b"voxcpm-1.5 needs the exact words. What is said in": answer.encode() + b"\n"}
    code, shown = run_on_terminal(command, environment, typed)
    assert code == (0 if answer else 4), shown
    assert "Press Enter if you do not know" not in shown
    assert library.names() == (["ref"] if answer else [])


def test_the_model_of_the_settings_counts_too_and_torch_is_not_needed_to_know_it(
    library: VoiceLibrary, ref: Path, environment: dict[str, str], checkpoints: Callable[[str], Path]
) -> None:
    (ref.parent / "voxcli.toml").write_text(f"model = '{checkpoints(V1)}'\n")
    program = "import sys; sys.modules['torch'] = None; from voxcli.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "clone", "--prompt", "ref.wav"]
    done = subprocess.run(command, env=environment, cwd=ref.parent, capture_output=True, check=False)
    assert done.returncode == 4, said(done)
    assert "needs the transcript" in said(done)
    done = subprocess.run([*command, "--model", "espeak"], env=environment, cwd=ref.parent, check=False)
    assert done.returncode == 0
    assert library.names() == ["ref"]


@pytest.mark.parametrize(
    ("family", "arguments"), [(V2, []), (V1, ["--prompt-text", "words"]), (V1, ["--no-prompt-text"])]
)
def test_for_a_model_that_can_do_without_or_that_gets_the_words_it_is_kept(
    run: Run, library: VoiceLibrary, ref: Path, checkpoints: Callable[[str], Path], family: str, arguments: list[str]
) -> None:
    done = run("clone", "--prompt", "ref.wav", "--model", checkpoints(family), *arguments)
    assert done.returncode == 0, said(done)
    assert library.names() == ["ref"]
    assert library.load_noted("ref")[1].model == family


def test_a_model_that_is_not_there_is_no_model_to_keep_a_voice_for(run: Run, library: VoiceLibrary, ref: Path) -> None:
    done = run("clone", "--prompt", "ref.wav", "--model", V1)
    assert done.returncode == 3
    assert f"voxcli models pull {V1}" in said(done)
    assert library.names() == []


def test_a_voice_kept_without_words_is_refused_by_a_model_that_needs_them(
    run: Run, library: VoiceLibrary, ref: Path, checkpoints: Callable[[str], Path]
) -> None:
    library.save("anna", Voice(reference=Clip(ref.read_bytes(), "ref.wav")))
    done = run("say", "hello", "--voice", "anna", "--model", checkpoints(V1), "-o", "x.wav")
    assert done.returncode == 4
    assert "--prompt-text" in said(done)


def test_a_recording_of_half_a_millisecond_is_not_kept(run: Run, library: VoiceLibrary, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ref.wav", np.sin(np.arange(12)), 24000)
    done = run("clone", "--prompt", "ref.wav")
    assert done.returncode == 4
    assert "ref.wav: It has 0.5 ms of sound" in said(done)
    assert library.names() == []


def test_words_that_cannot_be_read_are_refused(ref: Path) -> None:
    for given, reason in (
        (RecordingOptions(ref, transcript=" "), "--prompt-text is empty"),
        (RecordingOptions(ref, transcript_file=Path("/dev/null")), "/dev/null is empty"),
        (RecordingOptions(ref, transcript_file=ref), "larger than"),
        (RecordingOptions(ref, transcript_file=ref.with_name("missing")), "No such file"),
    ):
        with pytest.raises(RequestError, match=reason):
            build_voice(given, Console())


def test_settings_for_speaking_do_not_stand_in_the_way(run: Run, library: VoiceLibrary, ref: Path) -> None:
    (ref.parent / "voxcli.toml").write_text("speed = 2\nvoice = 'af'\nplay = false\n")
    assert run("clone", "--prompt", "ref.wav").returncode == 0
    assert library.names() == ["ref"]


def test_it_takes_whatever_say_takes_but_for_the_voice() -> None:
    command: Any = typer.main.get_command(app)
    own, says = ({param.name for param in command.commands[name].params} for name in ("clone", "say"))
    assert says - own <= {"voice", "ref_audio", "ref_text", "ref_lang", "prompt_audio", "prompt_text"}
