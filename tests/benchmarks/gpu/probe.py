"""What only a GPU can tell of the engine, section by section: one that fails does not stop the next.

Figures of whole streams are in streams.py beside this file, those of kernels in kernel_times.py. `--device cpu --size
tiny` tries the program out.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

STARTED = time.perf_counter()

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch  # noqa: E402

IMPORTED = time.perf_counter()

from tests.benchmarks.engine.device import measure_rates, read_environment  # noqa: E402
from tests.benchmarks.engine.options import FAMILIES  # noqa: E402
from tests.benchmarks.engine.plan import find_or_write, read_into_page_cache  # noqa: E402
from tests.benchmarks.engine.results import echo  # noqa: E402
from tests.benchmarks.gpu import kernel_times, streams  # noqa: E402
from tests.benchmarks.gpu.loaded import Loaded, ProbeOptions, load  # noqa: E402

Section: TypeAlias = Callable[[Loaded], object]


def _on_device_thread(section: Section) -> Section:
    """Run a section on the thread that computes everything else of the model."""
    return lambda loaded: loaded.model.call(lambda: section(loaded))


SECTIONS: dict[str, Section] = {
    "first_chunk": streams.first_chunk,
    "host": streams.host,
    "together": streams.together,
    "parts": _on_device_thread(kernel_times.parts),
    "kernels": _on_device_thread(kernel_times.kernels),
    "products": _on_device_thread(kernel_times.products),
    "halves": streams.halves,
    "candidates": _on_device_thread(kernel_times.candidates),
}
"""Those that follow loading, in this order. Each prints its figures, and returns them for the JSON file."""


def read_options(arguments: Sequence[str]) -> ProbeOptions:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="1.5", choices=list(FAMILIES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default="full", choices=["full", "tiny"])
    parser.add_argument("--folder", type=Path, required=True, help="where the random checkpoints are, or will be")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--streams", default="1,8,64", help="numbers of concurrent streams")
    parser.add_argument("--quantize")
    parser.add_argument("--cudnn-attention", action="store_true", help="let torch choose cuDNN's attention")
    parser.add_argument("--only", default="", help=f"sections, joined by commas, of {', '.join(SECTIONS)}")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--checkpoint-only", action="store_true", help="write the checkpoint and do nothing else")
    given = parser.parse_args(arguments)
    only = tuple(filter(None, given.only.split(",")))
    if unknown := set(only) - SECTIONS.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    cuda = given.device.startswith("cuda")
    return ProbeOptions(
        family=FAMILIES[given.model],
        device=given.device,
        size=given.size,
        folder=given.folder,
        slots=given.slots if cuda else 2,
        streams=tuple(int(number) for number in given.streams.split(",")) if cuda else (1, 2),
        quantize=given.quantize,
        cudnn_attention=given.cudnn_attention,
        only=only or tuple(SECTIONS),
        json=given.json,
        checkpoint_only=given.checkpoint_only,
    )


def run(options: ProbeOptions) -> int:
    """Run all sections, and return the exit code: 1 if one of them failed."""
    results: dict[str, object] = {}
    started = time.perf_counter()
    options.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = find_or_write(options.folder, options.family, options.size)
    count = read_into_page_cache(checkpoint)
    echo(f"checkpoint: {count / 1e9:.2f} GB, {time.perf_counter() - started:.1f} s")
    if options.checkpoint_only:
        return 0
    device = torch.device(options.device)
    started = time.perf_counter()
    if device.type == "cuda":
        torch.zeros(1, device=device)
    echo(f"import of torch {IMPORTED - STARTED:.2f} s, CUDA context {time.perf_counter() - started:.2f} s")
    echo(read_environment(device).summary())
    rates = measure_rates(device, small=options.size == "tiny")
    echo(f"copies {rates.bandwidth / 1e12:.3g} TB/s, multiplies bfloat16 at {rates.products / 1e12:.3g} TFLOP/s")
    loaded = load(options, checkpoint, rates, results)
    failed = [name for name in options.only if not _run_section(name, loaded, results)]
    loaded.model.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=str), "utf-8")
    echo(f"failed: {', '.join(failed) or 'nothing'}")
    return 1 if failed else 0


def _run_section(name: str, loaded: Loaded, results: dict[str, object]) -> bool:
    started = time.perf_counter()
    try:
        results[name] = SECTIONS[name](loaded)
    except Exception:  # noqa: BLE001 - whatever it is, the next section is worth its time
        traceback.print_exc(file=sys.stdout)
        echo(f"FAILED  {name}")
        return False
    finally:
        echo(f"({name}: {time.perf_counter() - started:.1f} s)")
        if loaded.options.json:
            loaded.options.json.write_text(json.dumps(results, indent=1, default=str), "utf-8")
    return True


if __name__ == "__main__":
    sys.exit(run(read_options(sys.argv[1:])))
