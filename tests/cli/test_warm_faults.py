"""What happens to those who speak through a resident engine when something goes wrong with it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.program import PATIENCE_SECONDS, Done, RunIn, said, started
from tests.resident import end, home_with_engines, only_engine, streams
from tests.server.tone import until
from voxcli.cli import app
from voxcli.engines.resident import client, connection
from voxcli.engines.resident.registry import Registry

SHORT = ("--seed", "7", "--max-len", "4", "--steps", "2")
LONG = ("--seed", "7", "--min-len", "3000", "--max-len", "3000", "--steps", "2")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Registry]]:
    with home_with_engines(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture
def registry(home: tuple[dict[str, str], Registry]) -> Registry:
    return home[1]


@pytest.fixture
def environment(home: tuple[dict[str, str], Registry]) -> dict[str, str]:
    return home[0]


@pytest.fixture(scope="module")
def model(checkpoints: Callable[[str], Path]) -> str:
    return str(checkpoints("voxcpm-0.5b"))


Say = Callable[..., Done]


@pytest.fixture
def say(run_in: RunIn, environment: dict[str, str], model: str, tmp_path: Path) -> Say:
    def run(*options: str, env: dict[str, str] | None = None) -> Done:
        order = ("say", "Hello there.", "-m", model, "-o", "x.wav", "--force", *(options or SHORT))
        return run_in(tmp_path, environment | (env or {}), order, b"")

    return run


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def test_an_engine_that_was_killed_is_started_again_by_the_next_call(
    say: Say, registry: Registry, tmp_path: Path
) -> None:
    assert say().returncode == 0
    before, spoken = only_engine(registry), (tmp_path / "x.wav").read_bytes()
    end(before)
    done = say()
    assert done.returncode == 0, said(done)
    assert only_engine(registry).pid != before.pid
    assert (tmp_path / "x.wav").read_bytes() == spoken


def test_an_engine_killed_before_the_first_sound_is_replaced(say: Say, registry: Registry, tmp_path: Path) -> None:
    assert say().returncode == 0
    before, spoken = only_engine(registry), (tmp_path / "x.wav").read_bytes()
    os.kill(before.pid, signal.SIGSTOP)  # so that it takes the request and does not answer
    threading.Timer(1.0, lambda: end(before)).start()
    done = say()
    assert done.returncode == 0, said(done)
    assert (tmp_path / "x.wav").read_bytes() == spoken


def test_an_engine_killed_in_the_middle_leaves_a_valid_file(
    say: Say, registry: Registry, tmp_path: Path, environment: dict[str, str], model: str
) -> None:
    assert say().returncode == 0
    engine = only_engine(registry)
    order = ["say", "Hello there.", "-m", model, "-o", str(tmp_path / "cut.wav"), *LONG]
    with started([sys.executable, "-m", "voxcli", *order], environment) as process:
        until(
            lambda: (tmp_path / "cut.wav").exists() and (tmp_path / "cut.wav").stat().st_size > 60_000, PATIENCE_SECONDS
        )
        end(engine)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 5
    assert b"ended after" in errors
    assert b"Traceback" not in errors
    assert seconds_of(tmp_path / "cut.wav") > 1
    assert say().returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_call_that_is_stopped_frees_its_slot(
    say: Say, registry: Registry, tmp_path: Path, environment: dict[str, str], model: str, number: signal.Signals
) -> None:
    assert say().returncode == 0
    order = ["say", "Hello there.", "-m", model, "-o", str(tmp_path / "cut.wav"), *LONG]
    with started([sys.executable, "-m", "voxcli", *order], environment) as process:
        until(
            lambda: (tmp_path / "cut.wav").exists() and (tmp_path / "cut.wav").stat().st_size > 60_000, PATIENCE_SECONDS
        )
        until(lambda: streams(registry) == 1, PATIENCE_SECONDS)  # a busy one may not answer at once
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)
    until(lambda: streams(registry) == 0, PATIENCE_SECONDS)
    if number == signal.SIGINT:
        assert process.returncode == 130


def test_a_closed_pipe_frees_the_slot(say: Say, registry: Registry, environment: dict[str, str], model: str) -> None:
    assert say().returncode == 0
    order = ["say", "Hello there.", "-m", model, "-o", "-", *LONG]
    streams_of_it = (None, subprocess.PIPE, subprocess.PIPE)
    with started([sys.executable, "-m", "voxcli", *order], environment, streams_of_it) as process:
        assert process.stdout
        assert process.stdout.read(60_000)
        process.stdout.close()
        process.wait(PATIENCE_SECONDS)
    until(lambda: streams(registry) == 0, PATIENCE_SECONDS)
    assert process.returncode == 0


def test_a_hung_engine_is_replaced(
    say: Say,
    registry: Registry,
    tmp_path: Path,
    environment: dict[str, str],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert say().returncode == 0
    hung, spoken = only_engine(registry), (tmp_path / "x.wav").read_bytes()
    monkeypatch.setattr(client, "_SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(connection, "_STATE_SECONDS", 0.3)
    for name in ("VOXCLI_HOME", "HF_HOME", "VOXCLI_KEEP_ALIVE"):
        monkeypatch.setenv(name, environment[name])
    os.kill(hung.pid, signal.SIGSTOP)
    assert app.run(["say", "Hello there.", "-m", model, "-o", str(tmp_path / "x.wav"), "--force", *SHORT]) == 0
    assert only_engine(registry).pid != hung.pid
    assert (tmp_path / "x.wav").read_bytes() == spoken


def test_a_stale_socket_is_no_engine(say: Say, registry: Registry, tmp_path: Path) -> None:
    assert say().returncode == 0
    engine = only_engine(registry)
    values, socket = dict(engine.values), Path(engine.values["socket"])
    end(engine)
    # As after a crash, and as if another program had got the number of the process.
    registry.write(engine.key, values | {"pid": os.getpid(), "started": None})
    assert socket.exists()
    done = say()
    assert done.returncode == 0, said(done)
    assert only_engine(registry).pid not in (engine.pid, os.getpid())
    assert not socket.exists()


def test_a_model_that_was_removed_while_it_was_warm_is_not_installed(
    run_in: RunIn, environment: dict[str, str], tmp_path: Path, model: str, registry: Registry
) -> None:
    folder = tmp_path / "gone"
    shutil.copytree(model, folder)
    order = ("say", "Hello there.", "-m", str(folder), "-o", "x.wav", "--force", *SHORT)
    assert run_in(tmp_path, environment, order, b"").returncode == 0
    (folder / "model.safetensors").unlink()
    done = run_in(tmp_path, environment, order, b"")
    assert done.returncode == 3
    assert "not a complete checkpoint" in said(done)
    for entry in registry.entries():
        if entry.model == "gone":
            end(entry)


def test_a_load_that_fails_is_told_by_the_call_that_waits_and_not_tried_again(
    run_in: RunIn, environment: dict[str, str], tmp_path: Path, model: str, registry: Registry
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    (folder / "config.json").write_text("{}")
    order = ("say", "Hello there.", "-m", str(folder), "-o", "x.wav", "--force", *SHORT)
    warm, own = (run_in(tmp_path, environment, (*order, *more), b"") for more in ((), ("--no-warm",)))
    assert (warm.returncode, said(warm)) == (own.returncode, said(own))
    assert warm.returncode == 3
    assert not [entry for entry in registry.entries() if entry.model == "damaged"]


def test_a_home_with_a_long_path_has_its_socket_elsewhere(run_in: RunIn, tmp_path: Path, model: str) -> None:
    with home_with_engines(tmp_path / ("long" * 40)) as (environment, registry):
        order = ("say", "Hello there.", "-m", model, "-o", "x.wav", *SHORT)
        done = run_in(tmp_path, environment, order, b"")
        assert done.returncode == 0, said(done)
        socket = Path(only_engine(registry).values["socket"])
        assert not socket.is_relative_to(registry.folder)
        assert socket.stat().st_mode & 0o777 == 0o600


NO_UNIX_SOCKETS = """
import socket

class Sandboxed(socket.socket):
    def bind(self, address):
        if self.family == socket.AF_UNIX:
            raise PermissionError(1, "Operation not permitted")
        super().bind(address)

socket.socket = Sandboxed
"""


@pytest.mark.parametrize("fault", ["no sockets", "another user's folder"])
def test_without_a_place_for_an_engine_the_model_runs_in_the_process(
    run_in: RunIn, tmp_path: Path, model: str, fault: str
) -> None:
    with home_with_engines(tmp_path / "home") as (environment, registry):
        order = ["say", "Hello there.", "-m", model, "-o", "x.wav", *SHORT]
        if fault == "no sockets":
            (tmp_path / "sitecustomize.py").write_text(NO_UNIX_SOCKETS)
            environment = environment | {"PYTHONPATH": str(tmp_path)}
        else:
            registry.folder.parent.mkdir()
            registry.folder.mkdir()
            os.chown(registry.folder, 65534, 65534)
        done = run_in(tmp_path, environment, order, b"")
        assert done.returncode == 0, said(done)
        assert said(done).count("the model is loaded for this run only") == 1
        assert seconds_of(tmp_path / "x.wav") > 0
        assert list(registry.entries()) == []


def test_an_engine_ends_when_it_has_been_idle_and_leaves_nothing(run_in: RunIn, tmp_path: Path, model: str) -> None:
    with home_with_engines(tmp_path / "home", keep_alive="300ms") as (environment, registry):
        order = ("say", "Hello there.", "-m", model, "-o", "x.wav", *SHORT)
        done = run_in(tmp_path, environment, order, b"")
        assert done.returncode == 0, said(done)
        until(lambda: not list(registry.entries()), PATIENCE_SECONDS)
        assert {path.suffix for path in registry.folder.iterdir()} <= {".lock", ".log"}


def test_text_that_is_still_being_written_is_spoken_by_an_engine_that_loads_meanwhile(
    tmp_path: Path, model: str
) -> None:
    with home_with_engines(tmp_path / "home") as (environment, registry):
        order = ["say", "-m", model, "-o", str(tmp_path / "x.wav"), *SHORT]
        piped = (subprocess.PIPE, None, subprocess.PIPE)
        with started([sys.executable, "-m", "voxcli", *order], environment, piped) as process:
            until(lambda: bool(list(registry.entries())), PATIENCE_SECONDS)  # before there is any text
            _, errors = process.communicate(b"Hello there.", PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        assert seconds_of(tmp_path / "x.wav") > 0


def test_the_engine_has_no_terminal_and_none_of_the_files_of_its_caller(say: Say, registry: Registry) -> None:
    assert say().returncode == 0
    pid = only_engine(registry).pid
    assert os.getsid(pid) == pid
    files = [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
    log = str(registry.log_path(only_engine(registry).key))
    assert files[1:] == [log, log]
    assert not files[0].startswith("/dev/pts")
    assert str(Path(f"/proc/{pid}/cwd").readlink()) == "/"


def test_a_server_of_this_user_with_the_same_model_is_used(run_in: RunIn, tmp_path: Path, model: str) -> None:
    with home_with_engines(tmp_path / "home") as (environment, registry):
        serve = [sys.executable, "-m", "voxcli", "serve", "-m", model, "--port", "0"]
        with started(serve, environment) as server:
            until(lambda: bool(list(registry.entries())), PATIENCE_SECONDS)
            order = ("say", "Hello there.", "-m", model, "-o", "x.wav", *SHORT)
            done = run_in(tmp_path, environment, order, b"")
            assert done.returncode == 0, said(done)
            assert only_engine(registry).pid == server.pid
            assert only_engine(registry).values["serves"].startswith("http://127.0.0.1:")
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE_SECONDS)
        assert list(registry.entries()) == []
        assert not list(registry.folder.glob("*.sock"))
