"""Resident engines when many use them, and when the model, the disk or voxcli itself changes under them."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

import voxcli
from tests.checkpoints import write_checkpoint
from tests.program import PATIENCE_SECONDS, RunIn, run_afresh, said, started
from tests.resident import home_with_engines, only_engine
from tests.server.tone import until
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import EngineEntry, Registry, wait_for_end
from voxcli.engines.resident.running import running_engines
from voxcli.engines.settings import LocalSettings

AT_ONCE = 20
SHORT = ("--seed", "7", "--max-len", "4", "--steps", "2", "--threads", "1")

Environment = dict[str, str]
Say = Callable[..., bytes]


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Environment, Registry]]:
    with home_with_engines(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture
def model(tmp_path: Path, checkpoints: Callable[[str], Path]) -> Path:
    """A copy, which may be changed."""
    return Path(shutil.copytree(checkpoints("voxcpm-0.5b"), tmp_path / "tiny"))


def order(model: Path, output: str, *more: str) -> list[str]:
    return ["say", "Hello there.", "-m", str(model), "-o", output, "--force", *SHORT, *more]


@pytest.fixture
def say(home: tuple[Environment, Registry], tmp_path: Path, run_in: RunIn) -> Say:
    """Return what a run writes."""

    def run(arguments: Sequence[str], env: Environment | None = None) -> bytes:
        start = run_afresh if env else run_in  # Python reads PYTHONPATH when it starts
        done = start(tmp_path, home[0] | (env or {}), arguments, b"")
        assert done.returncode == 0, said(done)
        return (tmp_path / arguments[arguments.index("-o") + 1]).read_bytes()

    return run


def test_twenty_calls_at_once_share_one_engine(
    home: tuple[Environment, Registry], tmp_path: Path, model: Path, say: Say
) -> None:
    environment, registry = home
    registry.prepare()
    expected = say(order(model, "own.wav", "--no-warm"))
    with ExitStack() as stack:
        calls = [
            stack.enter_context(
                started([sys.executable, "-m", "voxcli", *order(model, f"{number}.wav")], environment, folder=tmp_path)
            )
            for number in range(AT_ONCE)
        ]
        words = [call.communicate(timeout=PATIENCE_SECONDS)[1].decode() for call in calls]
    assert [call.returncode for call in calls] == [0] * AT_ONCE, words
    assert {(tmp_path / f"{number}.wav").read_bytes() for number in range(AT_ONCE)} == {expected}
    log = registry.log_path(only_engine(registry).key)
    assert log.read_text("utf-8").count("this is the engine of") == 1


def test_a_model_that_is_replaced_while_it_is_warm_is_loaded_again_though_the_disk_of_the_log_is_full(
    home: tuple[Environment, Registry], tmp_path: Path, model: Path, say: Say
) -> None:
    environment, registry = home
    registry.prepare()
    key = EngineOrder.of(model.name, model, LocalSettings(threads=1), 300.0, environment).key
    registry.log_path(key).symlink_to("/dev/full")
    before = say(order(model, "before.wav"))
    outdated = only_engine(registry)
    assert outdated.key == key
    write_checkpoint(tmp_path / "newer", "voxcpm-0.5b", seed=4)
    for file in (tmp_path / "newer").iterdir():
        file.replace(model / file.name)
    after = say(order(model, "after.wav"))
    assert after != before
    assert after == say(order(model, "own.wav", "--no-warm"))
    assert wait_for_end(outdated, PATIENCE_SECONDS), "nobody can use it any more"
    assert [engine.entry.pid for engine in running_engines(registry)] == [only_engine(registry).pid]


def install(folder: Path, version: str) -> None:
    """Install voxcli, as pip does it: the files of an earlier version are deleted first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(voxcli.__file__).parent, folder / "voxcli")  # with what is compiled, which saves seconds
    (folder / "voxcli" / "version.py").write_text(f'"""Version."""\n\n__version__ = "{version}"\n')


def test_an_engine_outlives_its_installation_until_a_newer_one_replaces_it(
    home: tuple[Environment, Registry], tmp_path: Path, model: Path, say: Say
) -> None:
    _, registry = home
    site = tmp_path / "site"
    theirs = {"PYTHONPATH": str(site), "VOXCLI_METADATA": "0"}  # without the version, all of the file is equal
    install(site, "0.0.8")
    first = say(order(model, "first.wav"), theirs)
    older = only_engine(registry)
    assert older.values["identity"]["version"] == "0.0.8"

    shutil.rmtree(site)
    [engine] = running_engines(registry)
    assert engine.state is not None, "it still answers"
    assert engine.state["version"] == "0.0.8"
    speech = spoken_by(older)
    assert speech.startswith(b"HTTP/1.1 200"), speech[:400]

    install(site, "0.0.9")
    assert say(order(model, "second.wav"), theirs) == first
    assert wait_for_end(older, PATIENCE_SECONDS), "nobody can use it any more"
    newer = only_engine(registry)
    assert newer.values["identity"]["version"] == "0.0.9"
    shutil.rmtree(site)
    engine = next(engine for engine in running_engines(registry) if engine.entry.pid == newer.pid)
    engine.stop()
    until(lambda: not running_engines(registry), PATIENCE_SECONDS)


def spoken_by(entry: EngineEntry) -> bytes:
    """Ask an engine for speech as a program would that does not need voxcli."""
    body = b"text=Hello&as_is=true&format=f32&inference_timesteps=2&max_len=4"
    with entry.connect(PATIENCE_SECONDS) as sock:
        sock.sendall(
            b"POST /api/tts/stream HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        return b"".join(iter(lambda: sock.recv(65536), b""))
