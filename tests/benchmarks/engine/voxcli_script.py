"""Script that runs a voxcli model in a process of its own.

The argument is a `Contestant` as JSON. It answers on standard output, with a line of JSON once the model is loaded and
one for each job, which are lines on standard input; each names one of `_JOBS` and its arguments.
"""

import json
import os
import sys
import time

STARTED = time.perf_counter()

from collections.abc import Callable, Mapping  # noqa: E402
from contextlib import closing  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

if TYPE_CHECKING:
    from voxcli.voxcpm.model import Model


def main(job: Mapping[str, Any]) -> int:
    from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

    limit_openmp_spinning(os.environ)
    from tests.benchmarks.engine.streams import load_voxcli
    from voxcli.errors import VoxError

    imported = time.perf_counter()
    own = {name: job[name] for name in ("device", "dtype", "quantize", "slots", "graphs")}
    try:
        model = load_voxcli(Path(job["checkpoint"]), **own, prepared=job["prepared"] and Path(job["prepared"]))
    except VoxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with closing(model):
        captured = hasattr(model.runner, "parts")
        _answer(imports=imported - STARTED, load=time.perf_counter() - imported, slots=model.slots, captured=captured)
        for line in sys.stdin:
            asked = json.loads(line)
            _answer(**_JOBS[asked.pop("job")](model, **asked))
    return 0


def _speak(model: "Model", streams: int, patches: int, steps: int) -> dict[str, Any]:
    from tests.benchmarks.engine.options import SEED, TEXT
    from tests.benchmarks.engine.streams import new_utterance, stream_concurrently

    utterances = [new_utterance(TEXT, SEED + number, steps, patches) for number in range(streams)]
    return {"runs": [asdict(run) for run, _ in stream_concurrently(model, utterances)]}


def _position_cost(model: "Model", steps: int) -> dict[str, Any]:
    from tests.benchmarks.engine.streams import measure_position_cost

    return asdict(measure_position_cost(model, steps))


def _parts(model: "Model", streams: list[int], steps: int) -> dict[str, Any]:
    from tests.benchmarks.engine.streams import measure_parts

    return {str(count): measure_parts(model, count, steps) for count in streams}


def _profile(model: "Model", patches: int, steps: int) -> dict[str, Any]:
    from tests.benchmarks.engine.patch_profile import profile_patches

    return asdict(profile_patches(model, patches, steps))


def _memory(model: "Model") -> dict[str, Any]:
    import torch

    gpu = model.device.type == "cuda"
    return {
        "resident": resident_bytes(),
        "allocated": torch.cuda.max_memory_allocated(model.device) if gpu else 0,
        "reserved": torch.cuda.max_memory_reserved(model.device) if gpu else 0,
    }


_JOBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "speak": _speak,
    "position_cost": _position_cost,
    "parts": _parts,
    "profile": _profile,
    "memory": _memory,
}


def _answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def resident_bytes() -> int:
    """Return the peak resident memory of this process; 0 where the system does not report it."""
    try:
        # On Linux, ru_maxrss includes the peak of the parent before exec.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
