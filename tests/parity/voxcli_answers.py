"""Parity cases spoken by voxcli: through the Python API and through the command line."""

import os
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from tests.parity.answers import Samples
from tests.parity.cases import Case
from tests.parity.prepare import Prepared
from tests.program import RunIn, run_afresh
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice


def request_of(case: Case, files: Prepared) -> SynthesisRequest:
    prompt = _clip(files.prompt)
    voice = Voice(
        style=case.style,
        reference=_clip(files.reference),
        prompt=Prompt(prompt, case.transcript) if prompt else None,
    )
    sampling = Sampling(
        steps=case.steps,
        guidance=case.guidance,
        seed=case.seed,
        min_patches=case.min_patches,
        max_patches=case.max_patches,
    )
    return SynthesisRequest(text=case.text, voice=voice, sampling=sampling)


def _clip(path: Path | None) -> Clip | None:
    return Clip(path.read_bytes(), path.name) if path else None


def spoken_by_engine(case: Case, files: Prepared) -> Samples:
    settings = LocalSettings(device="cpu", dtype="float32", lora=files.lora, threads=2)
    with (
        closing(LocalEngine(files.checkpoint, settings)) as engine,
        closing(engine.stream(request_of(case, files))) as chunks,
    ):
        return np.concatenate([chunk.samples for chunk in chunks])


run_for_as_long_as_it_takes = partial(run_afresh, timeout=None)  # full-size models


def spoken_by_command(
    case: Case, files: Prepared, folder: Path, run_in: RunIn = run_for_as_long_as_it_takes
) -> Samples:
    """Return the samples of the 16-bit WAV file that `voxcli say` writes into `folder`."""
    wav = folder / f"{case.name}.wav"
    options: dict[str, object] = {
        "--model": files.checkpoint,
        "--dtype": "float32",
        "--device": "cpu",
        "--threads": 2,
        "--seed": case.seed,
        "--steps": case.steps,
        "--cfg": case.guidance,
        "--min-len": case.min_patches,
        "--max-len": case.max_patches,
        "--instruct": case.style,
        "--prompt-audio": files.prompt,
        "--prompt-text": case.transcript if files.prompt else None,
        "--ref-audio": files.reference,
        "--lora": files.lora,
        "-o": wav,
    }
    given = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    environment = os.environ | {"VOXCLI_HOME": str(folder), "PYTHONUTF8": "1"}
    done = run_in(folder, environment, ["say", "--no-split", *given, "--", case.text], b"")
    if done.returncode != 0:
        raise RuntimeError(f"{case.name}: voxcli ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    samples: Samples = soundfile.read(wav, dtype="float32")[0]
    return samples
