"""Aggregate speed of `voxcli batch` against that of the engine alone, with all slots in use.

Both speak the same rows, in turn: the engine alone on as many threads as it has slots, each row one request; and
`BatchWork`, which also joins, writes files, syncs them, and keeps a manifest. The ratio is printed for each round, of
wall time and of processor time, and the medians at the end. What else runs on the machine disturbs the first more.

    python tests/benchmarks/measure_batch.py FOLDER_OF_A_CHECKPOINT --slots 8 --rows 32
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from voxcli.audio.format import AudioFormat
from voxcli.batch.manifest import Manifest
from voxcli.batch.rows import BatchRow, RowOutput
from voxcli.batch.work import BatchWork
from voxcli.engines import open_engine
from voxcli.engines.settings import LocalSettings
from voxcli.sinks import ToFile
from voxcli.synthesis.identity import identity_of
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Engine, Sampling, Voice
from voxcli.text.parts import read_text


def speak_alone(engine: Engine, delivery: Delivery, texts: list[str]) -> float:
    """Return the seconds of sound."""

    def speak(text: str) -> float:
        return sum(chunk.seconds for chunk in engine.stream(delivery.request(text)))

    with ThreadPoolExecutor(engine.slots) as pool:
        return sum(pool.map(speak, texts))


def speak_as_batch(engine: Engine, delivery: Delivery, texts: list[str]) -> float:
    """Return the seconds of sound."""

    def row(number: int, text: str) -> BatchRow:
        output = RowOutput(f"{number}.wav", "wav", lambda path: ToFile(path, AudioFormat.WAV, overwrite=True))
        return BatchRow(
            number=number,
            line=number,
            parts=lambda abilities: read_text(
                [text], markdown=False, split=True, least_syllables=abilities.least_syllables
            ),
            delivery=delivery,
            key=str(number),
            outputs=(output,),
        )

    with tempfile.TemporaryDirectory() as folder, Manifest(Path(folder) / "manifest.jsonl") as manifest:
        manifest.begin({})
        work = BatchWork(engine, manifest, identity_of(engine, "model"))
        for result in work.run(iter([row(*pair) for pair in enumerate(texts, 1)]), engine.slots):
            if result and result.error:
                raise result.error
        return work.made_seconds


def measured(run: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of sound in a second, and in a second of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    seconds = run()
    return seconds / (time.perf_counter() - wall), seconds / (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a checkpoint")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--patches", type=int, default=12, help="length of each row")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quantize")
    options = parser.parse_args()
    settings = LocalSettings(slots=options.slots, device=options.device, quantize=options.quantize)
    engine = open_engine(options.model, settings=settings)
    sampling = Sampling(seed=1, min_patches=options.patches - 1, max_patches=options.patches)
    delivery = Delivery(voice=Voice(name="default"), sampling=sampling)
    texts = [f"This is the sentence with the number {number}." for number in range(options.rows)]
    speak_alone(engine, delivery, texts[:1])
    ratios = []
    for _ in range(options.rounds):
        alone, batch = (measured(partial(speak, engine, delivery, texts)) for speak in (speak_alone, speak_as_batch))
        ratios.append([after / before for before, after in zip(alone, batch, strict=True)])
        print(
            f"alone {alone[0]:.2f}×, batch {batch[0]:.2f}×: {ratios[-1][0]:.2f} of it, {ratios[-1][1]:.2f} by processor"
        )
    wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"median: {wall:.2f} of the speed of the engine alone, {cpu:.2f} by processor time")
    engine.close()


if __name__ == "__main__":
    main()
