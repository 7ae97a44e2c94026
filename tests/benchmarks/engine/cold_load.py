"""Cold load: a new process loads the model and streams; its times and its peak memory.

The module is also the script of that process. Its argument is a `ColdLoad` as JSON. It writes two lines of JSON to
standard output: one after the first chunk, one after as many concurrent streams as the model has slots.
"""

import json
import os
import sys
import time

STARTED = time.perf_counter()

from contextlib import closing  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.benchmarks.engine.child_process import ChildProcess  # noqa: E402


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds of one cold load."""

    whole: float
    """From the start of Python to the first chunk."""
    imports: float
    load: float
    first_chunk: float
    """From the end of loading."""

    @property
    def without_imports(self) -> float:
        return self.load + self.first_chunk


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory in bytes."""

    resident: int
    """On the host."""
    allocated: int = 0
    """On the GPU, in tensors."""
    reserved: int = 0
    """On the GPU, including the cache of torch's allocator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdLoad:
    """The model to load, and the streams to run."""

    checkpoint: str
    device: str
    dtype: str
    quantize: str | None
    graphs: bool
    slots: int
    steps: int
    patches: int


def load_in_new_process(job: ColdLoad, timeout: float) -> tuple[Load, Memory]:
    """Load once, with the weights in the page cache.

    Raises:
        ChildFailed: it failed, or took longer than `timeout` seconds.
    """
    started = time.perf_counter()
    with closing(ChildProcess([sys.executable, __file__, json.dumps(asdict(job))])) as child:
        first = child.receive(timeout)
        whole = time.perf_counter() - started
        second = child.receive(timeout)
    return Load(whole=whole, **first), Memory(**second)


def main(job: dict[str, object]) -> None:
    from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

    limit_openmp_spinning(os.environ)

    import torch

    from tests.benchmarks.engine.options import SEED, TEXT
    from tests.benchmarks.engine.voxcli_engine import load_voxcli, new_utterance, stream_concurrently

    imported = time.perf_counter()
    slots, steps, patches = (int(str(job[name])) for name in ("slots", "steps", "patches"))
    quantize = None if job["quantize"] is None else str(job["quantize"])
    checkpoint, device = Path(str(job["checkpoint"])), str(job["device"])
    model = load_voxcli(checkpoint, device, str(job["dtype"]), quantize, slots=slots, graphs=bool(job["graphs"]))
    loaded = time.perf_counter()
    run, _ = stream_concurrently(model, [new_utterance(TEXT, SEED, steps, 2)])[0]
    answer(imports=imported - STARTED, load=loaded - imported, first_chunk=run.chunks[0][0])
    stream_concurrently(model, [new_utterance(TEXT, SEED + number, steps, patches) for number in range(slots)])
    gpu = model.device.type == "cuda"
    answer(
        resident=resident_bytes(),
        allocated=torch.cuda.max_memory_allocated(model.device) if gpu else 0,
        reserved=torch.cuda.max_memory_reserved(model.device) if gpu else 0,
    )
    model.close()


def answer(**values: float) -> None:
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
    main(json.loads(sys.argv[1]))
