"""`voxcli say` with a VoxCPM model, as a whole."""

import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.clips import spoken_wav
from tests.program import Run, said, started
from tests.pulse import PulseServer
from tests.screen import CTRL_C, Reactions, frames, last_screen, run_on_terminal
from tests.sound import read_by_three
from voxcli.installation import install_command
from voxcli.synthesis.loading import LoadingProgress, LoadingStage

Checkpoints = Callable[[str], Path]

QUICK = ["--steps", "2", "--threads", "1", "--dtype", "float32"]
SHORT = [*QUICK, "--seed", "7", "--min-len", "2", "--max-len", "3"]

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from voxcli.cli.app import run; sys.exit(run(sys.argv[1:]))"


def test_each_sentence_after_the_first_is_carried_on(run: Run, tmp_path: Path, checkpoints: Checkpoints) -> None:
    model = checkpoints("voxcpm-1.5")
    for name, text in (
        ("both", "很高兴见到你。我们明天再见。"),
        ("one", "很高兴见到你。"),
        ("other", "我们明天再见。"),
    ):
        done = run("say", text, "--model", model, *SHORT, "-o", f"{name}.wav")
        assert done.returncode == 0, said(done)
    both, one, other = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("both", "one", "other"))
    np.testing.assert_array_equal(both[: len(one)], one)
    assert np.abs(both[len(one) :] - other[: len(both) - len(one)]).max() > 0.01


@pytest.mark.parametrize(("family", "performs"), [("voxcpm-2", True), ("voxcpm-1.5", False)])
def test_tags_reach_the_model_that_knows_them(
    run: Run, tmp_path: Path, checkpoints: Checkpoints, family: str, performs: bool
) -> None:
    for name, text in (("tagged", "[laughing] Yes."), ("other", "[laughs] Yes."), ("plain", "Yes.")):
        done = run("say", text, "--model", checkpoints(family), *SHORT, "--no-metadata", "-o", f"{name}.wav")
        assert done.returncode == 0, said(done)
        warned = "[laughing] is left out" in said(done) or "[laughs] is left out" in said(done)
        assert warned == (name == "other" or (name == "tagged" and not performs)), said(done)
    tagged, other, plain = ((tmp_path / f"{name}.wav").read_bytes() for name in ("tagged", "other", "plain"))
    assert other == plain
    assert (tagged != plain) == performs


def test_the_second_sentence_is_begun_while_the_first_is_heard(
    environment: dict[str, str], checkpoints: Checkpoints, pulse: PulseServer
) -> None:
    patches, seconds = 25, 2.0  # of a sentence
    length = ["--min-len", str(patches), "--max-len", str(patches)]
    model = ["--model", str(checkpoints("voxcpm-0.5b")), *QUICK, "--seed", "7", *length]
    command = [sys.executable, "-m", "voxcli", "say", "很高兴见到你。我们明天再见。", "--play", "--json", *model]
    with (
        pulse.recording("speaker44") as recording,
        started(command, environment | pulse.client("speaker44"), (None, subprocess.PIPE, None)) as process,
    ):
        assert process.stdout
        made = 0.0
        while made <= seconds:
            made = json.loads(process.stdout.readline()).get("audio_seconds", 0.0)
        assert recording.sounding_seconds < seconds
        events = [json.loads(line) for line in process.stdout]
    assert events[-1]["audio_seconds"] == 2 * seconds
    assert recording.sounding_seconds > 1.5 * seconds


def test_sentences_go_over_into_silence_without_a_click(run: Run, tmp_path: Path, checkpoints: Checkpoints) -> None:
    arguments = ["--model", checkpoints("voxcpm-0.5b"), *SHORT]
    for name, text in (("both", "很高兴见到你。我们明天再见。"), ("one", "很高兴见到你。")):
        done = run("say", text, *arguments, "--gap", "0.5", "-o", f"{name}.wav")
        assert done.returncode == 0, said(done)
    (both, rate), (one, _) = (soundfile.read(tmp_path / f"{name}.wav") for name in ("both", "one"))
    np.testing.assert_array_equal(both[: len(one)], one)
    assert abs(one[-1]) > 0.01
    assert abs(both[len(one)] - one[-1]) < 0.01
    assert np.count_nonzero(both[len(one) : len(one) + rate // 2]) <= 0.005 * rate


def test_events_tell_of_each_chunk(run: Run, checkpoints: Checkpoints) -> None:
    done = run("say", "你好", "--model", checkpoints("voxcpm-0.5b"), *SHORT, "-o", "x.wav", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "loading"][:3] == [
        "sentence",
        "first_audio",
        "chunk",
    ]
    assert (events[-1]["event"], events[-1]["chunks"], events[-1]["audio_seconds"]) == ("done", 4, 0.24)


def test_events_tell_how_far_the_loading_has_come(run: Run, checkpoints: Checkpoints) -> None:
    model = checkpoints("voxcpm-1.5")
    done = run("say", "你好", "--model", model, *SHORT, "-o", "x.wav", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event for event in events if event["event"] == "loading"]
    assert events[: len(told)] == told
    assert {event["model"] for event in told} == {str(model)}
    progress = [LoadingProgress.from_dict(event) for event in told]
    assert progress == sorted(set(progress), key=lambda one: (list(LoadingStage).index(one.stage), one.done))
    assert progress[0] == LoadingProgress(LoadingStage.STARTING)
    whole = sum((model / name).stat().st_size for name in ("audiovae.pth", "model.safetensors"))
    assert progress[-1] == LoadingProgress(LoadingStage.READING, whole, whole)


def test_a_load_that_fails_is_told_after_how_far_it_came(run: Run, tmp_path: Path, checkpoints: Checkpoints) -> None:
    model = Path(shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "broken"))
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4000] + b"\xff" * 4000)
    done = run("say", "你好", "--model", model, *SHORT, "-o", "x.wav", "--json")
    *told, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["event"] for event in told} == {"loading"}
    assert (last["event"], last["kind"], last["code"], done.returncode) == ("error", "ModelError", 3, 3)
    assert "model.safetensors is damaged" in last["message"]
    done = run("say", "你好", "--model", model, *SHORT, "-o", "x.wav")
    assert done.stderr.decode().splitlines()[0] == f"loading {model}"
    assert "model.safetensors is damaged" in said(done)


@pytest.mark.parametrize("interrupted", [False, True])
def test_loading_is_shown_on_a_line_of_the_terminal(
    environment: dict[str, str], tmp_path: Path, checkpoints: Checkpoints, interrupted: bool
) -> None:
    """With PyTorch still to be imported, which takes long enough for a bar to be shown."""
    model = checkpoints("voxcpm-1.5")
    command = [sys.executable, "-m", "voxcli", "say", "你好", "--model", str(model), *SHORT, "-o", "x.wav"]
    reactions: Reactions = {b"starting": CTRL_C if interrupted else b""}
    code, screen = run_on_terminal(command, environment, reactions, folder=tmp_path, columns=50, fresh=True)
    assert code == (130 if interrupted else 0), screen
    for lines in frames(screen):
        assert all(len(line) < 50 for line in lines if "starting" in line or "reading" in line), lines
    left = last_screen(screen)
    assert left == ["stopped"] if interrupted else left[0].startswith("x.wav"), screen


def test_the_drawn_seed_is_reported_and_repeats_the_speech(run: Run, tmp_path: Path, checkpoints: Checkpoints) -> None:
    say = [
        "say",
        "很高兴见到你。我们明天再见。",
        "--model",
        checkpoints("voxcpm-1.5"),
        *QUICK,
        "--min-len",
        "2",
        "--max-len",
        "3",
        "--json",
    ]
    seeds = {json.loads(run(*say, "-o", name).stdout.splitlines()[-1])["seed"] for name in ("a.wav", "b.wav")}
    assert len(seeds) == 2
    done = run(*say, "-o", "again.wav")
    seed = json.loads(done.stdout.splitlines()[-1])["seed"]
    done = run(*say, "-o", "repeated.wav", "--seed", str(seed))
    assert json.loads(done.stdout.splitlines()[-1])["seed"] == seed
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "repeated.wav").read_bytes()
    assert (tmp_path / "again.wav").read_bytes() != (tmp_path / "a.wav").read_bytes()
    done = run(*[argument for argument in say if argument != "--json"], "-o", "told.wav", "--verbose")
    assert "to repeat this speech: --seed " in said(done)


def test_an_engine_without_seeds_reports_none(run: Run) -> None:
    done = run("say", "hello", "--model", "espeak", "--seed", "7", "-o", "x.wav", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["seed"] is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_within_a_patch_and_keeps_what_was_said(
    tmp_path: Path, environment: dict[str, str], checkpoints: Checkpoints, number: signal.Signals, code: int
) -> None:
    path = tmp_path / "x.wav"
    arguments = ["--model", str(checkpoints("voxcpm-1.5")), *QUICK, "--min-len", "9999", "--json", "-o", str(path)]
    command = [sys.executable, "-m", "voxcli", "say", "你好 hello there " * 30, "--no-split", *arguments]
    with started(command, environment, (None, subprocess.PIPE, None)) as process:
        assert process.stdout
        chunks, sent = 0, False
        for line in process.stdout:
            chunks += json.loads(line)["event"] == "chunk"
            if chunks == 4 and not sent:  # three patches, of which the first comes in two
                process.send_signal(number)
                sent = True
        assert process.wait(timeout=30) == code
    by_wave, by_soundfile, by_av = read_by_three(path)
    assert by_wave == by_soundfile == by_av
    assert by_wave % 7056 == 0
    assert 3 <= by_wave / 7056 < 60


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--steps", "0"], 2, "--steps"),
        (["--cfg", "nan"], 2, "--cfg"),
        (["--seed", "-1"], 2, "--seed"),
        (["--max-len", "0"], 2, "--max-len"),
        (["--denoise"], 2, "no recording"),
        (["--device", "tpu"], 2, "Unknown value: --device tpu"),
        (["--device", "cuda:77"], 5, "There is no cuda:77"),
        (["--dtype", "int4"], 2, "Unknown value: --dtype int4"),
        (["--quantize", "int3"], 2, "Unknown value: --quantize int3"),
        (["--lora", "nowhere"], 3, "no LoRA folder"),
        (["--voice", "nobody"], 3, "no voice 'nobody'"),
    ],
)
def test_wrong_options_say_what_there_is(
    run: Run, checkpoints: Checkpoints, arguments: list[str], code: int, words: str
) -> None:
    done = run("say", "你好", "--model", checkpoints("voxcpm-1.5"), "-o", "x.wav", *arguments)
    assert done.returncode == code, said(done)
    assert words in said(done)


def test_the_built_in_voice_cannot_be_fine_tuned(run: Run) -> None:
    done = run("say", "hello", "--model", "espeak", "-o", "x.wav", "--lora", "x")
    assert done.returncode == 4, said(done)
    assert "built-in voice" in said(done)


def test_sampling_makes_no_difference_to_the_built_in_voice(run: Run) -> None:
    for arguments in (["--steps", "3"], ["--cfg", "1"], ["--retry-badcase", "1"], ["--seed", "3"]):
        done = run("say", "hello", "--model", "espeak", "-o", "x.wav", "--force", *arguments)
        assert done.returncode == 0, said(done)
        assert f"{arguments[0]} has no effect on the built-in voice" in said(done)


@pytest.mark.parametrize(
    ("model", "words"),
    [("voxcpm-1.5", "voxcli models pull voxcpm-1.5"), ("someone/else", "voxcli models pull someone/else")],
)
def test_a_model_that_is_not_here_says_how_to_bring_it(run: Run, model: str, words: str) -> None:
    done = run("say", "hello", "--model", model, "-o", "x.wav")
    assert done.returncode == 3
    assert words in said(done)


def test_without_torch_it_says_what_to_install(
    tmp_path: Path, environment: dict[str, str], checkpoints: Checkpoints
) -> None:
    arguments = ["say", "hello", "--model", str(checkpoints("voxcpm-1.5")), "-o", str(tmp_path / "x.wav")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert install_command("local") in said(done)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to a limit")
def test_a_model_that_memory_does_not_suffice_for_is_not_called_damaged(
    tmp_path: Path, environment: dict[str, str], checkpoints: Checkpoints
) -> None:
    import resource

    limit, rows = 48 * 2**30, 500_000_000
    folder = Path(shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model"))
    hold_rows(folder, rows)
    command = [sys.executable, "-m", "voxcli", "say", "hi", "--model", "model", "--device", "cpu", "-o", "x.wav"]
    done = subprocess.run(
        command,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        check=False,
    )
    assert done.returncode == 5, said(done)
    assert "not enough memory on cpu" in said(done)
    assert "The weights of the model are 59.6 GiB" in said(done)


def hold_rows(folder: Path, rows: int) -> None:
    """Give a checkpoint so many ids. Its file becomes long and stays empty."""
    config = json.loads((folder / "config.json").read_text())
    width = config["lm_config"]["hidden_size"]
    config["lm_config"]["vocab_size"] = rows
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / "model.safetensors").open("r+b") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        end = 0
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            if name.endswith("embed_tokens.weight"):
                tensor["shape"] = [rows, width]
            start, end = end, end + math.prod(tensor["shape"]) * (2 if tensor["dtype"] == "BF16" else 4)
            tensor["data_offsets"] = [start, end]
        text = json.dumps(header).encode()
        file.seek(0)
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def test_a_recording_may_be_named_by_all_its_names(run: Run, tmp_path: Path, checkpoints: Checkpoints) -> None:
    (tmp_path / "ref.wav").write_bytes(spoken_wav())
    names = [("--prompt-audio", "--prompt-text"), ("--prompt", "--prompt-text"), ("--reference-audio", "--ref-text")]
    sounds = []
    for number, (clip, words) in enumerate(names):
        who = [clip, "ref.wav", words, "What it says."]
        done = run("say", "Hello", "--model", checkpoints("voxcpm-1.5"), *SHORT, *who, "-o", f"{number}.wav")
        assert done.returncode == 0, said(done)
        sounds.append((tmp_path / f"{number}.wav").read_bytes())
    assert sounds[0] == sounds[1] == sounds[2]


def test_spelling_out_without_its_grammars_says_what_to_install(environment: dict[str, str]) -> None:
    program = WITHOUT_TORCH.replace("torch", "wetext")
    command = [sys.executable, "-c", program, "say", "42", "--model", "espeak", "--normalize", "-o", "-", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 3
    assert "Spelling out numbers needs wetext" in said(done)
    assert install_command("local") in said(done)
