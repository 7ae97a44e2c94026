"""Speaks with the published package, in a process of its own that needs nothing of ours.

The first argument is what to load, as JSON. Jobs come on standard input, a JSON object a line; what happens is told
on standard output in the same way. Its own words go to standard error.
"""

import json
import os
import resource
import sys
import time

BEGUN = time.perf_counter()

from importlib import import_module  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from importlib.util import find_spec, module_from_spec, spec_from_file_location  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, TextIO  # noqa: E402


def main() -> None:
    # What it says itself, and what it starts, shall not come in between.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    wanted = json.loads(sys.argv[1])
    package, stand_ins = find_package(wanted["package"])
    import torch

    imported = time.perf_counter()
    tell(answers, package=package_version(package, wanted["package"]), torch=torch.__version__, stand_ins=stand_ins)
    if wanted["exact"] and wanted["device"] != "cpu":
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    speaker = package.VoxCPM.from_pretrained(
        wanted["checkpoint"], load_denoiser=False, device=wanted["device"], optimize=wanted["compile"]
    )
    # Where it cannot compile, the package says so in passing and goes on without.
    compiled = hasattr(speaker.tts_model, "_feat_encoder_raw")
    tell(answers, imports=imported - BEGUN, load=time.perf_counter() - imported, compiled=compiled)
    for line in sys.stdin:
        job = json.loads(line)
        if job.get("memory"):
            tell(answers, **memory_of(torch, wanted["device"]))
        elif job["samples"] is not None:
            tell(answers, kept=keep(torch, speaker, job))
        else:
            tell(answers, run=speak(torch, speaker, job))


def tell(answers: TextIO, **what: Any) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def find_package(folder: str | None) -> tuple[Any, list[str]]:
    """Import the package, and name what stands in for others that are not here.

    Args:
        folder: the one that has it; of all that may lie beside it, nothing is taken. None searches as usual.
    """
    path = None if folder is None else Path(folder, "voxcpm", "__init__.py")
    spec = find_spec("voxcpm") if path is None else spec_from_file_location("voxcpm", path)
    if spec is None or (path is not None and not path.is_file()):
        raise ModuleNotFoundError("No module named 'voxcpm'" + (f" in {folder}" if folder else ""))
    stand_ins = import_module("stand_ins").stand_in_for_what_is_missing()
    if path is None:
        return import_module("voxcpm"), stand_ins
    package = sys.modules["voxcpm"] = module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(package)
    return package, stand_ins


def package_version(package: Any, folder: str | None) -> str:
    try:
        return version("voxcpm") if folder is None else next(Path(folder).glob("voxcpm-*.dist-info")).stem.split("-")[1]
    except (PackageNotFoundError, StopIteration):
        return "of an unknown version"


def speak(torch: Any, speaker: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Say a text once, as it streams. Seconds count from the call."""
    torch.manual_seed(job["seed"])
    rate, samples, came = speaker.tts_model.sample_rate, 0, []
    started = time.perf_counter()
    for chunk in speaker.generate_streaming(**asked(job)):
        samples += len(chunk)
        came.append((time.perf_counter() - started, samples / rate))
    return {"started": started, "chunks": came}


def keep(torch: Any, speaker: Any, job: dict[str, Any]) -> int:
    """Write the samples of a text to a file, and count them.

    As a whole: what it streams in the first two families lacks some of what the codec has heard before.
    """
    torch.manual_seed(job["seed"])
    samples = speaker.generate(**asked(job))
    import_module("numpy").save(job["samples"], samples)
    return len(samples)


def asked(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": job["text"],
        "cfg_value": job["guidance"],
        "inference_timesteps": job["steps"],
        "min_len": job["patches"],
        "max_len": job["patches"],
        "retry_badcase": False,
    }


def memory_of(torch: Any, device: str) -> dict[str, int]:
    """Return bytes."""
    peak = resident_bytes()
    if not device.startswith("cuda"):
        return {"resident": peak}
    return {
        "resident": peak,
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
    }


def resident_bytes() -> int:
    """Return the most memory of the host that this process had."""
    try:
        # What `resource` tells on Linux has in it what the process had that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
