"""`voxcli bench`, as a user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.wire import not_found, wav, wired
from tests.engines.remote.replay import Answer, Asked, posts, replaying, streamed
from tests.engines.remote.replay import said as document
from tests.engines.remote.sounds import GPT_SOVITS, VOXCPM, tone
from tests.engines.remote.sounds import wav as wav_bytes
from tests.program import Run, said, started
from tests.screen import CTRL_C, run_on_terminal
from tests.server.running import serving
from tests.server.tone import ToneEngine
from voxcli.bench.measure.metrics import METRICS
from voxcli.cli import app

QUICK = ("--runs", "2", "--warmup", "0")


def test_help_defines_every_number(run: Run) -> None:
    shown = " ".join(run("bench", "--help-all").stdout.decode().split())
    for metric in METRICS:
        assert f"{metric.title}" in shown
        assert metric.meaning in shown


def test_the_built_in_voice_is_measured_streaming_and_whole(run: Run) -> None:
    done = run("bench", *QUICK)
    shown = done.stdout.decode()
    assert done.returncode == 0
    assert "Sequential requests, medians" in shown
    assert shown.splitlines()[-1].startswith("With streaming the first byte arrives after")
    for text in ("short", "medium", "long"):
        assert shown.count(text) >= 2


def test_every_file_tells_the_same(run: Run, tmp_path: Path) -> None:
    done = run(
        "bench", "short", "Something of one's own.", "--lang", "en", *QUICK, "--seed", "7",
        "-o", "r.json", "--output", "r.md", "-o", "r.csv",
    )  # fmt: skip
    assert done.returncode == 0, said(done)
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    runs = document["record"]["runs"]
    assert len(runs) == 2 * 2 * 2
    assert {found["seed"] for found in runs} == {7, 8}
    assert document["report"]["verdict"] in (tmp_path / "r.md").read_text("utf-8").replace("\\", "")
    assert document["report"]["verdict"] in " ".join(done.stdout.decode().split())
    with (tmp_path / "r.csv").open(encoding="utf-8") as file:
        assert [row["total_seconds"] for row in csv.DictReader(file)] == [str(found["total_seconds"]) for found in runs]


def test_json_on_standard_output_stands_there_alone(run: Run) -> None:
    done = run("bench", "short", *QUICK, "--json")
    assert json.loads(done.stdout)["record"]["texts"][0]["name"] == "short"
    assert "With streaming" in said(done)


def test_a_random_model_is_measured_too(run: Run, checkpoints: Callable[[str], Path]) -> None:
    length = ("--min-len", "5", "--max-len", "10")
    done = run("bench", "short", *QUICK, "--model", checkpoints("voxcpm-1.5"), "--threads", "1", *length, "--json")
    assert done.returncode == 0, said(done)
    document = json.loads(done.stdout)
    [subject] = document["record"]["subjects"]
    assert subject["name"] == "voxcpm-1.5"
    assert subject["load_seconds"] > 0
    stream, whole = document["report"]["groups"]
    assert stream["metrics"]["first_byte_seconds"]["median"] < whole["metrics"]["first_byte_seconds"]["median"]
    assert stream["metrics"]["audio_seconds"] == whole["metrics"]["audio_seconds"]  # the same seeds


def test_under_load(run: Run) -> None:
    done = run("bench", "short", "--concurrency", "1,3", "--rate", "50", "--requests", "4", "--json")
    document = json.loads(done.stdout)
    groups = document["report"]["groups"]
    assert [(group["level"]["concurrency"], group["level"]["rate"]) for group in groups] == [
        (1, None), (3, None), (None, 50.0),
    ]  # fmt: skip
    assert [group["good"] for group in groups] == [4, 4, 4]
    assert document["report"]["verdict"].startswith("Up to 3 at once")


def test_what_was_kept_can_be_compared_with_and_fails_when_it_got_worse(run: Run, tmp_path: Path) -> None:
    assert run("bench", "short", "--save", "base").returncode == 0
    same = run("bench", "short", "--runs", "5", "--compare", "base", "--fail-if", "ttfb>100000%")
    assert same.returncode == 0
    assert "Compared with base" in same.stdout.decode()
    worse = run("bench", "short", *QUICK, "--fail-if", "failed>0", "--fail-if", "ttfb>0.001ms")
    assert worse.returncode == 1
    assert "ttfb>0.001ms: espeak, short, stream:" in said(worse)
    unknown = run("bench", "short", "--compare", "bas")
    assert unknown.returncode == 3
    assert "Did you mean 'base'?" in said(unknown)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--mode", "steam"),
        ("--warm", "1", "--model", "espeak"),
        ("--warm", "1", "--remote", "http://127.0.0.1:9"),
        ("--lang", "fr"),
        ("--concurrency", "1,x"),
        ("--concurrency", "0"),
        ("--rate", "-1"),
        ("--requests", "3"),
        ("--no-stream",),
        ("--plot", "r.txt"),
        ("--json", "--csv", "-"),
        ("--markdown", "--runs", "1"),
        ("-o", "r.yaml"),
        ("-o", "-"),
        ("-o", "r.md", "-o", "r.md"),
        ("shrot",),
        ("--text", "shrot", "shrot"),
        ("--runs", "x"),
        ("-o", "missing/r.json"),
        ("-o", "."),
        ("--save", "../x"),
        ("--fail-if", "nonsense"),
        ("--fail-if", "ttfb_p99>1s"),
        ("short", "short"),
        ("@missing.txt",),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOXCLI_HOME", str(tmp_path))
    assert app.run(["bench", *arguments]) in (2, 4)
    shown = capsys.readouterr().out
    assert shown == "" or json.loads(shown)["event"] == "error"


def test_a_cold_start_is_that_of_a_fresh_process(run: Run) -> None:
    done = run("bench", "short", *QUICK, "--mode", "stream", "--cold", "1", "--json")
    [cold] = json.loads(done.stdout)["record"]["cold"]
    assert cold["start_seconds"] > 0.02
    assert cold["first_chunk_seconds"] > 0


def test_two_servers_stand_side_by_side(run: Run) -> None:
    with serving(ToneEngine(chunks=10, chunk_seconds=0.2)) as a, serving(ToneEngine(chunks=10, chunk_seconds=0.2)) as b:
        done = run("bench", "short", "--lang", "en", *QUICK, "--remote", a, "--remote", b, "--json")
    assert done.returncode == 0, said(done)
    record = json.loads(done.stdout)["record"]
    assert [subject["url"] for subject in record["subjects"]] == [a, b]
    names = [a.removeprefix("http://"), b.removeprefix("http://")]
    assert [found["subject"] for found in record["runs"]] == [names[number] for number in (0, 0, 1, 1, 0, 1, 1, 0)]
    assert {found["failure"] for found in record["runs"]} == {None}
    for number in (0, 1):
        assert len({found["seed"] for found in record["runs"] if found["number"] == number}) == 1


@pytest.mark.parametrize("where", ["environment", "settings", "profile"])
def test_the_server_that_speaks_by_default_is_measured_by_default(run: Run, tmp_path: Path, where: str) -> None:
    with serving(ToneEngine(chunks=10, chunk_seconds=0.2)) as url:
        settings = {"settings": f'remote = "{url}"', "profile": f'remote.default = "box"\n[remote.box]\nurl = "{url}"'}
        (tmp_path / "voxcli.toml").write_text(settings.get(where, ""), "utf-8")
        environment = {"VOXCLI_REMOTE": url} if where == "environment" else {}
        asked = run("bench", "short", "--lang", "en", *QUICK, "--json", env=environment)
        not_asked = run("bench", "short", *QUICK, "--json", "--remote", "", env=environment)
    assert [subject["url"] for subject in json.loads(asked.stdout)["record"]["subjects"]] == [url]
    assert [subject["name"] for subject in json.loads(not_asked.stdout)["record"]["subjects"]] == ["espeak"]


def test_the_form_of_earlier_reports_from_any_server_with_the_native_protocol(run: Run, tmp_path: Path) -> None:
    """Three texts, two modes, five runs of each, as JSON and Markdown; the server knows nothing of seeds."""
    sound = wav(12.0)

    def speak(connection: object) -> None:
        connection.head(length=len(sound))  # type: ignore[attr-defined]
        connection.send(sound)  # type: ignore[attr-defined]

    with wired({"/api/tts": speak, "/api/tts/stream": speak}) as url:
        done = run(
            "bench", "short", "medium", "long", "--remote", url, "--protocol", "voxcpm", "--warmup", "0",
            "--json", "r.json", "--markdown", "r.md",
        )  # fmt: skip
    assert done.returncode == 0, said(done)
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert len(document["record"]["runs"]) == 30
    assert [one["text"] for one in document["report"]["improvements"]] == ["short", "medium", "long", None]
    assert document["record"]["subjects"][0]["seeded"] is False
    assert "does not support seeds" in (tmp_path / "r.md").read_text("utf-8")


def test_a_server_that_does_not_stream_is_not_credited_with_it(run: Run) -> None:
    sound = wav(3.0)

    def speak(connection: object) -> None:
        connection.head(length=len(sound))  # type: ignore[attr-defined]
        connection.send(sound)  # type: ignore[attr-defined]

    with wired({"/api/tts": speak, "/api/tts/stream": not_found}) as url:
        done = run("bench", "short", *QUICK, "--remote", url, "--protocol", "voxcpm", "--json")
    assert done.returncode == 0
    stream, whole = json.loads(done.stdout)["report"]["groups"]
    assert (stream["good"], stream["failed"], stream["metrics"]) == (0, 2, {})
    assert (whole["good"], whole["failed"]) == (2, 0)
    assert "2 of 4 runs failed" in said(done)


def test_when_nothing_can_be_measured_it_fails(run: Run) -> None:
    with wired({}) as url:
        done = run("bench", "short", *QUICK, "--remote", url, "--protocol", "voxcpm")
    assert done.returncode == 6
    assert "All runs failed" in said(done)


def test_who_is_not_there_is_said_at_once(run: Run) -> None:
    assert run("bench", "short", "--remote", "http://127.0.0.1:9", "--protocol", "voxcpm").returncode == 6


def test_ctrl_c_shows_and_keeps_what_is_done(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "voxcli", "bench", "long", "--runs", "100000", "--json", str(tmp_path / "r.json")]
    code, shown = run_on_terminal(command, environment, {b"long, whole": CTRL_C})
    assert code == 130
    assert "Stopped early" in shown
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert document["record"]["partial"] is True
    assert document["record"]["runs"]


def test_ctrl_c_among_cold_starts_keeps_those_that_are_done(tmp_path: Path, environment: dict[str, str]) -> None:
    kept = tmp_path / "r.json"
    command = [sys.executable, "-m", "voxcli", "bench", "short", "--cold", "100", "--json", str(kept)]
    code, shown = run_on_terminal(command, environment, {b"cold start 2": CTRL_C})
    assert code == 130
    assert "Only cold starts were measured." in shown
    assert "Traceback" not in shown
    assert len(json.loads(kept.read_text("utf-8"))["record"]["cold"]) == 1


def test_a_signal_under_load_ends_it_as_well(tmp_path: Path, environment: dict[str, str]) -> None:
    with (
        serving(ToneEngine(chunks=1000, pace=1.0)) as url,
        started(
            [sys.executable, "-m", "voxcli", "bench", "short", "--remote", url, "--concurrency", "2", "--warmup", "0"],
            environment, (None, subprocess.PIPE, subprocess.PIPE), folder=tmp_path,
        ) as process,
    ):  # fmt: skip
        assert process.stderr
        assert b"loading: " in process.stderr.readline()
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 130


def test_old_names_of_result_files_are_understood(run: Run, tmp_path: Path) -> None:
    done = run("bench", "short", *QUICK, "--json", "r.json", "--markdown=r.md", "--csv", "r.csv")
    assert done.returncode == 0, said(done)
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.md", "r.csv"}
    assert run("bench", "short", *QUICK, "--markdown", "-").stdout.startswith(b"#")
    assert run("bench", "short", *QUICK, "--csv", "-").stdout.startswith(b"subject")


def test_json_is_a_flag_wherever_it_stands(run: Run, tmp_path: Path) -> None:
    done = run("bench", "short", "--json", "--runs", "1", "--warmup", "0")
    assert done.returncode == 0, said(done)
    record = json.loads(done.stdout)["record"]
    assert [text["name"] for text in record["texts"]] == ["short"]
    assert list(tmp_path.iterdir()) == []
    assert json.loads(run("bench", *QUICK, "--json", "short").stdout)["record"]["texts"][0]["name"] == "short"


def test_results_are_not_overwritten_without_force(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("precious")
    assert run("bench", "short", *QUICK, "--save", "base").returncode == 0
    for arguments in (("-o", "r.json"), ("--save", "base")):
        done = run("bench", "short", *QUICK, *arguments)
        assert done.returncode == 4
        assert "--force" in said(done)
        if "-o" in arguments:
            assert (tmp_path / "r.json").read_text() == "precious"
        assert run("bench", "short", *QUICK, *arguments, "--force").returncode == 0


def test_a_text_that_is_nearly_the_name_of_one_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("A text of one's own.")
    for word, advice in (
        ("shrot", "Did you mean 'short'? To measure the word itself: --text shrot"),
        ("notes.txt", "@notes.txt"),
    ):
        done = run("bench", word, *QUICK)
        assert done.returncode == 2
        assert advice in said(done)
    done = run("bench", "--text", "shrot", *QUICK, "--json")
    assert json.loads(done.stdout)["record"]["texts"][0]["text"] == "shrot"


def sound(asked: Asked) -> Answer:
    return streamed([wav_bytes(tone(3.0))])


def test_gpt_sovits_is_measured_as_it_speaks(run: Run) -> None:
    recording = ("--ref-audio", "/on/the/server/ref.wav", "--ref-text", "Words.", "--ref-lang", "en")
    with replaying(posts(sound, GPT_SOVITS)) as server:
        done = run("bench", "short", *QUICK, "--remote", server.url, *recording, "--json")
        assert done.returncode == 0, said(done)
        asked = [asked.json for asked in server.of("POST")]
    assert {given["ref_audio_path"] for given in asked} == {"/on/the/server/ref.wav"}
    assert {(given["prompt_text"], given["prompt_lang"]) for given in asked} == {("Words.", "en")}
    assert sorted({given["streaming_mode"] for given in asked}) == [0, 3]


def test_each_server_gets_the_recording_as_it_takes_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ref.wav").write_bytes(wav_bytes(tone(3.0)))
    recording = ("--ref-audio", "ref.wav", "--ref-text", "Words.")
    with replaying(posts(sound, GPT_SOVITS)) as sovits, replaying(posts(sound, VOXCPM)) as native:
        done = run("bench", "short", *QUICK, "--remote", sovits.url, "--remote", native.url, *recording, "--json")
        assert done.returncode == 0, said(done)
        assert sovits.of("POST")[0].json["ref_audio_path"] == "ref.wav"
        assert native.of("POST")[0].fields["prompt_text"] == "Words."
    assert {found["failure"] for found in json.loads(done.stdout)["record"]["runs"]} == {None}


def test_a_named_voice_of_a_native_server_is_measured_in_both_modes(run: Run) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == "/api/voices":
            return document({"voices": [{"id": "default"}]})
        return posts(sound, VOXCPM)(asked)

    with replaying(reply) as server:
        done = run("bench", "short", *QUICK, "--remote", server.url, "--voice", "default", "--json")
        assert done.returncode == 0, said(done)
        assert {asked.fields["voice_id"] for asked in server.of("POST")} == {"default"}
    groups = json.loads(done.stdout)["report"]["groups"]
    assert [(group["mode"], group["good"]) for group in groups] == [("stream", 2), ("whole", 2)]


@pytest.mark.parametrize("description", [VOXCPM, GPT_SOVITS])
def test_as_many_connections_are_opened_as_asked_for(run: Run, description: object) -> None:
    """The server mixes streams up, which is what is measured."""
    together = threading.Barrier(4)

    def reply(asked: Asked) -> Answer:
        together.wait(20)
        return sound(asked)

    with replaying(posts(reply, description)) as server:
        voice = ("--voice", "x") if description is GPT_SOVITS else ()
        load = ("--concurrency", "4", "--requests", "4", "--warmup", "0")
        done = run("bench", "short", "--remote", server.url, *voice, *load, "--json")
        assert done.returncode == 0, said(done)
    record = json.loads(done.stdout)["record"]
    assert [found["failure"] for found in record["runs"]] == [None] * 4
    assert record["subjects"][0]["slots"] is None
