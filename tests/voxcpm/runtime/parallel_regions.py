"""Program that loads a model, speaks in every way and closes it, and prints which threads compute in parallel.

Arguments: a checkpoint, a folder for caches, the quantization or "none", and the dtype.

It replaces the pointer through which torch's library calls `GOMP_parallel`, which begins a parallel region, by a
function that notes the thread. What calls it otherwise gives itself away by the threads of its pool.
"""

import ctypes
import json
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from tests.voxcpm.runtime.counting import until
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.engines import local
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice
from voxcli.voices import anchors
from voxcli.voxcpm.network.config import Architecture

LIBRARIES = Path(torch.__file__).parent / "lib"
REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
DYNAMIC, STRINGS, SYMBOLS, RELOCATIONS, RELOCATIONS_SIZE = 2, 5, 6, 23, 2
"""Types of program headers and of entries of the dynamic section (ELF, 64 bits)."""

SAMPLING = Sampling(steps=2, seed=7, min_patches=2, max_patches=3)


def pointer_of(library: Path, function: str) -> int:
    """Return the address of the pointer through which a loaded library calls a function of another."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    base = next(int(line.partition("-")[0], 16) for line in lines if line.endswith(library.name))
    first, _, _, _, size, count = struct.unpack("<QQIHHH", ctypes.string_at(base + 32, 26))
    headers = [struct.unpack("<IIQQ", ctypes.string_at(base + first + at * size, 24)) for at in range(count)]
    entry = base + next(address for kind, _, _, address in headers if kind == DYNAMIC)
    found: dict[int, int] = {}
    while tag := ctypes.c_int64.from_address(entry).value:
        found[tag] = ctypes.c_uint64.from_address(entry + 8).value
        entry += 16
    strings, symbols, relocations = (
        found[tag] if found[tag] > base else base + found[tag] for tag in (STRINGS, SYMBOLS, RELOCATIONS)
    )
    for at in range(relocations, relocations + found[RELOCATIONS_SIZE], 24):
        place, about = struct.unpack("<QQ", ctypes.string_at(at, 16))
        name = ctypes.c_uint32.from_address(symbols + 24 * (about >> 32)).value
        if ctypes.string_at(strings + name) == function.encode():
            return base + int(place)
    raise LookupError(f"{library.name} does not call {function}")


REGIONS: Counter[str] = Counter()
OPENMP = ctypes.CDLL(str(LIBRARIES / "libgomp.so.1"))
GOMP_PARALLEL = REGION(("GOMP_parallel", OPENMP))


@REGION
def note(function: int, data: int, count: int, flags: int) -> None:
    if count != 1 and not OPENMP.omp_in_parallel():  # a region within a region has a single thread
        REGIONS[threading.current_thread().name] += 1
    GOMP_PARALLEL(function, data, count, flags)


def native_threads() -> int:
    """Count the threads of this process that Python does not know."""
    known = {thread.native_id for thread in threading.enumerate() if not thread.name.startswith("Dummy")}
    return sum(int(task.name) not in known for task in Path("/proc/self/task").iterdir())


def voices(engine: LocalEngine) -> Iterator[Voice]:
    """Yield a voice of each kind; the clips have an odd sample rate, and are long enough to be split."""
    sound = np.random.default_rng(1).normal(0, 0.1, 3 * 22050).astype(np.float32)
    yield Voice()
    for rate in (22050, 44099):
        clip = Clip(b"".join(encoded([AudioChunk(sound, rate)], AudioFormat.WAV)), "clip.wav")
        yield Voice(prompt=Prompt(clip, "hello"))
        if engine._model.config.architecture is Architecture.V2:
            yield Voice(reference=clip)
    yield Voice(name="alloy")


def requests(engine: LocalEngine) -> Iterator[SynthesisRequest]:
    for voice in voices(engine):
        yield SynthesisRequest(text="你好 hello", voice=voice, sampling=SAMPLING)
    runaway = Sampling(steps=2, seed=7, retries=1, min_patches=99, max_patches=6)
    yield SynthesisRequest(text="hello", sampling=runaway)
    yield SynthesisRequest(text="hello", sampling=SAMPLING, speed=1.5)


def spoken(engine: LocalEngine, request: SynthesisRequest) -> int:
    with closing(engine.stream(request)) as chunks:
        return sum(len(chunk.samples) for chunk in chunks)


def main(arguments: Sequence[str]) -> None:
    folder, caches, quantize, dtype = arguments
    anchors._ATTEMPTS, local.LONGEST_SECONDS = 1, 0.5
    pointer = pointer_of(LIBRARIES / "libtorch_cpu.so", "GOMP_parallel")
    ctypes.c_void_p.from_address(pointer).value = ctypes.cast(note, ctypes.c_void_p).value
    places = {name: Path(caches, name) for name in ("clips", "prepared", "anchors")}
    settings = LocalSettings(quantize=None if quantize == "none" else quantize, dtype=dtype, threads=3, **places)
    pools = []
    with ThreadPoolExecutor(4, "stream") as threads:
        list(threads.map(lambda _: threading.Event().wait(0.1), range(4)))  # all of them, to be counted as Python's
        torch.set_num_threads(3)  # which makes torch start threads of another kind, too
        before = native_threads()
        for _ in range(2):  # the second time with what the first one has kept
            with closing(LocalEngine(Path(folder), settings)) as engine:
                for request in requests(engine):
                    assert spoken(engine, request)
                assert all(threads.map(lambda request: spoken(engine, request), islice(requests(engine), 4)))
                pools.append(native_threads() - before)
        until(lambda: native_threads() <= before)  # the system takes a moment to end a thread
    json.dump({"regions": REGIONS, "pools": pools}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
