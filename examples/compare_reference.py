"""Measure a full-size random VoxCPM against the published `voxcpm` package: first chunk, patches, real-time factor.

All contestants are loaded at once and speak in turns, so that a noisy machine is noisy for all of them; only the ratios
mean something. The package runs in an environment of its own, which is made on the first run (--python names another).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.checkpoints import write_checkpoint
from tests.parity.package import package_python
from voxcli.engines import open_engine
from voxcli.engines.settings import LocalSettings
from voxcli.errors import DeviceError
from voxcli.speech import Sampling, SynthesisRequest
from voxcli.voxcpm.threads import wait_asleep

TEXT = "今天天气很好，我们说说中国的人工智能。"
"""One id for each of its 19 characters, as with the published tokenizers: the checkpoint's small one knows them all."""
SEED = 7

Speak = Callable[[], list[tuple[float, float]]]
"""Says the text once. For each chunk: when it came, in seconds from the start, and how much sound there is by then."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What counts of several runs."""

    first: float
    patch: float
    factor: float

    @classmethod
    def of(cls, runs: list[list[tuple[float, float]]], patch_seconds: float) -> "Figures":
        def per_patch(run: list[tuple[float, float]]) -> float:
            # From the chunk that ends the first patch, which may have come in pieces.
            begun = next(number for number, (_, sound) in enumerate(run) if sound > 0.99 * patch_seconds)
            (came, before), (ended, sound) = run[begun], run[-1]
            return (ended - came) / ((sound - before) / patch_seconds)

        first = statistics.median(run[0][0] for run in runs)
        factor = statistics.median(run[-1][0] / run[-1][1] for run in runs)
        return cls(first, statistics.median(map(per_patch, runs)), factor)


def main() -> None:
    wait_asleep(os.environ)
    options = parse()
    with tempfile.TemporaryDirectory(dir=options.folder) as name, ExitStack() as stack:
        checkpoint = Path(name) / options.model
        config = write_checkpoint(checkpoint, options.model, 1, size=options.size)
        codec = config["audio_vae_config"]
        rate = codec.get("out_sample_rate", codec["sample_rate"])
        hop = 1
        for step in codec["decoder_rates"]:
            hop *= step
        patch_seconds = config["patch_size"] * hop / rate
        contestants: dict[str, Speak] = {}
        if not options.alone:
            python = options.python or package_python()
            contestants["package, bfloat16"] = stack.enter_context(package(python, checkpoint, options))
        for label, dtype, quantize in (("voxcli, bfloat16", "bfloat16", None), ("voxcli, int8", "auto", "int8")):
            try:
                contestants[label] = stack.enter_context(ours(checkpoint, dtype, quantize, options))
            except DeviceError as error:
                print(f"{label}: {error}")
        runs: dict[str, list[list[tuple[float, float]]]] = {label: [] for label in contestants}
        for number in range(options.runs + 1):  # the first warms up
            for label, speak in contestants.items():
                run = speak()
                if number:
                    runs[label].append(run)
    report({label: Figures.of(measured, patch_seconds) for label, measured in runs.items()}, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="voxcpm-1.5", choices=["voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--patches", type=int, default=12)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--python", type=Path, help="an interpreter that has the package")
    parser.add_argument("--folder", type=Path, help="where the checkpoint lies meanwhile")
    parser.add_argument("--size", default="full", choices=["full", "tiny"], help="tiny is for trying this script out")
    parser.add_argument("--alone", action="store_true", help="without the package")
    return parser.parse_args()


@contextmanager
def ours(checkpoint: Path, dtype: str, quantize: str | None, options: argparse.Namespace) -> Iterator[Speak]:
    settings = LocalSettings(device="cpu", dtype=dtype, quantize=quantize)
    sampling = Sampling(
        steps=options.steps, seed=SEED, min_patches=options.patches, max_patches=options.patches, guidance=2.0
    )
    engine = open_engine(str(checkpoint), settings=settings)

    def speak() -> list[tuple[float, float]]:
        started, sound, run = time.perf_counter(), 0.0, []
        for chunk in engine.stream(SynthesisRequest(text=TEXT, sampling=sampling)):
            sound += chunk.seconds
            run.append((time.perf_counter() - started, sound))
        return run

    yield speak
    engine.close()


PACKAGE = """
import importlib.machinery, json, sys, time, types
try:
    import torchaudio
except ImportError:
    torchaudio = sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    torchaudio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
import torch
from voxcpm import VoxCPM

answers, sys.stdout = sys.stdout, sys.stderr
checkpoint, text, patches, steps, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
speaker = VoxCPM.from_pretrained(checkpoint, load_denoiser=False, device="cpu")
for _ in sys.stdin:
    torch.manual_seed(seed)
    started = time.perf_counter()
    chunks = speaker.generate_streaming(text, inference_timesteps=steps, min_len=patches, max_len=patches)
    run, samples = [], 0
    for chunk in chunks:
        samples += len(chunk)
        run.append((time.perf_counter() - started, samples / speaker.tts_model.sample_rate))
    answers.write(json.dumps(run) + "\\n")
    answers.flush()
"""


@contextmanager
def package(python: Path, checkpoint: Path, options: argparse.Namespace) -> Iterator[Speak]:
    numbers = [str(number) for number in (options.patches, options.steps, SEED)]
    command = [str(python), "-W", "ignore", "-c", PACKAGE, str(checkpoint), TEXT, *numbers]
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def speak() -> list[tuple[float, float]]:
            asked.write("speak\n")
            asked.flush()
            if line := answered.readline():
                return [(came, sound) for came, sound in json.loads(line)]
            words.seek(0)
            raise SystemExit("The package failed:\n" + words.read().decode()[-4000:])

        yield speak
        asked.close()


def report(figures: dict[str, Figures], options: argparse.Namespace) -> None:
    print(
        f"{options.model}, {options.size} size, random weights, {options.steps} steps, medians of {options.runs} runs"
    )
    print(f"{'':20} {'first chunk':>12} {'per patch':>12} {'real time':>10}")
    base = next(iter(figures.values()))
    for label, its in figures.items():
        print(f"{label:20} {its.first * 1000:9.0f} ms {its.patch * 1000:9.0f} ms {its.factor:9.2f}×")
    for label, its in list(figures.items())[1:]:
        sooner, faster = base.first / its.first, base.factor / its.factor
        print(f"{label} against {next(iter(figures))}: {sooner:.1f} times sooner, {faster:.1f} times faster")


if __name__ == "__main__":
    main()
