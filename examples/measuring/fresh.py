"""Loads our model in a process that has done nothing else, and tells when the first chunk came and what all took.

The first argument says what to load, as JSON. Two answers, lines of JSON, come on standard output: one after the first
chunk, one after so many streams as it has slots.
"""

import json
import os
import sys
import time
from pathlib import Path

BEGUN = time.perf_counter()

_HERE = Path(__file__).resolve()
sys.path[:0] = [str(_HERE.parents[2]), str(_HERE.parents[1])]


def main(wanted: dict[str, object]) -> None:
    from voxcli.voxcpm.runtime.cpu_threads import wait_asleep

    wait_asleep(os.environ)

    import torch

    from measuring.options import SEED, TEXT
    from measuring.ours import listened_together, load_ours, new_utterance

    imported = time.perf_counter()
    slots, steps, patches = (int(str(wanted[name])) for name in ("slots", "steps", "patches"))
    quantize = None if wanted["quantize"] is None else str(wanted["quantize"])
    checkpoint, device = Path(str(wanted["checkpoint"])), str(wanted["device"])
    model = load_ours(checkpoint, device, str(wanted["dtype"]), quantize, slots=slots, graphs=bool(wanted["graphs"]))
    loaded = time.perf_counter()
    run, _ = listened_together(model, [new_utterance(TEXT, SEED, steps, 2)])[0]
    tell(imports=imported - BEGUN, load=loaded - imported, first_chunk=run.chunks[0][0])
    listened_together(model, [new_utterance(TEXT, SEED + number, steps, patches) for number in range(slots)])
    gpu = model.device.type == "cuda"
    tell(
        resident=resident_bytes(),
        allocated=torch.cuda.max_memory_allocated(model.device) if gpu else 0,
        reserved=torch.cuda.max_memory_reserved(model.device) if gpu else 0,
    )
    model.close()


def tell(**what: float) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def resident_bytes() -> int:
    """Return the most memory of the host that this process had; 0 where the system does not tell."""
    try:
        # What `resource` tells on Linux has in it what the process had that started this one.
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
