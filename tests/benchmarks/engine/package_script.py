"""Script that runs the published package in a process of its own, without importing voxcli.

The argument says what to load, as JSON. Jobs arrive on standard input as JSON lines; answers leave on standard output
the same way. Everything that the package prints goes to standard error. Libraries that the package imports and that
are not installed are replaced by stand-ins: `rearrange` gives a view of a tensor, `BaseModel` holds a config. None of
them does arithmetic.
"""

import copy
import json
import os
import resource
import sys
import time
import types

STARTED = time.perf_counter()

from importlib import import_module  # noqa: E402
from importlib.machinery import ModuleSpec  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from importlib.util import find_spec, module_from_spec, spec_from_file_location  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, TextIO, get_args, get_type_hints  # noqa: E402


class BaseModel:
    """What a config needs of pydantic: typed fields with defaults, nested, read from JSON."""

    def __init__(self, **given: Any) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if name in given:
                setattr(self, name, _typed(kind, given[name]))
            elif hasattr(type(self), name):
                setattr(self, name, copy.deepcopy(getattr(type(self), name)))
            else:
                raise ValueError(f"{type(self).__name__} needs a {name}")

    @classmethod
    def model_validate_json(cls, text: str) -> "BaseModel":
        return cls(**json.loads(text))

    @classmethod
    def model_rebuild(cls) -> None: ...

    def model_copy(self, *, deep: bool = False) -> "BaseModel":
        return copy.deepcopy(self) if deep else copy.copy(self)


def _typed(kind: Any, value: Any) -> Any:
    if isinstance(value, dict):
        models = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
        return models[0](**value) if models else value
    return float(value) if kind is float else value


def rearrange(tensor: Any, pattern: str, **sizes: int) -> Any:
    """Permute, join and split axes as einops does.

    It is compiled as a part of the network, so it uses only what torch.compile can trace.
    """
    left, right = pattern.split("->")
    before, after = _axes(left), _axes(right)
    known = dict(sizes)
    for group, size in zip(before, tensor.shape, strict=True):
        rest = size
        for axis in group:
            if axis in known:
                rest = rest // known[axis]
        for axis in group:
            if axis not in known:
                known[axis] = rest
    apart = [axis for group in before for axis in group]
    order = [apart.index(axis) for group in after for axis in group if axis != "1"]
    moved = tensor.reshape([known[axis] for axis in apart]).permute(order)
    joined = []
    for group in after:
        size = 1
        for axis in group:
            size = size * (1 if axis == "1" else known[axis])
        joined.append(size)
    return moved.reshape(joined)


def _axes(side: str) -> list[list[str]]:
    """Return the axes of one side of a pattern, those in brackets together."""
    groups: list[list[str]] = []
    inside = False
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word in "()":
            inside = word == "("
            if inside:
                groups.append([])
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


STAND_INS: dict[str, dict[str, Any]] = {
    "pydantic": {"BaseModel": BaseModel},
    "einops": {"rearrange": rearrange},
    "tqdm": {"tqdm": iter},
    # These read audio files, which no job needs.
    "librosa": {},
    "torchaudio": {},
}


def install_stand_ins() -> list[str]:
    """Install a stand-in for each missing library, and return their names."""
    missing = []
    for name, content in STAND_INS.items():
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError):  # not installed, or built for another torch
            module = types.ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)  # transformers looks for it
            vars(module).update(content)
            sys.modules[name] = module
            missing.append(name)
    return missing


def main() -> None:
    # Answers go to a copy of standard output; prints of the package and its children go to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.argv[1])
    package, stand_ins = find_package(job["package"])
    import torch

    imported = time.perf_counter()
    send(answers, package=package_version(package, job["package"]), torch=torch.__version__, stand_ins=stand_ins)
    if job["exact"] and job["device"] != "cpu":
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    speaker = package.VoxCPM.from_pretrained(
        job["checkpoint"], load_denoiser=False, device=job["device"], optimize=job["compile"]
    )
    # If compiling fails, the package only logs it and runs uncompiled.
    compiled = hasattr(speaker.tts_model, "_feat_encoder_raw")
    send(answers, imports=imported - STARTED, load=time.perf_counter() - imported, compiled=compiled)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("memory"):
            send(answers, **memory_of(torch, job["device"]))
        elif asked["samples"] is not None:
            send(answers, written=write_samples(torch, speaker, asked))
        else:
            send(answers, run=speak(torch, speaker, asked))


def send(answers: TextIO, **values: Any) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


def find_package(folder: str | None) -> tuple[Any, list[str]]:
    """Import the package, and return the names of the stand-ins it needed.

    Args:
        folder: the folder that contains `voxcpm/`; nothing else is imported from it. None searches sys.path.
    """
    path = None if folder is None else Path(folder, "voxcpm", "__init__.py")
    spec = find_spec("voxcpm") if path is None else spec_from_file_location("voxcpm", path)
    if spec is None or (path is not None and not path.is_file()):
        raise ModuleNotFoundError("No module named 'voxcpm'" + (f" in {folder}" if folder else ""))
    stand_ins = install_stand_ins()
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
        return "(unknown version)"


def speak(torch: Any, speaker: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Stream a text once, and note when each chunk came, in seconds from the call."""
    torch.manual_seed(job["seed"])
    rate, samples, came = speaker.tts_model.sample_rate, 0, []
    started = time.perf_counter()
    for chunk in speaker.generate_streaming(**arguments_of(job)):
        samples += len(chunk)
        came.append((time.perf_counter() - started, samples / rate))
    return {"started": started, "chunks": came}


def write_samples(torch: Any, speaker: Any, job: dict[str, Any]) -> int:
    """Generate a text without streaming, write the samples to a file and return their number.

    Not streamed, because the first two families drop part of the codec's context when they stream.
    """
    torch.manual_seed(job["seed"])
    samples = speaker.generate(**arguments_of(job))
    import_module("numpy").save(job["samples"], samples)
    return len(samples)


def arguments_of(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": job["text"],
        "cfg_value": job["guidance"],
        "inference_timesteps": job["steps"],
        "min_len": job["patches"],
        "max_len": job["patches"],
        "retry_badcase": False,
    }


def memory_of(torch: Any, device: str) -> dict[str, int]:
    """Return peak memory in bytes."""
    peak = resident_bytes()
    if not device.startswith("cuda"):
        return {"resident": peak}
    return {
        "resident": peak,
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
    }


def resident_bytes() -> int:
    """Return the peak resident memory of this process."""
    try:
        # On Linux, ru_maxrss includes the peak of the parent before exec.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
