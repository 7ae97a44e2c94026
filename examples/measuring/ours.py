"""Our model as a contestant: so many threads ask for a stream each, all at once."""

import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measuring.figures import Run
from measuring.options import GUIDANCE, SEED, TEXT
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model, Utterance

Samples = NDArray[np.float32]


class Ours:
    def __init__(self, label: str, model: Model, steps: int, most_turns: int = sys.maxsize) -> None:
        self.label = label
        self.most_turns = most_turns
        self.model = model
        self._steps = steps

    @property
    def most_streams(self) -> int:
        return self.model.slots

    def speak(self, streams: int, patches: int) -> list[Run]:
        """Say the text in so many streams at once, each with a seed of its own."""
        asked = [new_utterance(TEXT, SEED + number, self._steps, patches) for number in range(streams)]
        return [run for run, _ in listened_together(self.model, asked)]

    def close(self) -> None:
        self.model.close()


def load_ours(
    checkpoint: Path, device: str, dtype: str, quantize: str | None, *, slots: int, graphs: bool = True
) -> Model:
    """Load as the engine does.

    Raises:
        VoxError: it cannot be done here.
    """
    placement = choose_placement(device, dtype)
    return load_model(checkpoint, placement, quantize=quantize, slots=slots, graphs=graphs)


def new_utterance(text: str, seed: int, steps: int, patches: int) -> Utterance:
    return Utterance(text=text, steps=steps, guidance=GUIDANCE, seed=seed, min_patches=patches, max_patches=patches)


def listened_together(model: Model, asked: Sequence[Utterance]) -> list[tuple[Run, Samples]]:
    """Ask for all at the same moment, each from a thread of its own, and return what each heard."""
    if len(asked) == 1:
        return [listened(model, asked[0])]
    ready = threading.Barrier(len(asked))

    def listen(utterance: Utterance) -> tuple[Run, Samples]:
        ready.wait()
        return listened(model, utterance)

    with ThreadPoolExecutor(len(asked)) as threads:
        return list(threads.map(listen, asked))


def listened(model: Model, utterance: Utterance) -> tuple[Run, Samples]:
    """Note when the chunks come, from the call until samples are on the host."""
    chunks, came, sound = [], [], 0
    started = time.perf_counter()
    stream: Generator[Samples] = model.stream(utterance)
    with closing(stream):
        for chunk in stream:
            sound += len(chunk)
            came.append((time.perf_counter() - started, sound / model.sample_rate))
            chunks.append(chunk)
    return Run(started, came), np.concatenate(chunks)
