"""An engine that is stopped while it is loading: by `voxcli stop`, and by an interrupt of a measurement."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voxcli.cli.commands import warm
from voxcli.cli.commands.bench.subjects import loaded_in_background
from voxcli.engines.resident.registry import EngineEntry
from voxcli.engines.resident.running import running_engines
from voxcli.engines.resident.start import start_engine
from voxcli.engines.settings import EngineSettings, LocalSettings
from voxcli.errors import DeviceError


@pytest.fixture
def settings(checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineSettings:
    monkeypatch.setenv("VOXCLI_HOME", str(tmp_path))
    return EngineSettings(model=str(checkpoints("voxcpm-0.5b")), local=LocalSettings(), keep_alive=600)


@pytest.fixture
def loading(settings: EngineSettings) -> Iterator[tuple[EngineEntry, "subprocess.Popen[bytes]"]]:
    """An engine that never gets ready."""
    order, registry = warm.new_order(settings), warm.engine_registry()
    assert order
    registry.prepare()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        entry = order.new_entry(order.key, process.pid)
        registry.write(order.key, entry.values)
        threading.Thread(target=process.wait).start()  # otherwise it stays in the list of processes when it has ended
        yield entry, process
        process.kill()


def test_a_call_that_waits_for_it_is_told(
    settings: EngineSettings, loading: tuple[EngineEntry, "subprocess.Popen[bytes]"]
) -> None:
    order, registry = warm.new_order(settings), warm.engine_registry()
    assert order

    def stop() -> None:
        (engine,) = running_engines(registry)
        engine.stop()

    with pytest.raises(DeviceError, match="was stopped while it was loading"):
        start_engine(order, registry, check=stop)
    assert loading[1].wait(20)
    assert list(registry.entries()) == []


def test_an_interrupted_measurement_leaves_none_behind(
    settings: EngineSettings, loading: tuple[EngineEntry, "subprocess.Popen[bytes]"]
) -> None:
    entry, process = loading

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), loaded_in_background(settings, lambda progress: None, interrupt):
        pytest.fail("it is not ready")
    assert process.wait(20)
    assert warm.engine_registry().find(entry.key).state != "loading"  # type: ignore[union-attr]
