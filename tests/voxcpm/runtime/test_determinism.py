"""Determinism: on one machine, the same seed gives the same bytes, whatever else the machine does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.checkpoints import write_checkpoint
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.loading import load_model

ROOT = Path(__file__).parents[3]
CPU = Placement(torch.device("cpu"), torch.float32)

WIDE_ENCODER = {"audio_vae_config": {"encoder_dim": 64}}
"""Wide enough that the number of threads determines the order of its sums."""

SPEAK = """
import hashlib, sys
from pathlib import Path

from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import Sampling
from voxcli.voxcpm.runtime import eager_runner

eager_runner.count_cores = lambda: 2
engine = LocalEngine(Path(sys.argv[1]), LocalSettings(dtype="float32"))
delivery = Delivery(sampling=Sampling(seed=7, steps=4, min_patches=8, max_patches=9))
digest = hashlib.sha256()
for chunk in only_chunks(synthesize(engine, ["Hello there.", "And hello again."], delivery)):
    digest.update(chunk.samples.tobytes())
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    write_checkpoint(folder, "voxcpm-0.5b", seed=3, changes=WIDE_ENCODER)
    return folder


@contextmanager
def busy_machine() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def digest_of(checkpoint: Path) -> str:
    """Speak a text of two sentences in a fresh process, and return the digest of its samples."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    said = subprocess.run(
        [sys.executable, "-c", SPEAK, str(checkpoint)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return said.stdout


def test_a_split_text_is_the_same_bytes_on_a_quiet_and_on_a_busy_machine(checkpoint: Path) -> None:
    quiet = digest_of(checkpoint)
    with busy_machine():
        assert digest_of(checkpoint) == quiet


def test_the_number_of_threads_stays_as_it_was_at_the_start(checkpoint: Path) -> None:
    """It would change the samples: by the order in which the codec's convolutions are summed up."""
    model = load_model(checkpoint, CPU, threads=2)
    counts = [model._scheduler.call(torch.get_num_threads) for _ in range(3)]
    assert counts == [2, 2, 2]
    model.close()
