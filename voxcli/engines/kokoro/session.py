"""Session of ONNX Runtime for the model of Kokoro.

The first session is made from the bytes of the model, whose digest is checked, and leaves the optimized graph in the
cache: from there the next ones start in half the time, and need half of the memory while they start.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import onnxruntime
from filelock import FileLock
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoSuchFile,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (
    NotImplemented as Unimplemented,
)

from voxcli.engines.kokoro.graph import has_vnni, with_signed_activations
from voxcli.files import write_atomically
from voxcli.models.kokoro import KokoroSource

_log = logging.getLogger(__name__)

_PROVIDERS = ["CPUExecutionProvider"]
_ERRORS_ONLY = 3
_LOCK = "lock"
_POLL_SECONDS = 0.02
FAILURES = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, RuntimeException, Unimplemented)
"""What ONNX Runtime raises for a file that it cannot read or write. They have no base class of their own."""


def open_session(source: KokoroSource, cache: Path | None, threads: int) -> onnxruntime.InferenceSession:
    """Load the model.

    Args:
        source: as `load_kokoro` returns it.
        cache: of this user; the optimized graph is kept there. None keeps nothing.
        threads: of each run.

    Raises:
        ModelError: what is installed is another file.
    """
    if cache is None:
        return _open(_read(source), _new_options(threads))
    kept = _OptimizedGraph(cache / "kokoro", source, threads)
    if session := kept.open():
        return session
    try:
        with kept.locked():
            return kept.open() or kept.make()
    except (OSError, *FAILURES) as error:
        _log.warning("Kokoro starts more slowly, as nothing can be kept in %s: %s", cache, error)
        return _open(_read(source), _new_options(threads))


class _OptimizedGraph:
    """The file in the cache, with a note of its size and time: one that was changed is made again."""

    def __init__(self, folder: Path, source: KokoroSource, threads: int) -> None:
        self._source = source
        self._threads = threads
        self._folder = folder
        # Its operators may be understood by this version only.
        kind = "-vnni" if has_vnni() else ""
        self._path = folder / f"{source.digest[:12]}-{onnxruntime.__version__}{kind}.onnx"
        self._note = self._path.with_suffix(".json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time make the file. Raises OSError if nothing can be written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / _LOCK, poll_interval=_POLL_SECONDS):
            yield

    def open(self) -> onnxruntime.InferenceSession | None:
        """Load the model from the file, if it is there and whole."""
        with suppress(OSError, ValueError, *FAILURES):
            if json.loads(self._note.read_bytes()) == self._state(self._path):
                options = _new_options(self._threads)
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                return _open(str(self._path), options)
        return None

    def make(self) -> onnxruntime.InferenceSession:
        """Write the file, in place of those of other versions, and load the model from it.

        Raises:
            ModelError: what is installed is another file.
            OSError, or one of `FAILURES`: the file cannot be written.
        """
        data = _read(self._source)
        for path in self._folder.iterdir():
            if path.name != _LOCK:  # of another version, or left by a process that was killed
                path.unlink()
        staged = self._folder / f".{os.urandom(8).hex()}.onnx"
        options = _new_options(self._threads)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(staged)
        try:
            session = _open(data, options)
            staged.replace(self._path)
        finally:
            staged.unlink(missing_ok=True)
        write_atomically(self._note, json.dumps(self._state(self._path)).encode(), durable=False)
        del data, session
        return self.open() or _open(_read(self._source), _new_options(self._threads))

    def _state(self, path: Path) -> list[int]:
        status = path.stat()
        return [status.st_size, status.st_mtime_ns]


def _read(source: KokoroSource) -> bytes:
    """Read the model as it suits the processor. Raises ModelError for another file."""
    data = source.read()
    return with_signed_activations(data) if has_vnni() else data


def _open(model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, options, providers=_PROVIDERS)


def _new_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # of no use where the length changes from run to run
    return options
