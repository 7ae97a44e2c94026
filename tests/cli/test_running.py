"""`voxcli ps`, `load` and `stop`: what they show, and what they do to engines that stay loaded."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.forks import run_forked
from tests.program import Done, Here, Run, RunIn, said
from tests.resident import home_with_engines, only_engine
from voxcli.cli.commands.running import load
from voxcli.cli.commands.running.view import describe, roughly, to_row
from voxcli.cli.console import format_table
from voxcli.cli.options import completion
from voxcli.engines.resident.connection import ask
from voxcli.engines.resident.registry import LOADING, READY, EngineEntry, Registry
from voxcli.engines.resident.running import RunningEngine, running_engines

NOTHING = "No model is loaded in the background"


def engine(said: Mapping[str, Any] | None = None, **entry: Any) -> RunningEngine:
    """An engine that is idle for two minutes, unless something else is said."""
    values = {"model": "voxcpm-1.5", "state": READY, "pid": 7, "folder": "/m", "identity": {}, **entry}
    state = {
        "state": "ready",
        "device": "cpu",
        "dtype": "bfloat16",
        "memory_bytes": 3_100_000_000,
        "version": "1",
        "streams": 0,
        "waiting": 0,
        "idle_seconds": 120.0,
        "keep_alive": 300.0,
        "remaining_seconds": 180.0,
        **(said or {}),
    }
    return RunningEngine(EngineEntry("k", values), None if said is None and entry else state)


@pytest.mark.parametrize(
    ("running", "row"),
    [
        (engine({}), ["voxcpm-1.5", "cpu bfloat16", "3.1 GB", "0", "2 minutes", "in 3 minutes"]),
        (engine({"keep_alive": -1, "remaining_seconds": -1}), [..., ..., ..., "0", "2 minutes", "for ever"]),
        (engine({"streams": 2, "waiting": 1}), [..., ..., ..., "2, 1 waiting", "speaking", "5 minutes after that"]),
        (engine({"holds": 1, "idle_seconds": 0.0}), [..., ..., ..., "0", "in use", "5 minutes after that"]),
        (engine({"state": "stopping"}), [..., ..., ..., ..., ..., "stopping"]),
        (engine({"quantize": "int8"}, identity={"lora": "/l/kim"}), [..., "cpu int8 LoRA kim", ..., ..., ..., ...]),
        (
            engine({"device": "cuda:0", "gpu_memory_bytes": 5_000_000_000}),
            [..., "cuda:0 bfloat16", "3.1 GB + 5.0 GB on the GPU", ..., ..., ...],
        ),
        (
            engine({"keep_alive": -1}, serves="http://127.0.0.1:7861"),
            [..., ..., ..., ..., ..., "voxcli serve, http://127.0.0.1:7861"],
        ),
        (engine(state=LOADING), ["voxcpm-1.5", "-", "-", "-", "-", "loading"]),
        (
            engine(state=LOADING, loading={"stage": "reading", "done": 812_000_000, "total": 1_950_000_000}),
            [..., "-", "-", "-", "-", "reading weights 812 of 1950 MB"],
        ),
        (engine(state=LOADING, loading={"stage": "dancing"}), [..., "-", "-", "-", "-", "loading"]),
        (engine(state=READY), ["voxcpm-1.5", "-", "-", "-", "-", "does not answer"]),
    ],
)
def test_an_engine_is_one_row(running: RunningEngine, row: list[Any]) -> None:
    shown = to_row(describe(running, Path("k.log")))
    assert [cell if wanted is not ... else wanted for cell, wanted in zip(shown, row, strict=True)] == row


@pytest.mark.parametrize("columns", [50, 80])
def test_the_table_fits_the_screen(columns: int) -> None:
    engines = [
        engine({"quantize": "int8", "streams": 2, "waiting": 11}, model="voxcpm-0.5b"),
        engine({"keep_alive": -1}, serves="http://127.0.0.1:7861"),
        engine({}),
    ]
    rows = [["MODEL", "DEVICE", "MEMORY", "STREAMS", "IDLE", "UNTIL"]]
    rows += [to_row(describe(one, Path("k.log"))) for one in engines]
    lines = format_table(rows, columns)
    assert max(map(cell_len, lines)) <= columns


def test_json_has_numbers_and_no_words() -> None:
    card = describe(engine({"keep_alive": -1}), Path("k.log"))
    assert (card["idle_seconds"], card["keep_alive"], card["memory_bytes"]) == (120.0, -1, 3_100_000_000)
    assert (card["state"], card["log"], card["serves"]) == ("ready", "k.log", None)
    assert describe(engine(state=LOADING), Path("k.log"))["state"] == "loading"
    assert describe(engine(state=READY), Path("k.log"))["state"] == "silent"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (59.4, "59 seconds"),
        (59.9, "1 minute"),
        (299.9, "5 minutes"),
        (59.8 * 60, "1 hour"),
        (36 * 3600, "36 hours"),
        (72 * 3600, "3 days"),
    ],
)
def test_a_time_is_told_in_one_unit(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


@pytest.mark.parametrize("arguments", [("ps",), ("stop",), ("stop", "--all"), ("stop", "--all", "--now")])
def test_where_nothing_runs_a_sentence_says_so(here: Here, arguments: tuple[str, ...]) -> None:
    code, words = here(*arguments)
    assert code == 0
    assert words.startswith(NOTHING)


def test_programs_get_an_empty_list_where_nothing_runs(run: Run) -> None:
    assert json.loads(run("ps", "--json").stdout) == []
    assert json.loads(run("ps", "--log", "--json").stdout)["message"] == "A log is no JSON: give --json or --log."


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("stop", "nope"), 3, f"error: There is no model 'nope'. {NOTHING}."),
        (("stop", "x", "--all"), 2, "error: Give a model or --all, not both."),
        (("ps", "espaek"), 3, f"error: There is no model 'espaek'. Did you mean 'espeak'? {NOTHING}."),
        (("ps", "--log"), 3, "error: There is no log: no model has been loaded in the background yet."),
        (("stop", "espeak"), 0, "The built-in voice (eSpeak NG) is not kept loaded: it is ready within milliseconds."),
        (("load", "espeak"), 0, "The built-in voice (eSpeak NG) needs no loading: it is ready within milliseconds."),
        (
            ("load", "voxcpm-1.5", "--remote", "http://127.0.0.1:9"),
            2,
            "error: --remote: A server loads its models itself. voxcli load is for models on this machine.",
        ),
        (("unload",), 0, f"{NOTHING}: there is nothing to stop."),
    ],
)
def test_what_cannot_be_done_is_said_in_words(
    here: Here, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    monkeypatch.delenv("VOXCLI_KEEP_ALIVE")
    assert here(*arguments) == (code, words)


@pytest.mark.parametrize("arguments", [("--keep-alive", "0"), ()])
def test_nothing_is_loaded_that_would_not_be_kept(
    here: Here, monkeypatch: pytest.MonkeyPatch, checkpoints: Callable[[str], Path], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("VOXCLI_KEEP_ALIVE", "5m" if arguments else "0")
    code, words = here("load", str(checkpoints("voxcpm-1.5")), *arguments)
    assert code == 2
    assert "keeps nothing loaded. Give a time: voxcli load" in words
    assert "of the settings" in words or arguments


def test_an_engine_that_ends_or_hangs_cannot_be_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = EngineEntry("k", {"model": "m", "pid": 2**30, "state": READY, "socket": str(tmp_path / "gone.sock")})
    assert load._renewed(gone, 300.0) is None
    killed = []
    monkeypatch.setattr("voxcli.engines.resident.registry.kill", killed.append)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "k.sock"))
        sock.listen()
        monkeypatch.setattr(RunningEngine, "keep", lambda self, seconds: ask(self.entry, "POST", "/x", seconds=0.1))
        hung = EngineEntry("k", {**gone.values, "socket": str(tmp_path / "k.sock")})
        assert load._renewed(hung, 300.0) is None
    assert killed == [hung]


@dataclass(frozen=True)
class User:
    """Somebody whose engines stay loaded."""

    run_in: RunIn
    environment: dict[str, str]
    registry: Registry
    folder: Path

    def run(self, *arguments: str, **environment: str) -> Done:
        return self.run_in(self.folder, self.environment | environment, arguments, b"")

    def said(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, said(done)
        return said(done)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with home_with_engines(tmp_path_factory.mktemp("home"), "10m") as (environment, registry):
        yield User(run_forked, environment, registry, tmp_path_factory.mktemp("work"))


def test_from_load_to_stop(user: User, checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """One engine for all of it, as starting one takes seconds."""
    folder = str(checkpoints("voxcpm-1.5"))
    done = user.run("load", folder, "--threads", "1", "--json", "--keep-alive", "90")
    assert done.returncode == 0, said(done)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "loading"
    assert (events[-1]["event"], events[-1]["was_loaded"], events[-1]["keep_alive"]) == ("ready", False, 90)
    pid = only_engine(user.registry).pid

    again = user.said("load", folder, "--threads", "1", "--keep-alive", "-1")
    assert again == "voxcpm-1.5 is ready already, and stays loaded until: voxcli stop voxcpm-1.5"
    [card] = json.loads(user.run("ps", "--json").stdout)
    assert (card["pid"], card["keep_alive"], card["remaining_seconds"], card["streams"]) == (pid, -1, -1, 0)
    assert card["memory_bytes"] > 10_000_000
    heading, row = user.run("ps", COLUMNS="100").stdout.decode().splitlines()
    assert heading.split() == ["MODEL", "DEVICE", "MEMORY", "STREAMS", "IDLE", "UNTIL"]
    assert re.fullmatch(r"voxcpm-1\.5 +cpu \w+ +[\d.]+ MB +0 +(less than a second|\d+ seconds?) +for ever", row)

    assert user.run("ps", "--log").stdout == Path(card["log"]).read_bytes()
    assert user.run("ps", "--log", "voxcpm-1.5").returncode == 0
    missing = user.run("ps", "--log", "voxcpm-1.6")
    assert (missing.returncode, said(missing)) == (
        3,
        "error: There is no log of 'voxcpm-1.6'. Did you mean 'voxcpm-1.5'?",
    )
    monkeypatch.setenv("VOXCLI_HOME", user.environment["VOXCLI_HOME"])
    assert completion.running_models("vox") == ["voxcpm-1.5"]

    quick = ("--runs", "1", "--warmup", "0", "--mode", "stream", "--max-len", "4", "--steps", "2", "--json")
    measured = user.run("bench", "short", "--model", folder, "--threads", "1", "--warm", "1", *quick)
    assert measured.returncode == 0, said(measured)
    record = json.loads(measured.stdout)["record"]
    [subject], [start] = record["subjects"], record["warm"]
    assert (subject["resident"], subject["load_seconds"], subject["device"], record["cold"]) == (True, None, "cpu", [])
    assert start["start_seconds"] > 0 < start["first_chunk_seconds"]
    [card] = json.loads(user.run("ps", "--json").stdout)
    assert (card["pid"], card["keep_alive"]) == (pid, -1), "it stays as it was"

    shown = json.loads(user.run("models", "show", folder, "--json").stdout)
    assert [one["pid"] for one in shown["engines"]] == [pid]
    assert "for ever" in user.run("models", "show", folder).stdout.decode()

    nearly = user.run("stop", "voxcpm-1.6")
    assert (nearly.returncode, said(nearly)) == (
        3,
        "error: There is no model 'voxcpm-1.6'. Did you mean 'voxcpm-1.5'? Loaded: voxcpm-1.5.",
    )
    assert re.fullmatch(r"Stopped voxcpm-1\.5, [\d.]+ MB freed\.", user.said("stop"))
    assert running_engines(user.registry) == []
    assert user.said("stop").startswith(NOTHING)
    assert user.run("ps", "--log").returncode == 0, "the log stays"


def test_of_several_engines_one_is_named_and_all_end_before_their_model_is_removed(
    user: User, checkpoints: Callable[[str], Path]
) -> None:
    installed = Path(user.environment["HF_HOME"]) / "hub" / "models--openbmb--VoxCPM-0.5B" / "snapshots" / ("5" * 40)
    shutil.copytree(checkpoints("voxcpm-0.5b"), installed)
    for threads in ("1", "2"):
        user.said("load", "voxcpm-0.5b", "--threads", threads)
    unclear = user.run("stop")
    assert unclear.returncode == 2
    assert "2 models are loaded: voxcpm-0.5b. Name the 2 of voxcpm-0.5b: voxcli stop voxcpm-0.5b" in said(unclear)
    assert len(running_engines(user.registry)) == 2
    words = user.said("models", "rm", "voxcpm-0.5b", "--yes")
    assert words.count("Stopped voxcpm-0.5b") == 2
    assert words.rpartition(". ")[2].startswith("Removed voxcpm-0.5b")
    assert running_engines(user.registry) == []
    assert not installed.exists()


def test_a_load_that_fails_says_why(user: User, tmp_path: Path, checkpoints: Callable[[str], Path]) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in checkpoints("voxcpm-0.5b").iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    for weights in damaged.glob("*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1000])
    done, own = user.run("load", str(damaged)), user.run("say", "x", "-m", str(damaged), "-o", "x.wav", "--no-warm")
    assert (done.returncode, said(done).splitlines()[-1]) == (own.returncode, said(own).splitlines()[-1])
    assert done.returncode == 3
    assert running_engines(user.registry) == []
